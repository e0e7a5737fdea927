//! The chaos test: applies one fault after the other, then checks every acknowledgement against the stream.
//!
//! # Layout
//!
//! - [`testbed`]: the bridges and the stream under test, and the faults.
//! - [`rounds`]: which faults, in which order.
//! - [`consumer`]: reads the stream with the deployed code, and records which readings it stores.
//! - [`verdict`]: the invariants, checked.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub mod consumer;
pub mod rounds;
pub mod testbed;
pub mod verdict;

use consumer::Consumer;
use rounds::{ROUNDS, Round};
use testbed::Testbed;
use verdict::Verdict;

use crate::fleet::{Answers, Fleet, Plan, Report, RetryPolicy};
use crate::readings::Meters;

/// Meters repeat sooner than deployed ones, so that all of them recover soon after a fault.
const RETRY_POLICY: RetryPolicy = RetryPolicy { first: Duration::from_millis(200), repetitions: 5 };

/// A round of many datagrams is cut into passes of at most this length, each with the fault again.
const LONGEST_PASS: Duration = Duration::from_secs(4);

const METERS: u32 = 100_000;

/// Options of the chaos test.
#[derive(Debug, Clone)]
pub struct Options {
    /// The bridge's program.
    pub bridge: PathBuf,
    /// Settings of the bridge, beyond those of a round.
    pub settings: Vec<(String, String)>,
    /// New readings, in all rounds together.
    pub readings: u64,
    /// New readings a second.
    pub rate: u32,
    /// The seed of all random choices.
    pub seed: u64,
    /// Only rounds whose name contains this.
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

/// Runs the rounds and prints the verdict.
///
/// # Errors
/// If something does not start, or an invariant is broken.
pub fn run(options: &Options) -> io::Result<()> {
    let rounds: Vec<&Round> = ROUNDS.iter().filter(|round| round.name.contains(&options.only)).collect();
    let each = options.readings.div_ceil(rounds.len().max(1) as u64);
    println!("seed {}: {} rounds of {each} readings, at {}/s", options.seed, rounds.len(), options.rate);
    let meters = Arc::new(Meters::new(METERS));
    let mut fleet = Fleet::new(Arc::clone(&meters))?;
    let (consumer, stream) = Consumer::start(Arc::clone(&meters), each * rounds.len() as u64);
    let mut testbed = Testbed::new(options, meters, stream)?;
    let mut unexpected = 0;
    for round in rounds {
        unexpected += play(round, each, options.rate, &mut fleet, &mut testbed)?.unexpected;
    }
    // After this no bridge is left to put records. A plan without readings receives late answers.
    let (flooded, problems) = testbed.close()?;
    unexpected += fleet.run(&plan(Vec::new(), 0, 1, rounds::Arrival::Uniform))?.unexpected;
    let verdict = Verdict::new(fleet.sent(), fleet.acknowledged(), &consumer.stored()?);
    let verdict = Verdict { flooded, unexpected, problems, ..verdict };
    println!("\n{verdict}");
    if verdict.broken().is_empty() { Ok(()) } else { Err(io::Error::other(verdict.broken().join("; "))) }
}

fn play(round: &Round, readings: u64, rate: u32, fleet: &mut Fleet, testbed: &mut Testbed) -> io::Result<Report> {
    let start = Instant::now();
    testbed.prepare(round.bridges, round.settings)?;
    let plan = plan(testbed.addresses(), readings, rate, round.arrival);
    let span = Duration::from_secs(readings) / rate;
    let passes = u32::try_from(span.as_millis().div_ceil(LONGEST_PASS.as_millis())).unwrap_or(1).max(1);
    let (report, broken) = std::thread::scope(|scope| {
        let sending = scope.spawn(|| fleet.run(&plan));
        let broken = (0..passes).try_for_each(|_| pass(round, testbed, span / passes));
        (sending.join(), broken)
    });
    broken?;
    let report = report.map_err(|_| io::Error::other("the fleet panicked"))??;
    testbed.review(round.name, report.acknowledged)?;
    println!(
        "{:44} {:>8} sent {:>8} acknowledged {:>8} repeated {:>6} given up {:>6.0} MB {:>5.1} s",
        round.name,
        report.readings,
        report.acknowledged,
        report.datagrams - report.readings,
        report.given_up,
        testbed.peak_memory(),
        start.elapsed().as_secs_f64(),
    );
    Ok(report)
}

/// Applies the fault of a round once, in the given time.
fn pass(round: &Round, testbed: &mut Testbed, time: Duration) -> io::Result<()> {
    let end = Instant::now() + time;
    (round.act)(testbed, time)?;
    testbed.clear_fault();
    testbed.pause(end.saturating_duration_since(Instant::now()))
}

fn plan(to: Vec<std::net::SocketAddrV4>, readings: u64, rate: u32, arrival: rounds::Arrival) -> Plan {
    Plan { to, readings, rate, pattern: arrival.pattern(), answers: Answers::Checked, retry: RETRY_POLICY }
}
