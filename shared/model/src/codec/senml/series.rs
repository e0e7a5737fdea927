//! The counts of a channel as a series, by what is known of their times.

use super::SenMlError;
use super::pack::Time;
use super::values::Notes;
use crate::at::At;
use crate::clock::ClockCheck;
use crate::codec::{Channel, Series};

/// A channel's counts, in the order of the pack.
pub(super) type Counts = Vec<(Time, u64)>;

/// Counts by the kind of their time.
#[derive(Default)]
struct Sorted {
    timed: Vec<(At, u64)>,
    /// With times that are not accepted, in seconds since 1970.
    undated: Vec<(i64, u64)>,
    ago: Vec<(u32, u64)>,
}

/// The series of a channel. A count whose time is not accepted is still a point if its place among the others is
/// certain: that is so if no count of the channel has another kind of time. The newest of them is the device's count
/// now, unless `is_set`, which tells that the pack has other times that are accepted.
pub(super) fn series(
    channel: &Channel,
    counts: &Counts,
    is_set: bool,
    clock: ClockCheck,
    notes: &mut Notes,
) -> Result<Series, SenMlError> {
    let Sorted { timed, mut undated, ago } = sorted(counts, clock)?;
    if !timed.is_empty() && !ago.is_empty() {
        return Err(SenMlError::MixedTimes(channel.to_string()));
    }
    notes.clock_not_set |= !undated.is_empty();
    if timed.is_empty() && ago.is_empty() {
        undated.sort_unstable_by(|a, b| b.cmp(a));
        undated.dedup();
        let counts = undated.into_iter().map(|(_, count)| count).collect();
        return Ok(Series::Undated { newest_is_now: !is_set, counts });
    }
    if !undated.is_empty() {
        let counts: Vec<String> = undated.iter().map(|(seconds, count)| format!("{count}@{seconds}")).collect();
        notes.add(&format!("undated_pulses:{channel}"), counts.join(" "));
    }
    Ok(if ago.is_empty() { Series::Timed(timed) } else { Series::Ago(ago) })
}

fn sorted(counts: &Counts, clock: ClockCheck) -> Result<Sorted, SenMlError> {
    let mut sorted = Sorted::default();
    for &(time, count) in counts {
        match time {
            Time::Absolute(seconds) => match clock.time(seconds) {
                Some(at) => sorted.timed.push((at, count)),
                None => sorted.undated.push((seconds, count)),
            },
            Time::Relative(seconds) => {
                let before = u32::try_from(seconds.unsigned_abs()).map_err(|_| SenMlError::Bounds("a time"))?;
                sorted.ago.push((before, count));
            }
        }
    }
    Ok(sorted)
}
