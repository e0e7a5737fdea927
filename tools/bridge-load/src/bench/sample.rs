//! One run: a child process, the stand-in for Kinesis, and a fleet.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use test_kit::kinesis::StandIn;
use test_kit::kinesis::put_records::Taken;

use super::Options;
use crate::child::{Bridge, Child, Usage};
use crate::fleet::{Answers, Fleet, Plan, Report, RetryPolicy};
use crate::readings::Meters;

/// Readings before the measured ones, for connections and buffers.
const WARM_UP: u64 = 5_000;

/// After this time without a put the run is over.
const QUIET: Duration = Duration::from_secs(1);

/// The longest wait for that.
const LIMIT: Duration = Duration::from_mins(1);

/// The measured program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The bridge.
    Bridge {
        /// True if it acknowledges.
        answers: bool,
    },
    /// The bare loop.
    Bare {
        /// True if it acknowledges.
        answers: bool,
    },
}

/// The results of a run.
#[derive(Debug)]
pub struct Sample {
    /// Readings a second.
    pub rate: u32,
    /// The length of the run in seconds.
    pub seconds: u32,
    /// The report of the fleet.
    pub report: Report,
    /// Datagrams that got through: put to the stream, or authenticated by a bare loop.
    pub through: u64,
    /// CPU time of the child in this run; its peak memory is of its whole life.
    pub used: Usage,
    /// Counts of the stream.
    pub taken: Taken,
}

impl Sample {
    /// CPU seconds per million datagrams that got through. Dropped datagrams cost next to nothing, so a division by
    /// all sent would give too low a figure.
    pub fn per_million(&self, seconds: f64) -> f64 {
        seconds * 1e6 / float(self.through.max(1))
    }

    /// User and system CPU seconds per million datagrams.
    pub fn cost(&self) -> f64 {
        self.per_million(self.used.user + self.used.system)
    }

    /// The share of the kernel in it.
    pub fn system_share(&self) -> f64 {
        self.used.system / (self.used.user + self.used.system)
    }
}

/// The state that runs share.
pub struct Bench<'a> {
    options: &'a Options,
    fleet: Fleet,
}

impl<'a> Bench<'a> {
    /// Creates the fleet.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn new(options: &'a Options) -> io::Result<Self> {
        Ok(Self { options, fleet: Fleet::new(Arc::new(Meters::new(options.meters)))? })
    }

    /// Runs a new child once.
    ///
    /// # Errors
    /// If it does not start, or ends by itself.
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
            retry: RetryPolicy::default(),
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

/// Waits until no more records are put.
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
