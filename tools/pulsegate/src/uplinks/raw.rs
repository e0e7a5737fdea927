//! Uplinks as they came, each with what today's codec makes of it.

use pulsegate_model::pulse::{self, ChannelCounts, PulseError, PulseItem};
use pulsegate_model::uplink::{Kind, Radio, RadioText, Uplink};
use serde_json::{Value, json};

use super::format::{csv, name, or_empty};
use crate::Problem;
use crate::options::UplinksFormat;
use crate::print;

const TABLE: [&str; 8] = ["time", "sequence", "kind", "clock", "profile", "payload", "radio", "decoded"];

const CSV: [&str; 18] = [
    "device",
    "time",
    "sequence",
    "kind",
    "time_source",
    "profile",
    "payload",
    "rssi",
    "snr",
    "station",
    "signal_quality",
    "codec",
    "codec_version",
    "frame",
    "counts",
    "flags",
    "battery_mv",
    "error",
];

/// Digits of a payload in a table. A datagram has up to 8,192.
const MAX_DIGITS: usize = 64;

/// Counts of a channel in a table. JSON and CSV have all.
const MAX_COUNTS: usize = 3;

/// `None` of an event, which has nothing to decode.
type Read = Option<Result<PulseItem, PulseError>>;

/// Formats uplinks, in their order.
pub(super) fn shown(uplinks: &[Uplink], format: UplinksFormat) -> Result<String, Problem> {
    let read = uplinks.iter().map(|uplink| (uplink, (uplink.kind != Kind::Event).then(|| pulse::decode(uplink))));
    match format {
        UplinksFormat::Table => {
            Ok(print::table(&TABLE, &read.map(|(uplink, read)| row(uplink, &read)).collect::<Vec<_>>()))
        }
        UplinksFormat::Json => Ok(print::json_text(&read.map(|(uplink, read)| object(uplink, &read)).collect())),
        UplinksFormat::Csv => csv(&CSV, &read.map(|(uplink, read)| record(uplink, &read)).collect::<Vec<_>>()),
    }
}

fn row(uplink: &Uplink, read: &Read) -> [String; 8] {
    let digits = name(&uplink.payload);
    let payload = match digits.get(..MAX_DIGITS) {
        Some(first) if digits.len() > MAX_DIGITS => format!("{first}... ({} bytes)", uplink.payload.bytes().len()),
        _ => digits,
    };
    [
        uplink.at.to_string(),
        uplink.sequence.map_or_else(|| "-".to_owned(), |sequence| sequence.to_string()),
        uplink.kind.to_string(),
        name(uplink.time_source),
        uplink.profile.as_str().to_owned(),
        payload,
        radio(&uplink.radio),
        match read {
            Some(Ok(item)) => decoded(item),
            Some(Err(reason)) => format!("not decoded: {reason}"),
            None => "no payload: only the network's report".to_owned(),
        },
    ]
}

fn radio(radio: &Radio) -> String {
    let Radio { rssi, snr, station, signal_quality } = radio;
    let parts = [
        rssi.map(|rssi| format!("{} dBm", f64::from(rssi))),
        snr.map(|snr| format!("{} dB", f64::from(snr))),
        signal_quality.map(|quality| format!("quality {quality}")),
        station.as_ref().map(|station| station.as_str().to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn decoded(item: &PulseItem) -> String {
    let counts = (!item.channels.is_empty()).then(|| counts(item, MAX_COUNTS));
    let flags = (!item.flags.is_empty()).then(|| flags(item));
    let battery = item.battery_mv.map(|battery| format!("{battery} mV"));
    let parts: Vec<String> = [counts, flags, battery].into_iter().flatten().collect();
    if parts.is_empty() { format!("frame {}", item.frame) } else { parts.join("; ") }
}

/// `A 159 157 155 ... (24); B 3`: the counts of each channel, newest first as in the item, at most so many.
fn counts(item: &PulseItem, max: usize) -> String {
    let of_channel = |(channel, counts): (_, &ChannelCounts)| {
        let ChannelCounts { indexes, counted, increments, .. } = counts;
        let all: Vec<String> = indexes
            .iter()
            .map(ToString::to_string)
            .chain(counted.iter().map(|count| format!("{count}/period")))
            .chain(increments.iter().map(|increment| format!("+{increment}")))
            .collect();
        let rest = if all.len() > max { format!(" ... ({})", all.len()) } else { String::new() };
        format!("{channel} {}{rest}", all[..all.len().min(max)].join(" "))
    };
    item.channels.iter().map(of_channel).collect::<Vec<_>>().join("; ")
}

fn flags(item: &PulseItem) -> String {
    item.flags.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn object(uplink: &Uplink, read: &Read) -> Value {
    let mut object = json!(uplink);
    match read {
        Some(Ok(item)) => object["pulse"] = json!(item),
        Some(Err(reason)) => object["error"] = reason.to_string().into(),
        None => {}
    }
    object
}

fn record(uplink: &Uplink, read: &Read) -> [String; 18] {
    let Uplink { device, kind, at, time_source, sequence, profile, payload, radio } = uplink;
    let item = read.as_ref().and_then(|read| read.as_ref().ok());
    let of_item = |text: fn(&PulseItem) -> String| item.map(text).unwrap_or_default();
    [
        device.to_string(),
        at.to_string(),
        or_empty(*sequence),
        kind.to_string(),
        name(time_source),
        profile.as_str().to_owned(),
        name(payload),
        or_empty(radio.rssi.map(f64::from)),
        or_empty(radio.snr.map(f64::from)),
        or_empty(radio.station.as_ref().map(RadioText::as_str)),
        or_empty(radio.signal_quality),
        of_item(|item| item.codec.to_string()),
        of_item(|item| item.codec_version.to_string()),
        of_item(|item| item.frame.to_string()),
        of_item(|item| counts(item, usize::MAX)),
        of_item(flags),
        of_item(|item| or_empty(item.battery_mv)),
        or_empty(read.as_ref().and_then(|read| read.as_ref().err())),
    ]
}
