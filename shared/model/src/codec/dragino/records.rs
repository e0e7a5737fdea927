//! The log after the head: its points, and details for the rest.

use super::{Details, Flag, Reading, Series};
use crate::at::At;
use crate::clock::ClockCheck;

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Record {
    /// The count.
    pub(super) count: u32,
    /// The other fields, in order.
    pub(super) own: Vec<u32>,
    /// Seconds since 1970, by the device's clock.
    pub(super) time: u32,
}

impl Record {
    /// True if this place of the log was never written. The maker's newer decoder skips these too.
    fn is_empty(&self) -> bool {
        self.time == 0 && self.count == 0 && self.own.iter().all(|&value| value == 0)
    }

    fn at(&self, clock: ClockCheck) -> Option<At> {
        clock.time(self.time)
    }
}

/// The count of the pulses since the last uplink. It has a time only if the clock is set: sent again, it would get
/// another time and count twice. The records become details: each may contain the count of the one before it.
pub(super) fn counted(time: u32, count: u32, log: &[Record], clock: ClockCheck, reading: &mut Reading) -> Series {
    let log = without_empty(log, &mut reading.details);
    insert_own(time, &log, clock, &mut reading.details);
    insert_counts("logged_pulses", &log, &mut reading.details);
    Series::Counted(Box::new(match clock.time(time) {
        Some(now) => Series::Timed(vec![(now, count.into())]),
        None => Series::Undated { newest_is_now: false, counts: vec![count.into()] },
    }))
}

/// The points of a frame with cumulative counts. Records that are not points are kept in the reading's details, so that nothing of the log is
/// lost.
///
/// A count without a time is still a point if its place among the others is certain. If the clock is not set, it is
/// certain in a log whose times are in the order in which the records were sent.
pub(super) fn series(time: u32, count: u32, log: &[Record], clock: ClockCheck, reading: &mut Reading) -> Series {
    let log = without_empty(log, &mut reading.details);
    insert_own(time, &log, clock, &mut reading.details);

    let (dated, undated): (Vec<&Record>, Vec<&Record>) = log.iter().partition(|record| record.at(clock).is_some());
    if !undated.is_empty() {
        reading.flags.insert(Flag::ClockNotSet.into());
    }
    let counts = |log: &[&Record]| log.iter().map(|record| record.count.into()).collect::<Vec<u64>>();
    match clock.time(time) {
        Some(now) => {
            insert_counts("undated_pulses", &undated, &mut reading.details);
            let points = dated.iter().filter_map(|record| Some((record.at(clock)?, record.count.into())));
            Series::Timed([(now, count.into())].into_iter().chain(points).collect())
        }
        None if dated.is_empty() && is_newest_first(time, &undated) => {
            Series::Undated { newest_is_now: true, counts: [vec![count.into()], counts(&undated)].concat() }
        }
        None => {
            insert_counts("undated_pulses", &undated, &mut reading.details);
            insert_counts("logged_pulses", &dated, &mut reading.details);
            Series::Logs(vec![count.into()])
        }
    }
}

/// The records but for empty ones, of which it adds the number to the details.
fn without_empty<'a>(log: &'a [Record], details: &mut Details) -> Vec<&'a Record> {
    let (empty, log): (Vec<&Record>, Vec<&Record>) = log.iter().partition(|record| record.is_empty());
    if !empty.is_empty() {
        details.insert("empty_records", i64::try_from(empty.len()).unwrap_or(i64::MAX));
    }
    log
}

fn is_newest_first(time: u32, log: &[&Record]) -> bool {
    let times = [time].into_iter().chain(log.iter().map(|record| record.time));
    times.is_sorted_by(|later, earlier| later >= earlier)
}

/// Adds counts that are not points to the details, each as `count@seconds since 1970`.
fn insert_counts(name: &'static str, log: &[&Record], details: &mut Details) {
    if !log.is_empty() {
        details.insert(name, joined(log, |record| format!("{}@{}", record.count, record.time)));
    }
}

/// Adds the other fields of records to the details, each record as `value,...`. They are in the order of the points if
/// each is earlier than the one before it. Otherwise each ends with `@` and its seconds before the head, and a record
/// that repeats the one before it is left out.
fn insert_own(time: u32, log: &[&Record], clock: ClockCheck, details: &mut Details) {
    let mut log: Vec<&Record> = log.iter().copied().filter(|record| !record.own.is_empty()).collect();
    if log.is_empty() {
        return;
    }
    let own = |record: &Record| record.own.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let times = [time].into_iter().chain(log.iter().map(|record| record.time));
    let are_points = log.iter().all(|record| record.at(clock).is_some());
    let text = if are_points && times.is_sorted_by(|later, earlier| later > earlier) {
        joined(&log, own)
    } else {
        log.dedup();
        joined(&log, |record| format!("{}@{}", own(record), i64::from(time) - i64::from(record.time)))
    };
    details.insert("records", text);
}

fn joined(log: &[&Record], write: impl Fn(&Record) -> String) -> String {
    log.iter().map(|record| write(record)).collect::<Vec<_>>().join(" ")
}
