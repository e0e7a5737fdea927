//! The log that follows the head: what of it is a point in time, and where the rest of it is kept.

use super::{Details, Flag, Reading, Series, clock};
use crate::at::At;

/// What the log holds of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Record {
    /// The counter.
    pub(super) count: u32,
    /// What else there is, in its order.
    pub(super) own: Vec<u32>,
    /// Seconds since 1970, by the device's clock.
    pub(super) time: u32,
}

impl Record {
    /// A place of the log that nothing was written to yet. The maker's newer decoder skips these too.
    fn is_empty(&self) -> bool {
        self.time == 0 && self.count == 0 && self.own.iter().all(|&value| value == 0)
    }

    fn at(&self) -> Option<At> {
        clock(self.time)
    }
}

/// The points of a frame. What is no point is told in the reading's details, so that nothing of the log gets lost.
///
/// A count without a time is as good as any other, so long as its place among the others is certain: with a clock that
/// nobody set that is so for a log that its own times put into the order in which it was sent.
pub(super) fn series(time: u32, count: u32, log: &[Record], reading: &mut Reading) -> Series {
    let (empty, log): (Vec<_>, Vec<_>) = log.iter().partition(|record| record.is_empty());
    if !empty.is_empty() {
        reading.details.insert("empty_records", i64::try_from(empty.len()).unwrap_or(i64::MAX));
    }
    tell_own(time, &log, &mut reading.details);

    let (dated, undated): (Vec<&Record>, Vec<&Record>) = log.iter().partition(|record| record.at().is_some());
    if !undated.is_empty() {
        reading.flags.insert(Flag::ClockNotSet.into());
    }
    let counts = |log: &[&Record]| log.iter().map(|record| record.count.into()).collect::<Vec<u64>>();
    match clock(time) {
        Some(now) => {
            tell_counts("undated_pulses", &undated, &mut reading.details);
            let points = dated.iter().filter_map(|record| Some((record.at()?, record.count.into())));
            Series::Timed([(now, count.into())].into_iter().chain(points).collect())
        }
        None if dated.is_empty() && is_newest_first(time, &undated) => {
            Series::Undated { newest_is_now: true, counts: [vec![count.into()], counts(&undated)].concat() }
        }
        None => {
            tell_counts("undated_pulses", &undated, &mut reading.details);
            tell_counts("logged_pulses", &dated, &mut reading.details);
            Series::Logs(vec![count.into()])
        }
    }
}

fn is_newest_first(time: u32, log: &[&Record]) -> bool {
    let times = [time].into_iter().chain(log.iter().map(|record| record.time));
    times.is_sorted_by(|later, earlier| later >= earlier)
}

/// Counts that are no points, each as `count@seconds since 1970`.
fn tell_counts(name: &'static str, log: &[&Record], details: &mut Details) {
    if !log.is_empty() {
        details.insert(name, joined(log, |record| format!("{}@{}", record.count, record.time)));
    }
}

/// What records hold besides, each as `value,...`. They are in the order of the points, where each is earlier than the one
/// before it. Otherwise each ends with `@` and how many seconds it is before the head, and one that repeats the record
/// before it is not told again.
fn tell_own(time: u32, log: &[&Record], details: &mut Details) {
    let mut log: Vec<&Record> = log.iter().copied().filter(|record| !record.own.is_empty()).collect();
    if log.is_empty() {
        return;
    }
    let own = |record: &Record| record.own.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let times = [time].into_iter().chain(log.iter().map(|record| record.time));
    let are_points = log.iter().all(|record| record.at().is_some());
    let text = if are_points && times.is_sorted_by(|later, earlier| later > earlier) {
        joined(&log, own)
    } else {
        log.dedup();
        joined(&log, |record| format!("{}@{}", own(record), i64::from(time) - i64::from(record.time)))
    };
    details.insert("records", text);
}

fn joined(log: &[&Record], tell: impl Fn(&Record) -> String) -> String {
    log.iter().map(|record| tell(record)).collect::<Vec<_>>().join(" ")
}
