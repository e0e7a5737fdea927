//! Compares consumption and ledger of each meter with what it has counted, and with what was lost on purpose.
//!
//! The one side are the rows of days and the consumption that the product computes from the stored uplinks. The other side is
//! computed from the truth: the count of the meter at each reading that has arrived, and the uplinks that were never received. It
//! shares no code with the product but the calendar.
//!
//! # Layout
//!
//! - `oracle`: the volume of a channel by its truth, and what an interval must have.
//! - `computed`: the rows and steps of the product.
//! - `compare`: both, and the true flow; `lost`: the ledger of uplinks.
//! - `stored`: the rows of days in the archive, which must be those that are computed.
//! - `classes`: which faults have happened.

use std::collections::{BTreeMap, BTreeSet};

use pulsegate_model::assignment::Assignment;
use pulsegate_model::codec::Channel;
use pulsegate_model::pulse::PulseItem;

use super::expected_run::{ExpectedRun, UplinkPosition};
use super::findings::{ConsumptionFindings, MOST_NAMED};
use crate::meters::{Change, TrueReading};

mod classes;
mod compare;
mod computed;
mod lost;
mod oracle;
mod stored;

pub(super) use classes::not_happened;
pub(super) use stored::{StoredDays, read as read_days};

/// A meter that is compared.
pub(super) struct MeterTruth<'a> {
    run: &'a ExpectedRun,
    number: u32,
    /// The hours of whose sessions something is stored.
    hours: Vec<u32>,
    assignments: BTreeMap<Channel, Vec<Assignment>>,
}

/// The reason why a meter is not right, or not compared.
pub(super) enum Verdict {
    /// Both sides agree.
    Right,
    /// They do not: the first difference.
    Wrong(String),
    /// Not comparable: the reason.
    Skipped,
}

/// Compares a meter, given all of its stored pulse items, each once, and adds the result to the findings.
pub(super) fn check(
    run: &ExpectedRun,
    number: u32,
    items: &[(UplinkPosition, PulseItem)],
    days: &StoredDays,
    found: &mut ConsumptionFindings,
) {
    let meter = MeterTruth::new(run, number);
    match verdict(&meter, items, days, found) {
        Verdict::Right => found.right += 1,
        Verdict::Skipped => found.skipped += 1,
        Verdict::Wrong(how) => {
            found.wrong += 1;
            if found.examples.len() < MOST_NAMED {
                found.examples.push(format!("{}: {how}", run.fleet.meter(number).device));
            }
        }
    }
}

fn verdict(
    meter: &MeterTruth<'_>,
    items: &[(UplinkPosition, PulseItem)],
    days: &StoredDays,
    found: &mut ConsumptionFindings,
) -> Verdict {
    // The arrival dates some of its uplinks: nobody knows when what it counted has flowed.
    if meter.run.is_dated_by_arrival(meter.number) || !meter.is_whole() {
        return Verdict::Skipped;
    }
    let device = meter.run.fleet.meter(meter.number).device;
    let computed = match computed::Computed::of(device, items, &meter.statuses(), &meter.assignments) {
        Ok(Some(computed)) => computed,
        Ok(None) => return Verdict::Skipped,
        Err(how) => return Verdict::Wrong(how),
    };
    if let Err(how) = days.compare(device, &computed, found) {
        return Verdict::Wrong(how);
    }
    judge(meter, &computed, found)
}

/// Compares what was computed with the truth.
fn judge(meter: &MeterTruth<'_>, computed: &computed::Computed, found: &mut ConsumptionFindings) -> Verdict {
    match compare::compare(meter, computed, found).and_then(|()| lost::compare(meter, computed, found)) {
        Ok(()) => {
            classes::note(meter, found);
            Verdict::Right
        }
        Err(how) => Verdict::Wrong(how),
    }
}

#[cfg(test)]
mod tests;

impl<'a> MeterTruth<'a> {
    fn new(run: &'a ExpectedRun, number: u32) -> Self {
        let hours = (0..run.fleet.hours()).filter(|&hour| run.has_any((number, hour))).collect();
        let mut assignments: BTreeMap<Channel, Vec<Assignment>> = BTreeMap::new();
        for assignment in run.fleet.assignments(number) {
            assignments.entry(assignment.channel.clone()).or_default().push(assignment);
        }
        Self { run, number, hours, assignments }
    }

    /// True if each uplink is stored of the sessions of which any is.
    fn is_whole(&self) -> bool {
        let uplinks = |hour: u32| self.run.session((self.number, hour)).uplinks.len();
        self.hours
            .iter()
            .all(|&hour| (0..uplinks(hour)).all(|position| self.run.has_raw((self.number, hour), position)))
    }

    /// The readings that have arrived, by channel.
    fn readings(&self) -> BTreeMap<String, Vec<TrueReading>> {
        let mut channels: BTreeMap<String, Vec<TrueReading>> = BTreeMap::new();
        for reading in self.run.fleet.readings(self.number, &self.hours) {
            channels.entry(reading.channel.clone()).or_default().push(reading);
        }
        channels
    }

    fn change(&self) -> Option<Change> {
        self.run.fleet.change(self.number).map(|(change, _)| change)
    }

    /// Times and numbers of the status messages that have arrived.
    fn statuses(&self) -> BTreeSet<(pulsegate_model::at::At, u32)> {
        let of_hours = self.hours.iter().flat_map(|&hour| self.run.session((self.number, hour)).uplinks);
        of_hours.filter(|uplink| uplink.is_status).map(|uplink| (uplink.at, uplink.sequence)).collect()
    }
}
