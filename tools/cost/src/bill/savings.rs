//! Changes that would reduce our bill, each calculated separately.

use rust_decimal::{Decimal, dec};

use super::designs::{Design, Inputs};
use super::pulsegate::setup::{Callbacks, Database, Setup, Store};
use crate::Error;
use crate::aws::Processor;
use crate::limits::SHARE;
use crate::load::Load;

/// A change and its monthly saving; a negative one is an additional cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Saving {
    /// Description of the change.
    pub change: &'static str,
    /// Exact monthly saving.
    pub amount: Decimal,
}

/// Number of metrics that alarms and scaling use.
const METRICS_IN_USE: Decimal = dec!(3);

/// Days in the changes that shorten the retention of raw uplinks, and of pulses.
const SHORT: Decimal = dec!(30);
/// See [`SHORT`].
const SHORT_PULSES: Decimal = dec!(35);

/// Returns the changes that one of our designs lacks, the largest saving first; none for other designs.
///
/// # Errors
/// [`Error::Invalid`] if a price is missing.
pub fn of(design: &Design, load: &Load, inputs: &Inputs) -> Result<Vec<Saving>, Error> {
    let Design::Ours(name, setup) = design else { return Ok(Vec::new()) };
    let now = design.bill(load, inputs)?.total();
    let mut savings = Vec::new();
    for (change, changed) in changes(setup).into_iter().filter(|(_, changed)| changed != &**setup) {
        let then = Design::Ours(name.clone(), Box::new(changed)).bill(load, inputs)?.total();
        savings.push(Saving { change, amount: now - then });
    }
    savings.sort_by_key(|saving| std::cmp::Reverse(saving.amount));
    Ok(savings)
}

fn changes(setup: &Setup) -> Vec<(&'static str, Setup)> {
    let with = |change: fn(&mut Setup)| {
        let mut changed = setup.clone();
        change(&mut changed);
        changed
    };
    let mut changes = vec![
        ("batch callbacks instead of single ones", with(|s| s.callbacks = Callbacks::Batch)),
        ("arm64 instead of x86_64", with(|s| s.processor = Processor::Arm)),
        ("only the metrics that alarms and scaling use", with(|s| s.metrics = Some(METRICS_IN_USE))),
        ("function time on a seventh of a processor, without settle and derive", with(|s| s.slower *= SHARE)),
    ];
    if setup.store.tables() > 0 {
        changes.push(("tables provisioned instead of paid by request", with(|s| s.database = Database::Provisioned)));
        changes.push(("no point-in-time recovery", with(|s| s.point_in_time = false)));
        changes.push(("archive only", with(|s| s.store = Store::Archive)));
    }
    match setup.store {
        Store::Tables => {
            changes.push(("raw uplinks kept for 30 days", with(|s| s.raw_days = s.raw_days.min(SHORT))));
        }
        Store::Pulses => changes.push((
            "pulses kept for 35 days in their table",
            with(|s| s.pulse_days = Some(s.pulse_days.map_or(SHORT_PULSES, |days| days.min(SHORT_PULSES)))),
        )),
        Store::Archive => {}
    }
    if setup.store.has_archive() {
        changes.push(("settled every hour", with(|s| s.settle_minutes = s.settle_minutes.max(dec!(60)))));
    }
    changes
}
