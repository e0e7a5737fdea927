//! One run: a child, a stand-in, and a fleet.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Options;
use crate::child::{Bridge, Child, Usage};
use crate::fleet::{Answers, Fleet, Patience, Plan, Report};
use crate::readings::Meters;
use test_kit::kinesis::StandIn;
use test_kit::kinesis::put_records::Taken;

/// Readings before those that count: connections are made and buffers grown by then.
const WARM_UP: u64 = 5_000;

/// When nothing more has been put for so long, nothing more will be.
const QUIET: Duration = Duration::from_secs(1);

/// No run is waited for longer.
const LIMIT: Duration = Duration::from_mins(1);

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The bridge.
    Bridge {
        /// Whether it acknowledges.
        answers: bool,
    },
    /// The least that a program can do.
    Bare {
        /// Whether it acknowledges.
        answers: bool,
    },
}

/// What came of a run.
#[derive(Debug)]
pub struct Sample {
    /// Readings a second.
    pub rate: u32,
    /// For how long.
    pub seconds: u32,
    /// What the fleet has seen.
    pub report: Report,
    /// Datagrams that got through: put to the stream, or proven in a bare loop.
    pub through: u64,
    /// What the child has used, in this run alone; its peak memory is of its whole life.
    pub used: Usage,
    /// What was put to the stream.
    pub taken: Taken,
}

impl Sample {
    /// Seconds of processor time for a million datagrams that got through. What was dropped on the way cost next to
    /// nothing, so dividing by what was sent would flatter.
    pub fn per_million(&self, seconds: f64) -> f64 {
        seconds * 1e6 / float(self.through.max(1))
    }

    /// All of its processor time for a million datagrams.
    pub fn cost(&self) -> f64 {
        self.per_million(self.used.user + self.used.system)
    }

    /// The share of the kernel in it.
    pub fn system_share(&self) -> f64 {
        self.used.system / (self.used.user + self.used.system)
    }
}

/// What runs have in common.
pub struct Bench<'a> {
    options: &'a Options,
    fleet: Fleet,
}

impl<'a> Bench<'a> {
    /// Makes the meters.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(options: &'a Options) -> io::Result<Self> {
        Ok(Self { options, fleet: Fleet::new(Arc::new(Meters::new(options.meters)))? })
    }

    /// One run, of a child of its own.
    ///
    /// # Errors
    /// When it does not start, or ends by itself.
    pub fn sample(&mut self, subject: Subject, rate: u32, seconds: u32) -> io::Result<Sample> {
        let stand_in = StandIn::start(self.options.delay, None, 0)?;
        let child = self.start(subject, &stand_in)?;
        let (Subject::Bridge { answers } | Subject::Bare { answers }) = subject;
        let plan = |readings, rate| Plan {
            to: vec![child.addr()],
            readings,
            rate,
            pattern: self.options.pattern,
            answers: if answers { Answers::Sampled } else { Answers::Ignored },
            patience: Patience::default(),
        };
        let warm_up = self.fleet.run(&plan(WARM_UP, 10_000))?;
        quiet(&stand_in);
        let (used, taken) = (child.usage()?, stand_in.taken());
        let report = self.fleet.run(&plan(u64::from(rate) * u64::from(seconds), rate))?;
        quiet(&stand_in);
        let (used, taken) = (child.usage()?.since(used), stand_in.taken() - taken);
        let through = match subject {
            Subject::Bridge { .. } => taken.user_records,
            Subject::Bare { .. } => child.proven()?.saturating_sub(warm_up.datagrams),
        };
        Ok(Sample { rate, seconds, report, through, used, taken })
    }

    fn start(&self, subject: Subject, stand_in: &StandIn) -> io::Result<Child> {
        let answers = match subject {
            Subject::Bare { answers } => return Child::bare(&std::env::current_exe()?, answers),
            Subject::Bridge { answers } => answers,
        };
        let mut settings = self.options.settings.clone();
        settings.push(("ACKNOWLEDGE".to_owned(), answers.to_string()));
        Bridge { program: self.options.bridge.clone(), aws: stand_in.addr(), port: 0, settings }.start()
    }
}

#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

/// Waits until nothing more is put.
fn quiet(stand_in: &StandIn) {
    let start = Instant::now();
    let (mut last, mut since) = (stand_in.taken(), Instant::now());
    while since.elapsed() < QUIET && start.elapsed() < LIMIT {
        std::thread::sleep(QUIET / 20);
        let taken = stand_in.taken();
        if taken != last {
            (last, since) = (taken, Instant::now());
        }
    }
}
