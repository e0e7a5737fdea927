//! What is due, by the fleet's own clock.

use std::sync::Arc;
use std::time::Duration;

use super::faults::Faults;
use super::ledger::Message;
use super::timers::Timers;
use crate::meters::Fleet;
use crate::run::Sessions;
use crate::spec::Arrival;

/// By how much `Fleet::due` may go back from one meter to the next where meters jitter.
const JITTER_MS: u64 = 5 * 60 * 1_000;

/// Virtual time. It runs with real time, so many times as fast.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    from_ms: u64,
    speed_up: f64,
}

impl Clock {
    /// That shows so many milliseconds now.
    pub(super) fn new(from_ms: u64, speed_up: f64) -> Self {
        Self { from_ms, speed_up }
    }

    /// What it shows after so long.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and far below 2^64")]
    pub(super) fn at(self, elapsed: Duration) -> u64 {
        self.from_ms + (elapsed.as_secs_f64() * self.speed_up * 1_000.0) as u64
    }
}

/// Something to be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// A session, of which it is not known yet what it is.
    Session { meter: u32, hour: u32, counted: u32 },
    /// A later uplink of a session.
    Uplink(Message),
}

/// Goes through the hours of a fleet, adds up what its meters count, and says what is due. Of a meter it keeps four bytes.
#[derive(Debug)]
pub(super) struct Schedule {
    fleet: Arc<Fleet>,
    faults: Faults,
    ahead_ms: u64,
    hour: u32,
    n: u32,
    counted: Vec<u32>,
    /// What was held back, comes a little later by jitter, or is a later uplink.
    later: Timers<Due>,
    /// Sessions that were held back on purpose.
    pub(super) reordered: u64,
    /// Sessions that were acknowledged before the run was gone on with.
    pub(super) skipped: u64,
}

impl Schedule {
    /// From the fleet's first hour on. A run that is gone on with passes over what is acknowledged already.
    pub(super) fn new(fleet: Arc<Fleet>, faults: Faults) -> Self {
        const STEP_MS: u64 = 10;
        let ahead_ms = if fleet.spec().arrival == Arrival::Jitter { JITTER_MS } else { 0 };
        let counted = vec![0; fleet.spec().devices as usize];
        let later = Timers::new(STEP_MS);
        Self { fleet, faults, ahead_ms, hour: 0, n: 0, counted, later, reordered: 0, skipped: 0 }
    }

    /// Something that is due by now and not acknowledged yet. `None` may also mean that it is to be asked again.
    pub(super) fn due(&mut self, now_ms: u64, sessions: &Sessions) -> Option<Due> {
        // A run that is gone on with passes over millions; the rest wants to be looked after meanwhile.
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

    /// A session that the clock has reached: it is due, or later, or done already.
    fn reach(&mut self, meter: u32, due_ms: u64, now_ms: u64, sessions: &Sessions) -> Option<Due> {
        let (hour, index) = (self.hour, meter as usize);
        self.counted[index] += self.fleet.pulses(meter, hour);
        let session = Due::Session { meter, hour, counted: self.counted[index] };
        let held_ms = self.faults.held_ms(self.fleet.spec().seed, meter, hour);
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

    /// An uplink of a session that has begun is sent later.
    pub(super) fn later(&mut self, at_ms: u64, message: Message) {
        self.later.add(at_ms, Due::Uplink(message));
    }

    /// How many wait for their time although the clock has reached their session.
    pub(super) fn waiting(&self) -> usize {
        self.later.len()
    }

    /// Whether there is nothing any more that will be due.
    pub(super) fn is_over(&self) -> bool {
        self.hour >= self.fleet.hours() && self.later.len() == 0
    }
}

/// How many sessions a fleet has in its time.
pub(super) fn sessions_of(fleet: &Fleet) -> u64 {
    (0..fleet.hours()).map(|hour| u64::from(fleet.sessions(hour))).sum()
}
