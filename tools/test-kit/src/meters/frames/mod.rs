//! The bytes that meters send, written from their makers' documents and not with the codecs, so that the two can disagree.

use pulsegate_model::at::At;
use pulsegate_model::device::{DeviceId, Imei};

pub(super) mod adeunis;
pub(super) mod dragino;
pub(super) mod efento;
pub(super) mod senml;

/// What a meter has to tell in a session.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) device: DeviceId,
    /// The modem of an NB-IoT meter.
    pub(super) modem: Imei,
    /// Now, as the meter's or the network's clock has it.
    pub(super) at: At,
    /// Of the first uplink.
    pub(super) sequence: u32,
    /// The newest first, and one at least.
    pub(super) logs: Vec<Log>,
    /// Water always runs.
    pub(super) leaks: bool,
    pub(super) low_battery: bool,
    pub(super) battery_mv: u16,
    /// As the modem reports it.
    pub(super) signal: u8,
}

/// What the counters show at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) at: At,
    /// What was counted since the start, whatever the counters show.
    pub(super) counted: i64,
    pub(super) a: u64,
    pub(super) b: u64,
}

impl Report {
    /// What the counters show now.
    fn now(&self) -> Log {
        self.logs.first().copied().unwrap_or(Log { at: self.at, counted: 0, a: 0, b: 0 })
    }
}

/// A count as a field of 32 bits holds it.
#[expect(clippy::cast_possible_truncation, reason = "that is how such a counter starts again at zero")]
fn low32(count: u64) -> u32 {
    count as u32
}
