//! Schedule: which sessions are due, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use super::faults::Faults;
use super::ledger::Message;
use super::timers::Timers;
use crate::meters::Fleet;
use crate::run::Sessions;
use crate::spec::Arrival;

/// Maximum decrease of `Fleet::due` from one meter to the next with jitter.
const JITTER_MS: u64 = 5 * 60 * 1_000;

/// Virtual time: real time multiplied by the speed-up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    from_ms: u64,
    speed_up: f64,
}

impl Clock {
    /// A clock that shows `from_ms` now.
    pub(super) fn new(from_ms: u64, speed_up: f64) -> Self {
        Self { from_ms, speed_up }
    }

    /// Virtual milliseconds after `elapsed`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and far below 2^64")]
    pub(super) fn at(self, elapsed: Duration) -> u64 {
        self.from_ms + (elapsed.as_secs_f64() * self.speed_up * 1_000.0) as u64
    }
}

/// Something to send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// A session that starts.
    Session { meter: u32, hour: u32, counted: u32 },
    /// A later uplink of a session.
    Uplink(Message),
}

/// Iterates over the hours of a fleet, adds up the meters' counts, and returns what is due. Uses four bytes per meter.
#[derive(Debug)]
pub(super) struct Schedule {
    fleet: Arc<Fleet>,
    faults: Faults,
    ahead_ms: u64,
    hour: u32,
    n: u32,
    counted: Vec<u32>,
    /// Delayed sessions, sessions with jitter, and later uplinks.
    later: Timers<Due>,
    /// Sessions that were delayed on purpose.
    pub(super) reordered: u64,
    /// Sessions that arrive after the fleet's end on purpose.
    pub(super) late: u64,
    /// Sessions that were acknowledged before `--resume`.
    pub(super) skipped: u64,
}

impl Schedule {
    /// Starts at the first hour. A resumed run skips acknowledged sessions.
    pub(super) fn new(fleet: Arc<Fleet>, faults: Faults) -> Self {
        const STEP_MS: u64 = 10;
        let ahead_ms = if fleet.spec().arrival == Arrival::Jitter { JITTER_MS } else { 0 };
        let counted = vec![0; fleet.spec().devices as usize];
        let later = Timers::new(STEP_MS);
        Self { fleet, faults, ahead_ms, hour: 0, n: 0, counted, later, reordered: 0, late: 0, skipped: 0 }
    }

    /// Something that is due and not yet acknowledged. `None` may also mean that the caller should ask again later.
    pub(super) fn due(&mut self, now_ms: u64, sessions: &Sessions) -> Option<Due> {
        // A resumed run may skip millions of sessions; the limit lets the main loop do its other work.
        const MOST_PASSED: u32 = 10_000;
        if let Some(due) = self.later.due(now_ms) {
            return Some(due);
        }
        let mut passed = 0;
        while self.hour < self.fleet.hours() && passed < MOST_PASSED {
            passed += 1;
            let Some((meter, due_ms)) = self.fleet.due(self.hour, self.n) else {
                (self.hour, self.n) = (self.hour + 1, 0);
                continue;
            };
            if due_ms > now_ms + self.ahead_ms {
                return None;
            }
            self.n += 1;
            if let Some(due) = self.reach(meter, due_ms, now_ms, sessions) {
                return Some(due);
            }
        }
        None
    }

    /// Handles a session that the clock has reached: it is due, delayed, or already acknowledged.
    fn reach(&mut self, meter: u32, due_ms: u64, now_ms: u64, sessions: &Sessions) -> Option<Due> {
        let (hour, index) = (self.hour, meter as usize);
        self.counted[index] += self.fleet.pulses(meter, hour);
        let session = Due::Session { meter, hour, counted: self.counted[index] };
        let seed = self.fleet.spec().seed;
        let late_ms =
            self.faults.late_ms(seed, meter, hour).map(|late_ms| self.end_ms().saturating_sub(due_ms) + late_ms);
        let held_ms = late_ms.unwrap_or_else(|| self.faults.held_ms(seed, meter, hour));
        self.late += u64::from(late_ms.is_some());
        self.reordered += u64::from(held_ms > 0);
        if sessions.is_acknowledged(meter, hour) {
            self.skipped += 1;
            return None;
        }
        if due_ms + held_ms <= now_ms {
            return Some(session);
        }
        self.later.add(due_ms + held_ms, session);
        None
    }

    fn end_ms(&self) -> u64 {
        const HOUR_MS: u64 = 3_600_000;
        u64::from(self.fleet.hours()) * HOUR_MS
    }

    /// Schedules a later uplink of a started session.
    pub(super) fn later(&mut self, at_ms: u64, message: Message) {
        self.later.add(at_ms, Due::Uplink(message));
    }

    /// Number of reached sessions and later uplinks that are not yet due.
    pub(super) fn waiting(&self) -> usize {
        self.later.len()
    }

    /// True if nothing more will be due.
    pub(super) fn is_over(&self) -> bool {
        self.hour >= self.fleet.hours() && self.later.len() == 0
    }
}

/// Number of sessions of a fleet.
pub(super) fn sessions_of(fleet: &Fleet) -> u64 {
    (0..fleet.hours()).map(|hour| u64::from(fleet.sessions(hour))).sum()
}
