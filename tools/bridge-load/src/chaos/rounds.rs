//! The rounds: which fault each applies to the testbed, in order.

use std::io;
use std::time::Duration;

use nix::sys::signal::Signal;
use test_kit::kinesis::fault::Fault;

use super::testbed::Testbed;
use crate::fleet::Pattern;

/// A round: the fleet sends readings while `act` applies a fault, which is over at the end.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// The name of the fault.
    pub name: &'static str,
    /// The number of bridges.
    pub bridges: usize,
    /// Settings of the bridges.
    pub settings: &'static [(&'static str, &'static str)],
    /// When the fleet sends.
    pub arrival: Arrival,
    /// Applies the fault, within this time.
    pub act: fn(&mut Testbed, Duration) -> io::Result<()>,
}

/// When the fleet sends the readings of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Evenly over time.
    Uniform,
    /// The readings of half a second at once.
    Burst,
}

impl Arrival {
    pub(super) fn pattern(self) -> Pattern {
        match self {
            Self::Uniform => Pattern::Uniform,
            Self::Burst => Pattern::Burst(Duration::from_millis(500)),
        }
    }
}

const fn round(name: &'static str, act: fn(&mut Testbed, Duration) -> io::Result<()>) -> Round {
    Round { name, bridges: 1, settings: &[], arrival: Arrival::Uniform, act }
}

/// All rounds.
pub const ROUNDS: &[Round] = &[
    round("nothing goes wrong", Testbed::pause),
    round("the stream refuses every record", |testbed, time| testbed.stream(Fault::RefuseAll, time)),
    round("the stream refuses half of the records", |testbed, time| testbed.stream(Fault::RefuseHalf, time)),
    round("the stream refuses every third record", |testbed, time| testbed.stream(Fault::RefuseEvery(3), time)),
    round("the stream answers 500", |testbed, time| testbed.stream(Fault::InternalError, time)),
    round("the stream throttles", |testbed, time| testbed.stream(Fault::Throttled, time)),
    round("the stream is slow", |testbed, time| testbed.stream(Fault::Slow(Duration::from_millis(700)), time)),
    round("the stream stores and does not answer", |testbed, time| testbed.stream(Fault::KeepAndHangUp, time)),
    round("the stream closes unread connections", |testbed, time| testbed.stream(Fault::CloseUnread, time)),
    round("the stream is absent", |testbed, time| testbed.stream(Fault::Absent, time)),
    round("the stream sends malformed answers", |testbed, time| testbed.stream(Fault::Nonsense, time)),
    round("the stream answers for too few records", |testbed, time| testbed.stream(Fault::ShortAnswer, time)),
    round("kill -9", Testbed::kill),
    round("kill -9 while the stream refuses half", |testbed, time| {
        testbed.during(Fault::RefuseHalf, |testbed| testbed.kill(time))
    }),
    round("kill -9 while the stream does not answer", |testbed, time| {
        testbed.during(Fault::KeepAndHangUp, |testbed| testbed.kill(time))
    }),
    round("SIGTERM under load", Testbed::terminate),
    round("SIGTERM while the stream is absent", |testbed, time| {
        testbed.during(Fault::Absent, |testbed| {
            testbed.pause(time / 5)?;
            testbed.ask_to_end()
        })?;
        testbed.restart()
    }),
    round("SIGTERM twice", |testbed, time| {
        testbed.during(Fault::RefuseAll, |testbed| {
            testbed.pause(time / 5)?;
            testbed.end_at_once()
        })?;
        testbed.restart()
    }),
    round("the bridge is stopped for a while", |testbed, time| {
        testbed.pause(time / 4)?;
        testbed.signal(Signal::SIGSTOP)?;
        testbed.pause(time / 2)?;
        testbed.signal(Signal::SIGCONT)
    }),
    Round { arrival: Arrival::Burst, ..round("all at once", Testbed::pause) },
    Round { bridges: 2, ..round("one of two bridges is killed", Testbed::kill) },
    round("unauthenticated flood beside the meters", Testbed::flood),
    Round {
        settings: &[("HOLD_MB", "1")],
        ..round("no memory while the stream is absent", |testbed, time| testbed.stream(Fault::Absent, time))
    },
];
