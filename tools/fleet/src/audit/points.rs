//! Compares the points of a meter with what it counted.

use std::collections::BTreeMap;

use pulsegate_model::merge;
use pulsegate_model::merge::{Point, Points};
use pulsegate_model::pulse::PulseItem;
use pulsegate_model::uplink::TimeSource;

use super::expected_run::{ExpectedRun, UplinkPosition};
use crate::meters::{Change, Expected, consumption};

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
    let is_dated_by_arrival = run.is_dated_by_arrival(meter);
    let channels = match merge::merge(once_each(items)) {
        Ok(channels) => channels,
        Err(e) => return Compared::Wrong(format!("{device}: {e}")),
    };
    let (mut expected, mut found) = (run.fleet.expected(meter, &hours), points(&channels, is_dated_by_arrival));
    expected.sort_unstable();
    found.sort_unstable();
    if let Some(how) = differ(&expected, &found) {
        return Compared::Wrong(format!("{device}: {how}"));
    }
    if is_dated_by_arrival {
        // Neither the order of arrivals nor their distance is that of the counts.
        return Compared::Right;
    }
    if is_without_total(run, meter) {
        return Compared::Right;
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

/// True if the points of a meter do not show what it has counted without its assignments or without a wrong index.
fn is_without_total(run: &ExpectedRun, meter: u32) -> bool {
    let change = run.fleet.change(meter).map(|(change, _)| change);
    run.fleet.garbled(meter).is_some() || matches!(change, Some(Change::Swap | Change::UntoldSwap))
}

/// The items, but of an uplink that is stored twice only the first. The arrival dates an uplink in the clear of a wrong
/// clock, so one that is repeated to a bridge that was restarted in between is stored again
/// (docs/decisions/0005-whose-time-dates-an-uplink.md).
fn once_each(items: Vec<(UplinkPosition, PulseItem)>) -> impl Iterator<Item = PulseItem> {
    let mut items: Vec<_> = items.into_iter().map(|(place, item)| ((place.hour, place.position), item)).collect();
    items.sort_by(|(place, item), (other, another)| (place, &item.uplink).cmp(&(other, &another.uplink)));
    items.dedup_by_key(|(place, _)| *place);
    items.into_iter().map(|(_, item)| item)
}

/// All points, dated and undated. Points that the arrival dated are undated here: the meter could not date them.
fn points(channels: &BTreeMap<pulsegate_model::codec::Channel, Points>, is_dated_by_arrival: bool) -> Vec<Expected> {
    let is_arrival = |point: &Point| is_dated_by_arrival && point.time_source == TimeSource::Network;
    let of_channel = |(channel, points): (&pulsegate_model::codec::Channel, &Points)| {
        let one = |at, index, per_period| Expected { channel: channel.to_string(), at, index, per_period };
        let point = |at, index| one(at, index, false);
        let dated = points.points.iter().map(|each| point((!is_arrival(each)).then_some(each.at), each.index));
        let undated = points.undated.iter().flat_map(|each| &each.indexes).map(|&index| point(None, index));
        let counted = points.counted.iter().map(|each| one(Some(each.at), each.pulses, true));
        let counts = points.undated.iter().flat_map(|each| &each.counted).map(|&pulses| one(None, pulses, true));
        dated.chain(undated).chain(counted).chain(counts).collect::<Vec<_>>()
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
