//! Compares the intervals of each channel with the oracle's, and with what has flowed.

use std::collections::{BTreeMap, BTreeSet};

use pulsegate_model::assignment::Assignment;
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::consumption::calendar::{self, Every};
use pulsegate_model::consumption::{Mark, Quality};
use pulsegate_model::day::DayRow;

use super::super::findings::ConsumptionFindings;
use super::MeterTruth;
use super::computed::Computed;
use super::oracle::{Expected, NEAR, Oracle};

/// The longest way from a boundary of a measured hour to the reading that decides about it, by the true clock: the nearest one, a
/// tenth of an hour, and a clock that has drifted for as long as a fleet lives.
const AWAY: i64 = NEAR + 360;

/// Compares all channels.
///
/// # Errors
/// The first difference.
pub(super) fn compare(
    meter: &MeterTruth<'_>,
    computed: &Computed,
    found: &mut ConsumptionFindings,
) -> Result<(), String> {
    let readings = meter.readings();
    let swapped = meter.run.fleet.pulses_at_change(meter.number);
    for (channel, of_channel) in &computed.channels {
        let rows: Vec<&DayRow> = computed.rows.iter().filter(|row| row.channel == *channel).collect();
        let assignments = meter.assignments.get(channel).map_or(&[][..], Vec::as_slice);
        flow(meter, channel, &rows, assignments)?;
        if of_channel.points.is_empty() {
            sums_of_counts(meter, channel, &rows, assignments)?;
        } else {
            let name = channel.to_string();
            let none = Vec::new();
            let readings = readings.get(&name).unwrap_or(&none);
            let swapped = swapped.get(&name).copied().unwrap_or(0);
            let oracle = Oracle::of(readings, assignments, meter.change(), swapped)
                .map_err(|how| format!("{channel}: {how}"))?;
            steps(channel, computed, &oracle)?;
            intervals(channel, &rows, &oracle, found)?;
            sums(channel, &rows, &oracle, computed.period)?;
            for mark in oracle.marks.iter() {
                *found.happened.entry(mark.name().to_owned()).or_default() += 1;
            }
        }
        found.channels += 1;
    }
    Ok(())
}

/// Steps have the true volume.
fn steps(channel: &Channel, computed: &Computed, oracle: &Oracle) -> Result<(), String> {
    let steps = computed.steps.get(channel).map_or(&[][..], Vec::as_slice);
    let told = steps.iter().map(|step| (step.to.unix() - step.from.unix(), i128::from(step.volume), step.marks));
    let told: Vec<_> = told.collect();
    let expected: Vec<_> = oracle.ways().map(|(length, volume, step)| (length, volume, step.marks)).collect();
    match told.iter().zip(&expected).position(|(told, expected)| told != expected) {
        _ if told.len() != expected.len() => {
            Err(format!("{channel}: {} steps between its readings, and it has {}", expected.len(), told.len()))
        }
        None => Ok(()),
        Some(nth) => Err(format!(
            "{channel}: the step from {} has {:?}, and the meter {:?} (seconds, thousandths, flags)",
            steps[nth].from, told[nth], expected[nth]
        )),
    }
}

fn intervals(
    channel: &Channel,
    rows: &[&DayRow],
    oracle: &Oracle,
    found: &mut ConsumptionFindings,
) -> Result<(), String> {
    for row in rows {
        let day = oracle.interval(row.start.unix(), row.end.unix());
        let told = Expected { value: row.total, quality: row.quality, flags: row.flags };
        differ(&format!("{channel} on {}", row.day), told, day)?;
        found.days += 1;
        let hours = hours_of(row);
        if hours.len() != row.hours.len() || hours.len() != row.hour_qualities.len() {
            return Err(format!(
                "{channel} on {}: {} hours, and the day has {}",
                row.day,
                row.hours.len(),
                hours.len()
            ));
        }
        for ((&(start, end), &value), &quality) in hours.iter().zip(&row.hours).zip(&row.hour_qualities) {
            let expected = oracle.interval(start.unix(), end.unix());
            let told = Expected { value, quality, flags: expected.flags };
            differ(&format!("{channel} in the hour from {start}"), told, expected)?;
            *found.hours.entry(quality.name().to_owned()).or_default() += 1;
        }
    }
    Ok(())
}

fn differ(what: &str, told: Expected, expected: Expected) -> Result<(), String> {
    let shown = |of: Expected| {
        let value = of.value.map_or_else(|| "no value".to_owned(), |value| format!("{value} thousandths"));
        format!("{value}, {}, flags [{}]", of.quality, of.flags.names())
    };
    if told == expected { Ok(()) } else { Err(format!("{what}: {}, and it must be {}", shown(told), shown(expected))) }
}

