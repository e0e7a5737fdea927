//! Checks the files of days of the final state: against the reference, to the byte, and against the truth.
//!
//! The metadata of a file names versions of its sources. These are compared with the versions that there are, and are then
//! taken over for the encoding of the reference.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use jiff::ToSpan as _;
use jiff::civil::Date;
use pulsegate_model::consumption;
use pulsegate_model::day::{Carry, DAYS_AHEAD, DAYS_BEHIND, DayRow};
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::archive::days::{self, DAYS, file};
use pulsegate_pipeline::archive::place::{Day, Place};
use pulsegate_pipeline::archive::points::POINTS;
use pulsegate_pipeline::archive::reports::REPORTS;

use super::activity::Activity;
use super::meters::Fleet;
use super::reference::{Known, Month, seconds};
use super::truth;

/// The rows of a file, and what its devices leave to the next month.
type Rows = (Vec<DayRow>, BTreeMap<DeviceId, Carry>);

/// Returns the errors in files of days, of which there must be no other ones.
pub(super) fn wrong(activity: &Activity) -> Vec<String> {
    let Some(fleet) = &activity.messages.fleet else { return Vec::new() };
    let expected = expected(activity, fleet);
    let (mut found, mut wrong) = (BTreeSet::new(), Vec::new());
    let files = activity.objects.all().into_iter().filter(|(key, _)| key.starts_with(DAYS));
    for (key, content) in files {
        let (rows, carries) = expected.get(&key).cloned().unwrap_or_default();
        wrong.extend(wrong_file(activity, &key, &content, &rows, &carries));
        found.insert(key);
    }
    let missing = expected.keys().filter(|key| !found.contains(*key));
    wrong.extend(missing.map(|key| format!("at the end, {key} is missing")));
    let rows: Vec<DayRow> = expected.into_values().flat_map(|(rows, _)| rows).collect();
    for meter in fleet.meters.iter().filter(|meter| activity.erasing != Some(meter.device)) {
        let of_device: Vec<DayRow> = rows.iter().filter(|row| row.device == meter.device).cloned().collect();
        if activity.messages.is_closed() {
            wrong.extend(truth::wrong(meter, &of_device));
        }
    }
    wrong
}

/// The files that there must be, with their rows.
fn expected(activity: &Activity, fleet: &Fleet) -> BTreeMap<String, Rows> {
    let messages = &activity.messages;
    let mut files: BTreeMap<String, Rows> = BTreeMap::new();
    for meter in fleet.meters.iter().filter(|meter| activity.erasing != Some(meter.device)) {
        let known = Known::of(meter.device, messages.uplinks.iter(), meter.assignments().iter().cloned());
        for (first, Month { rows, carry }) in known.months(messages.span) {
            let place = messages.bits.place_of(meter.device, day(first));
            let (all, carries) = files.entry(days::key_of(place)).or_default();
            all.extend(rows);
            carries.insert(meter.device, carry);
        }
    }
    for (rows, _) in files.values_mut() {
        rows.sort_by_key(|row| row.device);
    }
    files.retain(|key, _| days::place_named(&messages.bits, key).is_some_and(|place| has_begun(activity, place)));
    files
}

/// False for months before the sources of a partition. Only an assignment can have days there, and they have no volume.
fn has_begun(activity: &Activity, place: Place) -> bool {
    let bits = &activity.messages.bits;
    let keys: Vec<String> = activity.objects.all().into_keys().collect();
    let of = |key: &String| bits.place_under(POINTS, key).or_else(|| bits.place_under(REPORTS, key));
    let sources: Vec<Place> = keys.iter().filter_map(of).collect();
    let begin = |is_of: &dyn Fn(&Place) -> bool| {
        let days = sources.iter().filter(|source| is_of(source)).filter_map(|source| match source.day {
            Day::Date(day) => Some(date(day - DAYS_BEHIND).first_of_month()),
            Day::Odd => None,
        });
        days.min()
    };
    let begin = begin(&|source| overlap(*source, place)).or_else(|| begin(&|_| true));
    begin.is_none_or(|begin| place.day >= day(begin))
}

fn wrong_file(
    activity: &Activity,
    key: &str,
    content: &Bytes,
    rows: &[DayRow],
    carries: &BTreeMap<DeviceId, Carry>,
) -> Option<String> {
    let place = days::place_named(&activity.messages.bits, key);
    let (Some(place), Ok(read)) = (place, file::read(content.clone())) else {
        return Some(format!("at the end, {key} cannot be read"));
    };
    let Some(origin) = read.origin else { return Some(format!("at the end, {key} has no origin")) };
    if origin.rules != consumption::version() {
        return Some(format!("at the end, {key} is made by older rules"));
    }
    if origin.sources != sources(activity, place) {
        return Some(format!("at the end, {key} is made from other sources than there are"));
    }
    if file::encode(rows, carries, &origin).is_ok_and(|expected| expected == content) {
        return None;
    }
    let other = read.rows.iter().zip(rows).find(|(found, expected)| found != expected);
    let other = other.map(|(found, expected)| format!("{found:?} instead of {expected:?}"));
    let carry = read.carries.iter().find(|(device, carry)| carries.get(device) != Some(carry));
    let json = |carry| serde_json::to_string(&carry).unwrap_or_default();
    let carry = carry.map(|(device, found)| {
        format!("{device} leaves {} instead of {}", json(Some(found)), json(carries.get(device)))
    });
    let what = other.or(carry).unwrap_or_else(|| format!("{} rows instead of {}", read.rows.len(), rows.len()));
    Some(format!("at the end, {key} has other days: {what}"))
}

/// The sources that there are for a file, with their versions.
fn sources(activity: &Activity, place: Place) -> BTreeMap<String, String> {
    let Day::Date(first) = place.day else { return BTreeMap::new() };
    let next = date(first) + 1.month();
    let window = first - DAYS_BEHIND..seconds(next) / 86_400 + DAYS_AHEAD;
    let bits = &activity.messages.bits;
    let is_source = |key: &str| {
        let of = bits.place_under(POINTS, key).or_else(|| bits.place_under(REPORTS, key));
        of.is_some_and(|of| matches!(of.day, Day::Date(day) if window.contains(&day)) && overlap(of, place))
    };
    let versions = activity.objects.etags().into_iter().filter(|(key, _)| is_source(key));
    versions.map(|(key, version)| (key, version.0)).collect()
}

fn overlap(one: Place, other: Place) -> bool {
    let bits = one.bits.min(other.bits);
    one.partition >> (one.bits - bits) == other.partition >> (other.bits - bits)
}

fn day(date: Date) -> Day {
    Day::Date(seconds(date) / 86_400)
}

fn date(day: i64) -> Date {
    Date::constant(1970, 1, 1) + day.days()
}
