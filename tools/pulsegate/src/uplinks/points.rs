//! The points that uplinks make together.

use pulsegate_model::codec::Channel;
use pulsegate_model::merge::{self, Counted, Point, Points};
use pulsegate_pipeline::archive::decoded::Decoded;
use pulsegate_pipeline::ports::ReadError;
use serde_json::{Value, json};

use super::format::{name, or_empty};
use crate::Problem;
use crate::options::UplinksFormat;
use crate::print;

/// `index` is a cumulative count, `counted` that of a period.
const HEAD: [&str; 7] = ["channel", "time", "index", "counted", "time_source", "counter_bits", "contradicted"];

/// A point of either kind.
struct Shown<'a> {
    channel: &'a Channel,
    point: Result<&'a Point, &'a Counted>,
}

/// Formats the points by channel and time. The notes count what is not a point.
pub(super) fn shown(decoded: Decoded, format: UplinksFormat) -> Result<(String, Vec<String>), Problem> {
    let Decoded { items, undecodable } = decoded;
    let channels = merge::merge(items.into_values());
    let channels = channels.map_err(|e| ReadError { what: "a pulse item".to_owned(), source: e.into() })?;
    let points: Vec<Shown<'_>> = channels
        .iter()
        .flat_map(|(channel, Points { points, counted, .. })| {
            let points = points.iter().map(Ok).chain(counted.iter().map(Err));
            points.map(move |point| Shown { channel, point })
        })
        .collect();
    let text = match format {
        UplinksFormat::Table => print::table(&HEAD, &points.iter().map(Shown::row).collect::<Vec<_>>()),
        UplinksFormat::Json => print::json_text(&points.iter().map(Shown::object).collect()),
        UplinksFormat::Csv => print::csv(&HEAD, &points.iter().map(Shown::row).collect::<Vec<_>>())?,
    };
    let undated: usize =
        channels.values().flat_map(|of| &of.undated).map(|of| of.indexes.len() + of.counted.len()).sum();
    let unanchored: usize = channels.values().flat_map(|of| &of.unanchored).map(|of| of.increments.len()).sum();
    let notes = [
        (undecodable.len(), "uplinks that no codec reads"),
        (undated, "counts whose time is not known"),
        (unanchored, "increments whose index is not in these uplinks"),
    ];
    let notes = notes.into_iter().filter(|(count, _)| *count > 0);
    Ok((text, notes.map(|(count, what)| format!("not shown: {count} {what}")).collect()))
}

impl Shown<'_> {
    fn row(&self) -> [String; 7] {
        let (at, time_source, contradicted) = match self.point {
            Ok(point) => (point.at, point.time_source, point.contradicted),
            Err(counted) => (counted.at, counted.time_source, counted.contradicted),
        };
        [
            self.channel.to_string(),
            at.to_string(),
            or_empty(self.point.ok().map(|point| point.index)),
            or_empty(self.point.err().map(|counted| counted.pulses)),
            name(time_source),
            or_empty(self.point.ok().and_then(|point| point.counter_bits)),
            contradicted.to_string(),
        ]
    }

    fn object(&self) -> Value {
        let mut object = match self.point {
            Ok(Point { at, index, time_source, counter_bits, contradicted }) => json!({
                "time": at, "index": index, "time_source": time_source, "counter_bits": counter_bits,
                "contradicted": contradicted,
            }),
            Err(Counted { at, pulses, time_source, contradicted }) => json!({
                "time": at, "counted": pulses, "time_source": time_source, "contradicted": contradicted,
            }),
        };
        object["channel"] = self.channel.to_string().into();
        object
    }
}