/// Timed, spread and unplaced are the volume, to the thousandth; and breaks are as many as there were.
fn sums(channel: &Channel, rows: &[&DayRow], oracle: &Oracle, period: Option<u32>) -> Result<(), String> {
    let longest_timed = i64::from(period.unwrap_or(3_600)) * 3 / 2;
    let (mut timed, mut after_break, mut breaks) = (0, 0, 0_u32);
    for (length, volume, step) in oracle.ways() {
        timed += if length <= longest_timed { volume } else { 0 };
        after_break += if step.marks.contains(Mark::Reset) { volume } else { 0 };
        breaks += u32::from(step.is_broken);
    }
    let total = |of: fn(&DayRow) -> i64| rows.iter().map(|row| i128::from(of(row))).sum::<i128>();
    let parts = [
        ("volume", total(|row| row.ledger.volume()), oracle.sum()),
        ("timed volume", total(|row| row.ledger.timed), timed),
        ("volume after breaks", total(|row| row.ledger.after_break), after_break),
        ("number of breaks", total(|row| row.ledger.breaks.into()), breaks.into()),
    ];
    match parts.iter().find(|(_, told, expected)| told != expected) {
        None => Ok(()),
        Some((what, told, expected)) => {
            Err(format!("{channel}: the ledger's {what} is {told}, and it must be {expected}"))
        }
    }
}

/// Counts of periods add up.
fn sums_of_counts(
    meter: &MeterTruth<'_>,
    channel: &Channel,
    rows: &[&DayRow],
    assignments: &[Assignment],
) -> Result<(), String> {
    let counts = meter.run.fleet.counts(meter.number, &meter.hours);
    let of_channel = counts.iter().filter(|count| count.channel == channel.as_str());
    let expected = of_channel.map(|count| i128::from(count.pulses)).sum::<i128>() * per_pulse(assignments);
    let told = rows.iter().map(|row| i128::from(row.ledger.volume())).sum::<i128>();
    if told != expected {
        return Err(format!("{channel}: {told} thousandths, and it has sent {expected}"));
    }
    // A lost count that is not the first or the last one: nobody may take the rest for all.
    let lost: BTreeSet<u32> = (0..meter.run.fleet.hours()).filter(|hour| !meter.hours.contains(hour)).collect();
    let is_between = |hour: &u32| meter.hours.first() < Some(hour) && Some(hour) < meter.hours.last();
    let hours = rows.iter().flat_map(|row| row.hours.iter().zip(&row.hour_qualities));
    let hours: Vec<(bool, Quality)> = hours.map(|(value, quality)| (value.is_some(), *quality)).collect();
    let first = hours.iter().position(|(has_value, _)| *has_value).unwrap_or(0);
    let end = hours.iter().rposition(|(has_value, _)| *has_value).map_or(first, |last| last + 1);
    let is_partial = |(_, quality): &(bool, Quality)| matches!(quality, Quality::Partial | Quality::Missing);
    if lost.iter().any(is_between) && !hours[first..end].iter().any(is_partial) {
        return Err(format!("{channel}: counts are lost, and no hour between others is partial or missing"));
    }
    Ok(())
}

/// A measured hour has what has flowed in it, and no hour that is not interpolated has more.
fn flow(meter: &MeterTruth<'_>, channel: &Channel, rows: &[&DayRow], assignments: &[Assignment]) -> Result<(), String> {
    if *channel == Channel::B {
        return Ok(()); // a part of A's
    }
    let fleet = &meter.run.fleet;
    let start = fleet.spec().start.unix();
    let mut known: BTreeMap<i64, i128> = BTreeMap::new();
    let mut flowed = |at: i64| {
        let pulses = *known.entry(at).or_insert_with(|| fleet.counted_at(meter.number, (at - start) * 1_000).into());
        pulses * per_pulse(assignments)
    };
    #[expect(clippy::cast_possible_truncation, reason = "minutes")]
    let drifted = (fleet.spec().clock_drift * (fleet.spec().hours + 12.0) / 24.0) as i64 + 2;
    let away = AWAY + drifted;
    for row in rows {
        for ((from, to), (value, quality)) in hours_of(row).into_iter().zip(row.hours.iter().zip(&row.hour_qualities)) {
            let Some(value) = value.map(i128::from) else { continue };
            let (from_unix, to_unix) = (from.unix(), to.unix());
            let most = flowed(to_unix + away) - flowed(from_unix - away);
            let least = flowed(to_unix - away) - flowed(from_unix + away);
            let is_wrong = match quality {
                Quality::Measured => !(least..=most).contains(&value),
                Quality::Interpolated | Quality::Partial | Quality::Missing => value < 0,
            };
            if is_wrong {
                return Err(format!(
                    "{channel} in the hour from {from}: {value} thousandths, {quality}, and {least} to {most} have flowed"
                ));
            }
        }
    }
    let told = rows.iter().map(|row| i128::from(row.ledger.volume())).sum::<i128>();
    let (first, last) = (flowed(start - 36_000), flowed(start + i64::from(fleet.hours() + 1) * 3_600));
    if told > last - first {
        return Err(format!("{channel}: {told} thousandths in all, and only {} have flowed", last - first));
    }
    Ok(())
}

fn per_pulse(assignments: &[Assignment]) -> i128 {
    assignments.first().map_or(1_000, |first| first.litres_per_pulse.thousandths().into())
}

fn hours_of(row: &DayRow) -> Vec<(At, At)> {
    let boundaries = calendar::boundaries(row.start, row.end, Every::Hour, &row.zone);
    boundaries.windows(2).map(|pair| (pair[0], pair[1])).collect()
}
