//! Faults that have happened in the meters that were compared: an audit of a fault that did not happen shows nothing.

use pulsegate_model::consumption::Mark;
use pulsegate_model::device::Network;

use super::super::expected_run::ExpectedRun;
use super::super::findings::ConsumptionFindings;
use super::MeterTruth;
use crate::meters::{Change, Transport};

/// Notes the faults of a meter that was compared, besides those that are marks.
pub(super) fn note(meter: &MeterTruth<'_>, found: &mut ConsumptionFindings) {
    let (fleet, number) = (&meter.run.fleet, meter.number);
    let numbered = fleet.numbered(number);
    let of = fleet.meter(number);
    let faults = [
        ("loss of power", meter.change() == Some(Change::PowerLoss)),
        ("swap", meter.change() == Some(Change::Swap)),
        ("untold swap", meter.change() == Some(Change::UntoldSwap)),
        ("lost uplinks", numbered.iter().any(|each| each.is_lost)),
        ("status messages", numbered.iter().any(|each| each.is_status && meter.hours.contains(&each.hour))),
        ("counts of periods", !fleet.counts(number, &meter.hours).is_empty()),
        ("no number", of.transport == Transport::Efento),
        ("drifting clock", of.device.network() == Network::Nbiot && fleet.spec().clock_drift > 0.0),
    ];
    for (name, _) in faults.iter().filter(|(_, has_happened)| *has_happened) {
        *found.happened.entry((*name).to_owned()).or_default() += 1;
    }
}

/// The faults that runs were to have and have not had.
pub(in crate::audit) fn not_happened(runs: &[ExpectedRun], found: &ConsumptionFindings) -> Vec<String> {
    let asked = |of: fn(&ExpectedRun) -> bool| runs.iter().any(of);
    let classes = [
        (Mark::Rollover.name(), asked(|run| run.fleet.spec().rollover_share > 0.0)),
        (Mark::Reset.name(), asked(|run| run.fleet.spec().reset_share > 0.0)),
        ("loss of power", asked(|run| run.fleet.spec().faults.power_loss > 0.0)),
        ("swap", asked(|run| run.fleet.spec().faults.swap > 0.0 && run.fleet.spec().faults.assigned > 0.0)),
        ("untold swap", asked(|run| run.fleet.spec().faults.untold_swap > 0.0)),
        (Mark::Implausible.name(), asked(|run| run.fleet.spec().faults.untold_swap > 0.0)),
        (
            Mark::MeterChanged.name(),
            asked(|run| run.fleet.spec().faults.swap > 0.0 && run.fleet.spec().faults.assigned > 0.0),
        ),
        (Mark::Outlier.name(), asked(|run| run.fleet.spec().faults.garbled > 0.0)),
        (Mark::Contradicted.name(), asked(|run| run.fleet.spec().faults.garbled > 0.0)),
        ("lost uplinks", asked(|run| run.fleet.spec().faults.lost > 0.0)),
        ("status messages", asked(|run| run.fleet.spec().faults.status > 0.0)),
        ("counts of periods", asked(|run| run.fleet.spec().odd_settings > 0.0)),
        ("drifting clock", asked(|run| run.fleet.spec().clock_drift > 0.0)),
    ];
    let has_not = |(name, is_asked): &(&str, bool)| *is_asked && !found.happened.contains_key(*name);
    classes.iter().filter(|class| has_not(class)).map(|(name, _)| (*name).to_owned()).collect()
}
