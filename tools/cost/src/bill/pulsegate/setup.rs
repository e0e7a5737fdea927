//! The settings of this project's own design that its bill depends on.

use rust_decimal::{Decimal, dec};

use crate::aws::Processor;
use crate::load::Arrival;
use crate::template::{SETTLE_MINUTES, STREAM_HOURS};

/// Kind of Sigfox callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callbacks {
    /// One call for each uplink.
    Single,
    /// One call a second for each device type, with all uplinks of that second.
    Batch,
}

/// The place of uplinks and pulses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Store {
    /// Uplinks in the archive; pulses are decoded when they are read
    Archive,
    /// Uplinks in the archive, and pulses in a table as well
    Pulses,
    /// Uplinks and pulses in a table each: an earlier version of this design, for comparison
    #[value(skip)]
    Tables,
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
    /// The place of uplinks and pulses.
    pub store: Store,
    /// Kind of Sigfox callbacks.
    pub callbacks: Callbacks,
    /// Payment for the tables.
    pub database: Database,
    /// Used part of a provisioned capacity.
    pub utilisation: Decimal,
    /// Retention of a table of raw uplinks, days.
    pub raw_days: Decimal,
    /// Retention of the archive, days; `None` for ever.
    pub archive_days: Option<Decimal>,
    /// Retention of pulses in their table, days; `None` for ever.
    pub pulse_days: Option<Decimal>,
    /// Minutes between runs of `settle`.
    pub settle_minutes: Decimal,
    /// True if a key of KMS encrypts the bucket.
    pub kms: bool,
    /// Age of the fleet, months.
    pub months: Decimal,
    /// Retention of the stream, hours, up to a week.
    pub stream_hours: u32,
    /// True if tables have point-in-time recovery.
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

impl Setup {
    /// The template's defaults, for a fleet of a year with batch callbacks.
    pub fn usual(store: Store) -> Self {
        Self {
            store,
            callbacks: Callbacks::Batch,
            database: Database::OnDemand,
            utilisation: dec!(0.8),
            raw_days: dec!(400),
            archive_days: None,
            pulse_days: None,
            settle_minutes: SETTLE_MINUTES.into(),
            kms: false,
            months: dec!(12),
            stream_hours: STREAM_HOURS,
            point_in_time: true,
            processor: Processor::X86,
            arrival: Arrival::Uniform,
            slower: Decimal::ONE,
            repeats: Decimal::ZERO,
            batching: Batching::Measured,
            metrics: None,
        }
    }
}

/// A retention in days, of which 0 is for ever.
pub fn kept(days: u32) -> Option<Decimal> {
    (days > 0).then(|| Decimal::from(days))
}

impl Store {
    /// Tables with a capacity of their own. Device events are few, and paid by request.
    pub fn tables(self) -> u32 {
        match self {
            Self::Archive => 0,
            Self::Pulses => 1,
            Self::Tables => 2,
        }
    }

    /// A title for charts.
    pub fn title(self) -> &'static str {
        match self {
            Self::Archive => "archive only",
            Self::Pulses => "archive, and pulses in a table",
            Self::Tables => "two tables",
        }
    }

    /// True if uplinks are in the archive.
    pub fn has_archive(self) -> bool {
        self != Self::Tables
    }

    /// True if the second hop exists: queues of pulses, and the functions behind them.
    pub fn has_pulses(self) -> bool {
        self != Self::Archive
    }
}
