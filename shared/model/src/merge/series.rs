//! Series that are sent in several uplinks: one has the index of the first log, the others have increments to it.

use std::collections::BTreeMap;

use super::numbered::{Numbered, may_continue};
use super::{ChannelReport, Found, UnanchoredReason};
use crate::at::At;
use crate::pulse::modulo;

/// A series: the uplink that begins it, and the uplinks that continue it, by the log after which they do.
struct Series<'a> {
    anchor: &'a ChannelReport<'a>,
    first: u64,
    frames: BTreeMap<u16, Vec<&'a ChannelReport<'a>>>,
}

/// Adds the logs of each series as far as increments follow its first log without a gap; all other increments are
/// unanchored.
///
/// A frame computes the number of the first frame as if the device had sent nothing else in between. If the device has,
/// the first frame is the last one before it that begins a series, provided that all uplinks since then are available.
pub(super) fn chain(all: &[ChannelReport], uplinks: &Numbered, found: &mut Found) {
    let begun = all.iter().filter_map(|report| Some((report, report.begins_series()?)));
    let mut begun: Vec<Series> =
        begun.map(|(anchor, first)| Series { anchor, first, frames: BTreeMap::new() }).collect();
    let mut by_sequence: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (position, series) in begun.iter().enumerate() {
        if let Some(number) = series.anchor.uplink.sort.sequence {
            by_sequence.entry(number).or_default().push(position);
        }
    }
    for frame in all.iter().filter(|report| !report.counts.increments.is_empty()) {
        let near = |number: u32| {
            let positions = by_sequence.get(&number).into_iter().flatten().copied();
            positions.filter(|&position| begun[position].is_near(frame)).collect::<Vec<_>>()
        };
        let counted = frame.counts.series.filter(|&number| !near(number).is_empty());
        let number = counted.or_else(|| uplinks.last_before(frame.uplink, |number| !near(number).is_empty()));
        match number.map(near).as_deref() {
            Some(&[position]) => begun[position].take(frame),
            Some([_, ..]) => found.leave(frame, UnanchoredReason::Contradicting),
            _ => found.leave(frame, UnanchoredReason::AnchorMissing),
        }
    }
    for series in begun {
        series.put(found);
    }
}

impl<'a> Series<'a> {
    fn is_near(&self, frame: &ChannelReport) -> bool {
        may_continue(self.anchor.uplink.sort.at, frame.uplink.sort.at)
    }

    fn take(&mut self, frame: &'a ChannelReport<'a>) {
        self.frames.entry(frame.counts.after_log.unwrap_or_default()).or_default().push(frame);
    }

    fn put(self, found: &mut Found) {
        let bits = self.anchor.uplink.counter_bits.unwrap_or(64);
        let mut last = self.first;
        let mut logs = vec![last];
        let mut broken = None;
        for (&after_log, frames) in &self.frames {
            broken = broken.or_else(|| self.breaks(logs.len(), after_log, frames));
            if let Some(why) = broken {
                for frame in frames {
                    found.leave(frame, why);
                }
                continue;
            }
            for &increment in frames.iter().take(1).flat_map(|frame| &frame.counts.increments) {
                last = modulo(last.wrapping_add(increment.into()), bits);
                logs.push(last);
            }
        }
        let dated = logs.into_iter().enumerate().map(|(nth, index)| (index, self.time(nth)));
        found.put_indexes(self.anchor, dated.rev());
    }

    /// Why these frames do not continue the series after its last log; `None` if they do.
    fn breaks(&self, logs: usize, after_log: u16, frames: &[&ChannelReport]) -> Option<UnanchoredReason> {
        let settings = |report: &ChannelReport| (report.counts.log_period, report.uplink.counter_bits);
        let content = |report: &ChannelReport| (settings(report), report.counts.increments.clone());
        let alike = frames.windows(2).all(|pair| content(pair[0]) == content(pair[1]));
        if !alike || frames.iter().any(|frame| settings(frame) != settings(self.anchor)) {
            return Some(UnanchoredReason::Contradicting);
        }
        match usize::from(after_log).cmp(&logs) {
            std::cmp::Ordering::Less => Some(UnanchoredReason::Contradicting),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(UnanchoredReason::FrameMissing),
        }
    }

    /// The time of a log, the first being 0.
    fn time(&self, nth: usize) -> Option<At> {
        let (first, nth) = (self.anchor.counts.at?, u64::try_from(nth).ok()?);
        if nth == 0 {
            Some(first)
        } else {
            first.checked_add(u64::from(self.anchor.counts.log_period?).checked_mul(nth)?)
        }
    }
}
