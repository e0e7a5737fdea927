//! Compares the points of a meter with what it counted.

use std::collections::BTreeMap;

use pulsegate_model::merge;
use pulsegate_model::merge::Points;
use pulsegate_model::pulse::PulseItem;

use super::expected_run::{ExpectedRun, UplinkPosition};
use crate::meters::{Expected, consumption};

/// Result of comparing a meter's points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Compared {
    /// Points and total match.
    Right,
    /// They differ: device and difference.
    Wrong(String),
    /// Not comparable: some uplink of a session is missing.
    InPart,
}

/// Compares the stored items of a meter with what their sessions should yield.
pub(super) fn compare(run: &ExpectedRun, items: Vec<(UplinkPosition, PulseItem)>) -> Compared {
    let Some(meter) = items.first().map(|(place, _)| place.meter) else { return Compared::InPart };
    let mut hours: Vec<u32> = items.iter().map(|(place, _)| place.hour).collect();
    hours.sort_unstable();
    hours.dedup();
    let is_whole = |&hour: &u32| run.pulses_of((meter, hour)) == run.session((meter, hour)).uplinks.len();
    if !hours.iter().all(is_whole) {
        return Compared::InPart;
    }
    let device = run.fleet.meter(meter).device;
    let channels = match merge::merge(items.into_iter().map(|(_, item)| item)) {
        Ok(channels) => channels,
        Err(e) => return Compared::Wrong(format!("{device}: {e}")),
    };
    let (mut expected, mut found) = (run.fleet.expected(meter, &hours), points(&channels));
    expected.sort_unstable();
    found.sort_unstable();
    if let Some(how) = differ(&expected, &found) {
        return Compared::Wrong(format!("{device}: {how}"));
    }
    let total = run.fleet.total(meter, &hours);
    let counted: BTreeMap<String, u64> =
        channels.iter().map(|(channel, points)| (channel.to_string(), consumption(points))).collect();
    if total == counted {
        Compared::Right
    } else {
        Compared::Wrong(format!("{device}: {counted:?} pulses in all, and it has counted {total:?}"))
    }
}

/// All points, dated and undated.
fn points(channels: &BTreeMap<pulsegate_model::codec::Channel, Points>) -> Vec<Expected> {
    let of_channel = |(channel, points): (&pulsegate_model::codec::Channel, &Points)| {
        let point = |at, index| Expected { channel: channel.to_string(), at, index };
        let dated = points.points.iter().map(|each| point(Some(each.at), each.index));
        let undated = points.undated.iter().flat_map(|each| &each.indexes).map(|&index| point(None, index));
        dated.chain(undated).collect::<Vec<_>>()
    };
    channels.iter().flat_map(of_channel).collect()
}

/// The first difference of two sorted lists.
fn differ(expected: &[Expected], found: &[Expected]) -> Option<String> {
    let shown = |point: &Expected| {
        let at = point.at.map_or_else(|| "an unknown time".to_owned(), |at| at.to_string());
        format!("{} pulses on {} at {at}", point.index, point.channel)
    };
    let pairs = expected.iter().map(Some).chain(std::iter::repeat(None));
    let pairs = pairs.zip(found.iter().map(Some).chain(std::iter::repeat(None)));
    let mut pairs = pairs.take(expected.len().max(found.len()));
    match pairs.find(|(expected, found)| expected != found)? {
        (Some(expected), Some(found)) if expected < found => Some(format!("no point of {}", shown(expected))),
        (_, Some(found)) => Some(format!("a point of {} that it has not counted", shown(found))),
        (Some(expected), None) => Some(format!("no point of {}", shown(expected))),
        (None, None) => None,
    }
}
