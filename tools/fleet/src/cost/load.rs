//! How much a fleet sends.

use rust_decimal::{Decimal, dec};

/// Hours of a month, as AWS reckons.
pub const HOURS: Decimal = dec!(730);

/// Seconds of a month.
pub const SECONDS: Decimal = dec!(2_628_000);

/// How much a fleet sends.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Meters.
    pub devices: u64,
    /// Uplinks of a meter in an hour.
    pub per_hour: Decimal,
    /// Which part of the meters is on Sigfox, from 0 to 1; the others are on NB-IoT.
    pub sigfox_share: Decimal,
    /// Sigfox device types: each has a batch callback of its own.
    pub device_types: u32,
}

impl Load {
    /// As the study has it: an uplink an hour, half of the meters on Sigfox.
    pub fn hourly(devices: u64) -> Self {
        Self { devices, per_hour: Decimal::ONE, sigfox_share: dec!(0.5), device_types: 1 }
    }

    /// The same with a part of it sent once more.
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

    /// Uplinks in a second, if they came evenly.
    pub fn second(&self) -> Decimal {
        self.hour() / dec!(3600)
    }

    /// The part of such a number that is Sigfox's.
    pub fn sigfox(&self, of: Decimal) -> Decimal {
        of * self.sigfox_share
    }

    /// The part of such a number that is NB-IoT's.
    pub fn nbiot(&self, of: Decimal) -> Decimal {
        of - self.sigfox(of)
    }

    /// Batch callbacks in a month: Sigfox makes one a second and device type, of what has come, and none where nothing has.
    pub fn batches(&self) -> Decimal {
        self.sigfox(self.month()).min(SECONDS * Decimal::from(self.device_types))
    }
}
