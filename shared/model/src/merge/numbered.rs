//! The uplinks of a device by its message counter, to find the one that a later one goes on with.

use std::collections::BTreeMap;

use super::UplinkCounts;
use crate::at::At;
use crate::device::Network;
use crate::pulse::sequence_before;

/// The longest time from the uplink that begins a series to one that goes on with it, in seconds. They are sent one after the
/// other, 13 at most, and of those Sigfox's duty cycle lets a device send six an hour. A counter that starts again within that
/// time, as with a new battery, is not told from one that goes on; otherwise no number comes twice: Sigfox counts to 4,096, at
/// 140 uplinks a day.
const LONGEST_SERIES: i64 = 2 * 60 * 60;

/// As much earlier may the later one be dated: each is dated by the stations that received it, to the second.
const EARLIER: i64 = 60;

/// Uplinks by number, whatever they tell.
pub(super) struct Numbered<'a> {
    network: Network,
    by_number: BTreeMap<u32, Vec<&'a UplinkCounts>>,
}

impl<'a> Numbered<'a> {
    pub(super) fn new(network: Network, told: impl IntoIterator<Item = &'a UplinkCounts>) -> Self {
        let mut by_number: BTreeMap<u32, Vec<&UplinkCounts>> = BTreeMap::new();
        for uplink in told {
            if let Some(number) = uplink.sequence {
                by_number.entry(number).or_default().push(uplink);
            }
        }
        Self { network, by_number }
    }

    /// The number of the last uplink before this one that is what is asked for, if all in between are at hand. Of two that have
    /// a number in common nobody knows which one it was.
    pub(super) fn last_before(&self, uplink: &UplinkCounts, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut number = uplink.sequence?;
        loop {
            number = sequence_before(self.network, number, 1);
            let with_it = self.by_number.get(&number)?.iter();
            if with_it.filter(|before| goes_on(before.at, uplink.at)).count() != 1 || Some(number) == uplink.sequence {
                return None;
            }
            if is_it(number) {
                return Some(number);
            }
        }
    }
}

/// Whether an uplink may go on with a series that was begun then.
pub(super) fn goes_on(begun: At, at: At) -> bool {
    (-EARLIER..=LONGEST_SERIES).contains(&(at.unix() - begun.unix()))
}
