//! What is done to a field, in which order.

use std::io;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::field::Field;
use crate::fleet::Pattern;
use test_kit::kinesis::fault::Fault;

/// A round: readings are sent, something goes wrong meanwhile, and is well again at the end.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// What goes wrong.
    pub name: &'static str,
    /// How many bridges there are.
    pub bridges: usize,
    /// Settings of theirs.
    pub settings: &'static [(&'static str, &'static str)],
    /// When readings are sent.
    pub arrival: Arrival,
    /// Makes it go wrong, within this time.
    pub act: fn(&mut Field, Duration) -> io::Result<()>,
}

/// When the readings of a round are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Evenly.
    Uniform,
    /// Those of half a second at once.
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

const fn round(name: &'static str, act: fn(&mut Field, Duration) -> io::Result<()>) -> Round {
    Round { name, bridges: 1, settings: &[], arrival: Arrival::Uniform, act }
}

/// All of them.
pub const ROUNDS: &[Round] = &[
    round("nothing goes wrong", Field::pause),
    round("the stream refuses every record", |field, time| field.stream(Fault::RefuseAll, time)),
    round("the stream refuses half of the records", |field, time| field.stream(Fault::RefuseHalf, time)),
    round("the stream refuses every third record", |field, time| field.stream(Fault::RefuseEvery(3), time)),
    round("the stream answers 500", |field, time| field.stream(Fault::InternalError, time)),
    round("the stream throttles", |field, time| field.stream(Fault::Throttled, time)),
    round("the stream is slow", |field, time| field.stream(Fault::Slow(Duration::from_millis(700)), time)),
    round("the stream keeps and does not answer", |field, time| field.stream(Fault::KeepAndHangUp, time)),
    round("the stream hangs up unread", |field, time| field.stream(Fault::CloseUnread, time)),
    round("the stream is absent", |field, time| field.stream(Fault::Absent, time)),
    round("the stream answers nonsense", |field, time| field.stream(Fault::Nonsense, time)),
    round("the stream answers for too few", |field, time| field.stream(Fault::ShortAnswer, time)),
    round("kill -9", Field::kill),
    round("kill -9 while the stream refuses half", |field, time| {
        field.during(Fault::RefuseHalf, |field| field.kill(time))
    }),
    round("kill -9 while the stream keeps silent", |field, time| {
        field.during(Fault::KeepAndHangUp, |field| field.kill(time))
    }),
    round("SIGTERM under load", Field::terminate),
    round("SIGTERM while the stream is absent", |field, time| {
        field.during(Fault::Absent, |field| {
            field.pause(time / 5)?;
            field.ask_to_end()
        })?;
        field.restart()
    }),
    round("SIGTERM twice", |field, time| {
        field.during(Fault::RefuseAll, |field| {
            field.pause(time / 5)?;
            field.end_at_once()
        })?;
        field.restart()
    }),
    round("the bridge stands still", |field, time| {
        field.pause(time / 4)?;
        field.signal(Signal::SIGSTOP)?;
        field.pause(time / 2)?;
        field.signal(Signal::SIGCONT)
    }),
    Round { arrival: Arrival::Burst, ..round("all at once", Field::pause) },
    Round { bridges: 2, ..round("one of two bridges is killed", Field::kill) },
    round("strangers beside the meters", Field::strangers),
    Round {
        settings: &[("HOLD_MB", "1")],
        ..round("no room while the stream is absent", |field, time| field.stream(Fault::Absent, time))
    },
];
