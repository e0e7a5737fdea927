//! The uplinks of a device by message counter, to find the one that a later uplink continues.

use std::collections::BTreeMap;

use super::UplinkCounts;
use crate::at::At;
use crate::device::Network;
use crate::pulse::sequence_before;

/// The longest time from the uplink that begins a series to one that continues it, in seconds. A device sends them one
/// after the other, 13 at most, and Sigfox's duty cycle permits six an hour. Within that time no number repeats (Sigfox
/// counts to 4,096, at 140 uplinks a day), unless the counter restarts, for example with a new battery. Such a restart
/// cannot be detected.
pub(super) const LONGEST_SERIES: i64 = 2 * 60 * 60;

/// The uplink that continues a series may be dated this much earlier, in seconds: each is dated by the stations that
/// received it, to the second.
pub(super) const EARLIER: i64 = 60;

/// Uplinks by number, whatever their content.
pub(super) struct Numbered<'a> {
    network: Network,
    by_number: BTreeMap<u32, Vec<&'a UplinkCounts>>,
}

impl<'a> Numbered<'a> {
    pub(super) fn new(network: Network, uplinks: impl IntoIterator<Item = &'a UplinkCounts>) -> Self {
        let mut by_number: BTreeMap<u32, Vec<&UplinkCounts>> = BTreeMap::new();
        for uplink in uplinks {
            if let Some(number) = uplink.sort.sequence {
                by_number.entry(number).or_default().push(uplink);
            }
        }
        Self { network, by_number }
    }

    /// The number of the last uplink before this one that satisfies `is_it`. `None` if an uplink in between is not
    /// available, or if two have the same number, because it is unknown which one was sent then.
    pub(super) fn last_before(&self, uplink: &UplinkCounts, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut number = uplink.sort.sequence?;
        loop {
            number = sequence_before(self.network, number, 1);
            let with_it = self.by_number.get(&number)?.iter();
            if with_it.filter(|before| may_continue(before.sort.at, uplink.sort.at)).count() != 1
                || Some(number) == uplink.sort.sequence
            {
                return None;
            }
            if is_it(number) {
                return Some(number);
            }
        }
    }
}

/// True if an uplink may continue a series that began at `begun`.
pub(super) fn may_continue(begun: At, at: At) -> bool {
    (-EARLIER..=LONGEST_SERIES).contains(&(at.unix() - begun.unix()))
}
