//! The ledger: for a device, channel and local day, which readings there are and how much of the volume is known for
//! certain. `docs/completeness.md` explains the columns.
//!
//! Timed + spread + unplaced = the volume, always: a pulse can only hide in a break, and breaks are counted.

use serde::{Deserialize, Serialize};

mod numbers;
mod volume;

pub use numbers::{Gap, Numbering, numbering};
pub use volume::{VolumeOfDay, volume_of_day};

/// The ledger of a channel and a local day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Slots of the log period with a reading. At least one: the day is read.
    pub slots_read: u32,
    /// Slots of the day: its 23 to 25 hours by the log period. `None` if the log period is unknown.
    pub slots_expected: Option<u32>,
    /// Uplinks of the device that arrived on this day.
    pub uplinks: u32,
    /// Uplinks that no codec reads.
    pub undecodable: u32,
    /// Uplinks that were sent and never arrived, by the numbers of those that did, on the day of the uplink that proves it.
    pub uplinks_lost: u32,
    /// Those of them whose readings later uplinks repeated.
    pub lost_but_covered: u32,
    /// Restarts of the numbering: uplinks lost around one are unknown.
    pub restarts: u32,
    /// Volume of steps of at most one and a half log periods, in thousandths of the unit.
    pub timed: i64,
    /// Volume of longer steps, of at most 72 hours: its sum is certain, its distribution is not.
    pub spread: i64,
    /// Volume of still longer steps, on the day on which they end: it is in no interval.
    pub unplaced: i64,
    /// The part of the volume that was counted after a reset: a lower bound.
    pub after_break: i64,
    /// Breaks of the index: resets, decreases, implausible steps, and changes of the meter without its indexes.
    pub breaks: u32,
}

impl Ledger {
    /// True if there is a reading of the day.
    pub fn is_read(&self) -> bool {
        self.slots_read > 0
    }

    /// True if each slot has a reading; `None` if their number is unknown.
    pub fn is_complete(&self) -> Option<bool> {
        self.slots_expected.map(|expected| self.slots_read >= expected)
    }

    /// The volume of the day.
    pub fn volume(&self) -> i64 {
        self.timed.saturating_add(self.spread).saturating_add(self.unplaced)
    }
}
