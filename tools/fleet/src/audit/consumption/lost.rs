//! Compares the ledger of uplinks with those that were lost on purpose.

use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::day::DayRow;
use pulsegate_model::device::Network;

use super::super::findings::ConsumptionFindings;
use super::MeterTruth;
use super::computed::Computed;
use crate::meters::{Numbered, Transport};

/// Compares the days of each channel. Losses before the first uplink that has arrived, and after the last one, are unknown.
///
/// # Errors
/// The first difference.
pub(super) fn compare(
    meter: &MeterTruth<'_>,
    computed: &Computed,
    found: &mut ConsumptionFindings,
) -> Result<(), String> {
    let gaps = gaps(meter);
    let arrived = arrived(meter);
    let channels: Vec<&Channel> = computed.channels.keys().collect();
    for channel in &channels {
        for row in computed.rows.iter().filter(|row| row.channel == **channel) {
            let is_of_day = |at: At| (row.start..row.end).contains(&at);
            let lost: u32 = gaps.iter().filter(|(at, _)| is_of_day(*at)).map(|(_, lost)| lost).sum();
            let uplinks = u32::try_from(arrived.iter().filter(|at| is_of_day(**at)).count()).unwrap_or(u32::MAX);
            let ledger = &row.ledger;
            let parts = [
                ("uplinks lost", ledger.uplinks_lost, lost),
                ("uplinks", ledger.uplinks, uplinks),
                ("undecodable uplinks", ledger.undecodable, 0),
                ("restarts of the numbering", ledger.restarts, 0),
            ];
            if let Some((what, told, expected)) = parts.iter().find(|(_, told, expected)| told != expected) {
                return Err(format!("{channel} on {}: {told} {what}, and it must be {expected}", row.day));
            }
            if ledger.lost_but_covered > lost {
                return Err(format!("{channel} on {}: {} covered of {lost} lost", row.day, ledger.lost_but_covered));
            }
        }
    }
    if let (Some(covered), Some(first)) = (covered(meter, computed), channels.first()) {
        let rows = computed.rows.iter().filter(|row| row.channel == **first);
        let told: u32 = rows.map(|row| row.ledger.lost_but_covered).sum();
        if told != covered {
            return Err(format!("{first}: {told} covered of the lost uplinks, and readings have {covered} of them"));
        }
    }
    account(&gaps, computed, channels.first().copied(), found);
    Ok(())
}

/// The number of uplinks lost between others whose reading another uplink has. `None` of a meter that sends more than one uplink
/// an hour, or whose log period is unknown: the ledger can only estimate it.
fn covered(meter: &MeterTruth<'_>, computed: &Computed) -> Option<u32> {
    /// Seconds by which a clock may drift from one report of a reading to another.
    const DRIFT: i64 = 60;
    let of = meter.run.fleet.meter(meter.number);
    let is_single = of.device.network() == Network::Nbiot && of.transport != Transport::Efento;
    computed.period.filter(|_| is_single)?;
    let readings: Vec<i64> =
        meter.run.fleet.readings(meter.number, &meter.hours).iter().map(|of| of.at.unix()).collect();
    let numbered = meter.run.fleet.numbered(meter.number);
    let has_arrived = |each: &&Numbered| !each.is_lost && meter.hours.contains(&each.hour);
    let (first, last) = (numbered.iter().find(has_arrived)?, numbered.iter().rfind(has_arrived)?);
    let is_between = |each: &&Numbered| first.hour < each.hour && each.hour < last.hour;
    let missing = numbered.iter().filter(|each| !has_arrived(each)).filter(is_between);
    let covered = missing.filter(|each| readings.iter().any(|at| (at - each.at.unix()).abs() <= DRIFT));
    u32::try_from(covered.count()).ok()
}

/// Adds the losses of a meter, each once, though each channel has them.
fn account(gaps: &[(At, u32)], computed: &Computed, first: Option<&Channel>, found: &mut ConsumptionFindings) {
    found.lost += gaps.iter().map(|(_, lost)| u64::from(*lost)).sum::<u64>();
    let rows = computed.rows.iter().filter(|row: &&DayRow| Some(&row.channel) == first);
    found.covered += rows.map(|row| u64::from(row.ledger.lost_but_covered)).sum::<u64>();
}

/// The numbered uplinks that were lost before each one that has arrived, with its time.
fn gaps(meter: &MeterTruth<'_>) -> Vec<(At, u32)> {
    let (mut gaps, mut lost, mut has_begun) = (Vec::new(), 0, false);
    for numbered in meter.run.fleet.numbered(meter.number) {
        if numbered.is_lost || !meter.hours.contains(&numbered.hour) {
            lost += 1;
            continue;
        }
        if has_begun && lost > 0 {
            gaps.push((numbered.at, lost));
        }
        (has_begun, lost) = (true, 0);
    }
    gaps
}

/// The times of the uplinks that have arrived, without status messages.
fn arrived(meter: &MeterTruth<'_>) -> Vec<At> {
    let sessions = meter.hours.iter().map(|&hour| meter.run.session((meter.number, hour)));
    sessions.flat_map(|session| session.uplinks).filter(|uplink| !uplink.is_status).map(|uplink| uplink.at).collect()
}
