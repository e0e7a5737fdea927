//! The uplinks that a fleet sends, in total and by network.

use rust_decimal::{Decimal, dec};
use serde::{Deserialize, Serialize};

/// Hours of a month in AWS's price examples.
pub const HOURS: Decimal = dec!(730);

/// Seconds of a month.
pub const SECONDS: Decimal = dec!(2_628_000);

/// The size of a fleet, and how often its meters send.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Meters.
    pub devices: u64,
    /// Uplinks of a meter in an hour.
    pub per_hour: Decimal,
    /// Part of the meters that is on Sigfox, from 0 to 1; the others are on NB-IoT.
    pub sigfox_share: Decimal,
    /// Sigfox device types; each has its own batch callback.
    pub device_types: u32,
}

/// The moment within its hour at which a meter sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Arrival {
    /// Each at its own moment, evenly distributed over the hour.
    Uniform,
    /// Evenly distributed over the first minute.
    TopOfHour,
    /// As `uniform`, with a random delay of up to five minutes in each hour.
    Jitter,
}

impl Load {
    /// The study's load: an uplink an hour, half of the meters on Sigfox.
    pub fn hourly(devices: u64) -> Self {
        Self { devices, per_hour: Decimal::ONE, sigfox_share: dec!(0.5), device_types: 1 }
    }

    /// The same load with `part` of the uplinks sent twice.
    #[must_use]
    pub fn repeated(&self, part: Decimal) -> Self {
        Self { per_hour: self.per_hour * (Decimal::ONE + part), ..self.clone() }
    }

    /// Uplinks in an hour.
    pub fn hour(&self) -> Decimal {
        Decimal::from(self.devices) * self.per_hour
    }

    /// Uplinks in a month.
    pub fn month(&self) -> Decimal {
        self.hour() * HOURS
    }

    /// Uplinks in a second, on average.
    pub fn second(&self) -> Decimal {
        self.hour() / dec!(3600)
    }

    /// Sigfox's part of `of`.
    pub fn sigfox(&self, of: Decimal) -> Decimal {
        of * self.sigfox_share
    }

    /// NB-IoT's part of `of`.
    pub fn nbiot(&self, of: Decimal) -> Decimal {
        of - self.sigfox(of)
    }

    /// Batch callbacks in a month: Sigfox makes one a second for each device type, unless there was no uplink.
    pub fn batches(&self) -> Decimal {
        self.sigfox(self.month()).min(SECONDS * Decimal::from(self.device_types))
    }
}
