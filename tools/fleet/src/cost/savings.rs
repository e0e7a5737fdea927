//! What would change our bill, and by how much: each change by itself.

use rust_decimal::{Decimal, dec};

use super::aws::Processor;
use super::designs::{Design, Inputs};
use super::limits::SHARE;
use super::load::Load;
use super::ours::{Callbacks, Database, Setup};
use crate::Problem;

/// A change, and what it saves a month; what is below zero would cost more.
#[derive(Debug, Clone, PartialEq)]
pub struct Saving {
    /// What is changed.
    pub change: &'static str,
    /// Exact.
    pub amount: Decimal,
}

/// Metrics that alarms and scaling look at.
const METRICS_IN_USE: Decimal = dec!(3);

/// How long raw uplinks are kept in the change that keeps them for less time.
const SHORT: Decimal = dec!(30);

/// The changes that a design of ours does not have yet, the largest saving first; none for others'.
///
/// # Errors
/// [`Problem::Wrong`] if a price is missing.
pub fn of(design: &Design, load: &Load, inputs: &Inputs) -> Result<Vec<Saving>, Problem> {
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
    vec![
        ("batch callbacks instead of single ones", with(|s| s.callbacks = Callbacks::Batch)),
        ("tables provisioned instead of paid by request", with(|s| s.database = Database::Provisioned)),
        ("raw uplinks kept for 30 days", with(|s| s.raw_days = s.raw_days.min(SHORT))),
        ("no point-in-time recovery", with(|s| s.point_in_time = false)),
        ("arm64 instead of x86_64", with(|s| s.processor = Processor::Arm)),
        ("only the metrics that alarms and scaling look at", with(|s| s.metrics = Some(METRICS_IN_USE))),
        ("functions with all of their time on a seventh of a processor", with(|s| s.slower *= SHARE)),
    ]
}
