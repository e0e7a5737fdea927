//! The second byte of every frame, and the clock that some end with.

use super::super::{Flag, Reading, Undecodable, clock};
use super::Generation;
use crate::at::At;

/// 2013-01-01T00:00:00Z, where the devices' clock starts.
const CLOCK_EPOCH: i64 = 1_356_998_400;

/// In V4: the frame ends with a clock, if it is of a kind that does.
const CLOCK: u8 = 1 << 2;

/// As many bytes as an uplink over Sigfox has at most. A history of that length may be one that ends with two more steps instead.
const SIGFOX_MAX: usize = 12;

/// All bits but the frame counter's.
const FLAGS: u8 = 0x1F;

const CONFIGURATION_DONE: (u8, Flag) = (1, Flag::ConfigurationDone);
const LOW_BATTERY: (u8, Flag) = (1 << 1, Flag::LowBattery);
const HARDWARE_ERROR: (u8, Flag) = (1 << 2, Flag::HardwareError);
const INCONSISTENT: (u8, Flag) = (1 << 3, Flag::InconsistentConfiguration);

/// Reads a status byte without the bit that the clock has taken, if it has.
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

/// Cuts the clock off the frame's end when the status says that it is there. Only for frames of a kind that ends with one.
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
    let (body, clock) = frame.split_last_chunk().ok_or(Undecodable::TooShort(frame.len()))?;
    Ok((body, Some(Clock(u32::from_be_bytes(*clock)))))
}

/// A device's clock: seconds since 2013.
#[derive(Clone, Copy)]
pub(super) struct Clock(u32);

impl Clock {
    /// Unless nobody has set it.
    pub(super) fn time(self) -> Option<At> {
        clock(CLOCK_EPOCH + i64::from(self.0))
    }

    /// Dates the frame. Its counts carry the time on; where it has none, the details do.
    pub(super) fn date(self, reading: &mut Reading) {
        reading.clock = self.time();
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
