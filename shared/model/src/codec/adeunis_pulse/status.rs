//! The second byte of every frame, and the clock that some end with.

use super::super::{Flag, Reading, Undecodable};
use super::Generation;
use crate::at::At;
use crate::clock::ClockCheck;

/// 2013-01-01T00:00:00Z, where the devices' clock starts.
const CLOCK_EPOCH: i64 = 1_356_998_400;

/// In V4: the frame ends with a clock, if frames of its kind can.
pub(super) const CLOCK: u8 = 1 << 2;

/// The length of that clock in bytes.
pub(super) const CLOCK_LEN: usize = 4;

/// The longest Sigfox uplink, in bytes. A history of at most that length may end with two more steps instead of a
/// clock.
const SIGFOX_MAX: usize = 12;

/// All bits but the frame counter's.
const FLAGS: u8 = 0x1F;

const CONFIGURATION_DONE: (u8, Flag) = (1, Flag::ConfigurationDone);
const LOW_BATTERY: (u8, Flag) = (1 << 1, Flag::LowBattery);
const HARDWARE_ERROR: (u8, Flag) = (1 << 2, Flag::HardwareError);
const INCONSISTENT: (u8, Flag) = (1 << 3, Flag::InconsistentConfiguration);

/// Reads a status byte; without the clock's bit, if the frame has a clock.
pub(super) fn read(status: u8, generation: Generation, clock: Option<Clock>, reading: &mut Reading) {
    let known: &[_] = match generation {
        Generation::V2 => &[CONFIGURATION_DONE, LOW_BATTERY, HARDWARE_ERROR],
        Generation::V3 => &[CONFIGURATION_DONE, LOW_BATTERY, HARDWARE_ERROR, INCONSISTENT],
        Generation::V4 | Generation::V4Nbiot => &[CONFIGURATION_DONE, LOW_BATTERY],
    };
    let mut unknown = status & FLAGS & !clock.map_or(0, |_| CLOCK);
    for (bit, flag) in known.iter().filter(|(bit, _)| status & bit != 0) {
        reading.flags.insert((*flag).into());
        unknown &= !bit;
    }
    reading.details.insert("frame_counter", status >> 5);
    reading.details.insert_unknown("status", unknown);
}

/// Splits the clock off the end of the frame, if the status says that there is one. Only for kinds of frames that can
/// have one.
pub(super) fn cut_clock(
    frame: &[u8],
    status: u8,
    generation: Generation,
) -> Result<(&[u8], Option<Clock>), Undecodable> {
    let is_history = matches!(frame, [0x5A | 0x5B, ..]);
    let over_sigfox = generation == Generation::V4 && frame.len() <= SIGFOX_MAX;
    if !generation.is_v4() || status & CLOCK == 0 || (is_history && over_sigfox) {
        return Ok((frame, None));
    }
    let (body, clock) = frame.split_last_chunk::<CLOCK_LEN>().ok_or(Undecodable::TooShort(frame.len()))?;
    Ok((body, Some(Clock(u32::from_be_bytes(*clock)))))
}

/// A device's clock: seconds since 2013.
#[derive(Clone, Copy)]
pub(super) struct Clock(u32);

impl Clock {
    /// The time that it shows.
    pub(super) fn time(self) -> Option<At> {
        At::from_unix(CLOCK_EPOCH + i64::from(self.0)).ok()
    }

    /// Sets the time of the frame. It is in the frame's counts, or without counts in the details.
    pub(super) fn date(self, check: ClockCheck, reading: &mut Reading) {
        reading.clock = self.time().filter(|&shown| check.accepts(shown));
        match reading.clock {
            Some(at) if reading.channels.is_empty() => reading.details.insert("clock", at.to_string()),
            Some(_) => {}
            None => {
                reading.flags.insert(Flag::ClockNotSet.into());
                reading.details.insert("unset_clock_s", self.0);
            }
        }
    }
}
