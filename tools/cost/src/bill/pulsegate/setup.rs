//! The settings of this project's own design that its bill depends on.

use rust_decimal::Decimal;

use crate::aws::Processor;
use crate::load::Arrival;

/// Kind of Sigfox callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callbacks {
    /// One call for each uplink.
    Single,
    /// One call a second for each device type, with all uplinks of that second.
    Batch,
}

/// Payment for the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Database {
    /// By request
    OnDemand,
    /// By the hour, for a capacity
    Provisioned,
}

/// The settings of our design.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// Kind of Sigfox callbacks.
    pub callbacks: Callbacks,
    /// Payment for the tables.
    pub database: Database,
    /// Used part of a provisioned capacity.
    pub utilisation: Decimal,
    /// Retention of raw uplinks, days.
    pub raw_days: Decimal,
    /// Age of the fleet, months: pulses are kept for ever.
    pub months: Decimal,
    /// Retention of the stream, hours, up to a week.
    pub stream_hours: u32,
    /// True if the tables have point-in-time recovery.
    pub point_in_time: bool,
    /// Processor of functions and tasks.
    pub processor: Processor,
    /// The moment within the hour at which meters send; it determines shards and tasks.
    pub arrival: Arrival,
    /// Factor on the functions' measured time.
    pub slower: Decimal,
    /// Part of the uplinks that arrives twice, because an acknowledgement was lost or a call timed out.
    pub repeats: Decimal,
    /// How Lambda batches messages for an invocation.
    pub batching: Batching,
    /// Number of distinct metrics; `None` for the measured number.
    pub metrics: Option<Decimal>,
}

/// How Lambda batches messages for an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Batching {
    /// As measured
    Measured,
    /// By the template's batching windows, separately for each of Lambda's pollers
    Template,
}
