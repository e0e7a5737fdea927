//! The frames of the meters, written from their makers' documents and not with the codecs, so that the two can disagree.

use pulsegate_model::at::At;
use pulsegate_model::device::{DeviceId, Imei};

use super::setting::Setting;

pub(super) mod adeunis;
pub(super) mod dragino;
pub(super) mod efento;
pub(super) mod senml;

/// The data of a meter in a session.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) device: DeviceId,
    /// The modem of an NB-IoT meter.
    pub(super) modem: Imei,
    /// The time now, by the meter's or the network's clock.
    pub(super) at: At,
    /// The sequence of the first uplink.
    pub(super) sequence: u32,
    pub(super) setting: Setting,
    /// The pulses of input A since the last session.
    pub(super) pulses: u32,
    /// At least one, the newest first.
    pub(super) logs: Vec<Log>,
    /// True if there is a leak.
    pub(super) leaks: bool,
    pub(super) low_battery: bool,
    pub(super) battery_mv: u16,
    /// As the modem reports it.
    pub(super) signal: u8,
}

/// The indexes at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) at: At,
    /// True if the clock that shows this time is wrong.
    pub(super) is_undated: bool,
    /// The count since the start, without roll-over and reset.
    pub(super) counted: i64,
    pub(super) a: u64,
    pub(super) b: u64,
    /// True if both indexes are wrong.
    pub(super) is_garbled: bool,
}

impl Report {
    /// The newest log.
    fn now(&self) -> Log {
        self.logs.first().copied().unwrap_or(Log {
            at: self.at,
            is_undated: false,
            counted: 0,
            a: 0,
            b: 0,
            is_garbled: false,
        })
    }
}

/// A count in a field of 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "a counter of 32 bits rolls over")]
fn low32(count: u64) -> u32 {
    count as u32
}
