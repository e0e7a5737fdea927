//! A fault at a time, and then every acknowledgement held against what is in the stream.
//!
//! # Layout
//!
//! - [`field`]: bridges, stream and strangers, and what can be done to them.
//! - [`rounds`]: what is done to them, in which order.
//! - [`consumer`]: takes the stream apart, and remembers what it has stored.
//! - [`verdict`]: what has to hold.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub mod consumer;
pub mod field;
pub mod rounds;
pub mod verdict;

use consumer::Consumer;
use field::Field;
use rounds::{ROUNDS, Round};
use verdict::Verdict;

use crate::fleet::{Answers, Fleet, Patience, Plan, Report};
use crate::readings::Meters;

/// Meters repeat sooner than in the field, so that a fault is over for all of them soon after it is over.
const PATIENCE: Patience = Patience { first: Duration::from_millis(200), repetitions: 5 };

/// A round of many datagrams is cut into passes of so long at most, each with the fault anew.
const LONGEST_PASS: Duration = Duration::from_secs(4);

const METERS: u32 = 100_000;

/// What is to be broken.
#[derive(Debug, Clone)]
pub struct Options {
    /// The bridge's program.
    pub bridge: PathBuf,
    /// Settings of the bridge, beyond those of a round.
    pub settings: Vec<(String, String)>,
    /// New readings, over all rounds.
    pub readings: u64,
    /// How many of them a second.
    pub rate: u32,
    /// Chooses all that is left to chance.
    pub seed: u64,
    /// Only rounds whose name has this in it.
    pub only: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bridge: "target/release/udp-bridge".into(),
            settings: Vec::new(),
            readings: 10_000_000,
            rate: 25_000,
            seed: fastrand::u64(..1_000_000),
            only: String::new(),
        }
    }
}

/// Breaks what there is to break, and says whether it holds.
///
/// # Errors
/// When something does not start, or does not hold.
pub fn run(options: &Options) -> io::Result<()> {
    let rounds: Vec<&Round> = ROUNDS.iter().filter(|round| round.name.contains(&options.only)).collect();
    let each = options.readings.div_ceil(rounds.len().max(1) as u64);
    println!("seed {}: {} rounds of {each} readings, at {}/s", options.seed, rounds.len(), options.rate);
    let meters = Arc::new(Meters::new(METERS));
    let mut fleet = Fleet::new(Arc::clone(&meters))?;
    let (consumer, stream) = Consumer::start(Arc::clone(&meters), each * rounds.len() as u64);
    let mut field = Field::new(options, meters, stream)?;
    let mut unexpected = 0;
    for round in rounds {
        unexpected += play(round, each, options.rate, &mut fleet, &mut field)?.unexpected;
    }
    // What was still on its way. Then nobody is left who could put anything.
    let (strangers, problems) = field.close()?;
    unexpected += fleet.run(&plan(Vec::new(), 0, 1, rounds::Arrival::Uniform))?.unexpected;
    let verdict = Verdict::new(fleet.sent(), fleet.acknowledged(), &consumer.stored()?);
    let verdict = Verdict { strangers, unexpected, problems, ..verdict };
    println!("\n{verdict}");
    if verdict.broken().is_empty() { Ok(()) } else { Err(io::Error::other(verdict.broken().join("; "))) }
}

fn play(round: &Round, readings: u64, rate: u32, fleet: &mut Fleet, field: &mut Field) -> io::Result<Report> {
    let start = Instant::now();
    field.prepare(round)?;
    let plan = plan(field.addresses(), readings, rate, round.arrival);
    let span = Duration::from_secs(readings) / rate;
    let passes = u32::try_from(span.as_millis().div_ceil(LONGEST_PASS.as_millis())).unwrap_or(1).max(1);
    let (report, broken) = std::thread::scope(|scope| {
        let sending = scope.spawn(|| fleet.run(&plan));
        let broken = (0..passes).try_for_each(|_| field.pass(round, span / passes));
        (sending.join(), broken)
    });
    broken?;
    let report = report.map_err(|_| io::Error::other("the fleet panicked"))??;
    field.review(round, &report)?;
    println!(
        "{:44} {:>8} sent {:>8} acknowledged {:>8} repeated {:>6} given up {:>6.0} MB {:>5.1} s",
        round.name,
        report.readings,
        report.acknowledged,
        report.datagrams - report.readings,
        report.given_up,
        field.peak_memory(),
        start.elapsed().as_secs_f64(),
    );
    Ok(report)
}

fn plan(to: Vec<std::net::SocketAddrV4>, readings: u64, rate: u32, arrival: rounds::Arrival) -> Plan {
    Plan { to, readings, rate, pattern: arrival.pattern(), answers: Answers::Checked, patience: PATIENCE }
}
