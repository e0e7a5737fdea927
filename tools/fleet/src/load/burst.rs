//! A burst without a stack: the fleet sends to a bridge whose Kinesis is in memory, and the deployed function drains
//! it. At the end every acknowledgement is checked against the stream.
//!
//! # Layout
//!
//! - `stream`: records of the stand-in, by shard; `drain`: the function on the stream, as Lambda invokes it; `archive`:
//!   where it writes.
//! - `found_uplinks`: the sessions of the uplinks in the stream and in the archive; acknowledged ones that are missing.
//! - `curve`: counts of each second; `outcome`: the result.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bridge_load::child::{Bridge, Child};
use clap::{Parser, ValueEnum as _};
use cost::measurement::Measurement;
use cost::plan;
use cost::plan::requirements::Requirements;
use test_kit::kinesis::StandIn;
use test_kit::kinesis::fault::Fault;
use test_kit::sealed::master_keys;

use super::connect::{Connections, link};
use super::http::Api;
use super::monitor::Monitor;
use super::nbiot::Addresses;
use super::options::BURST_PROFILE;
use super::prepare::PreparedRun;
use super::recorder::{self, SharedCounters};
use super::sealed::MasterKey;
use super::sigfox::lock;
use super::stop::Stop;
use super::{Options, run_fleet};
use crate::Problem;
use crate::meters::Fleet;
use crate::run::{Burst, Run, Sessions};
use crate::spec::Spec;

mod archive;
mod curve;
mod drain;
mod found_uplinks;
mod outcome;
mod stream;
#[cfg(test)]
mod tests;

use archive::ArchiveContents;
pub(crate) use curve::charts;
use curve::{Sampler, Totals};
use drain::{DrainProgress, Setup};
use found_uplinks::FoundUplinks;
use stream::Stream;

/// Latency of Kinesis: as in `bridge-load bench`, about that of an AWS region.
const KINESIS: Duration = Duration::from_millis(15);

/// How long the bridge may take to put its last records after SIGTERM. Its own time-out is 25 s.
const BRIDGE_STOP_TIMEOUT: Duration = Duration::from_secs(40);

/// Interval of the progress display.
const SHOW: Duration = Duration::from_millis(250);

/// Runs a burst.
///
/// # Errors
/// As [`super::run`].
pub(super) async fn run(options: Options) -> Result<(), Problem> {
    check(&options)?;
    let begin = PreparedRun::new(&options, jiff::Timestamp::now())?;
    let (stop, bridge) = (Stop::default(), SharedBridge::default());
    let killed = Arc::clone(&bridge);
    tokio::spawn(stop.clone().at_ctrl_c(move || drop(lock(&killed).take())));
    let directory = begin.directory.clone();
    if !options.quiet {
        eprintln!("fleet: the run is in {}", directory.display());
    }
    let run = burst(begin, &options, (stop, bridge)).await?;
    run.write(&directory)?;
    if let Some(burst) = &run.measured.burst {
        for (chart, file) in charts(&burst.seconds) {
            chart.write(&directory.join(file))?;
        }
    }
    print!("{}", outcome::text(&run, options.format));
    outcome::verdict(&run)
}

fn check(options: &Options) -> Result<(), Problem> {
    let wrong = |what: String| Err(Problem::Wrong(what));
    if options.sigfox_share.0 > 0.0 {
        return wrong(
            "--stand-in runs the bridge alone, and Sigfox does not use the bridge: leave --sigfox-share out".into(),
        );
    }
    let mix = Spec::parse_mix(options.profile_mix.as_deref().unwrap_or(BURST_PROFILE))?;
    if let Some(other) = mix.iter().find(|part| part.weight > 0 && part.profile != BURST_PROFILE) {
        return wrong(format!(
            "--stand-in has a bridge with a listener for {BURST_PROFILE} alone, not for {}: leave --profile-mix out",
            other.profile
        ));
    }
    if !options.bridge.is_file() {
        return wrong(format!(
            "there is no bridge in {}: build it (cargo build --release -p udp-bridge), or name it with --bridge",
            options.bridge.display()
        ));
    }
    Ok(())
}

/// The bridge, shared with the Ctrl-C handler. Dropping it kills the process.
type SharedBridge = Arc<Mutex<Option<Child>>>;

/// Everything behind the bridge.
struct Backend {
    stand_in: StandIn,
    stream: Arc<Stream>,
    filling: JoinHandle<()>,
    draining: JoinHandle<io::Result<()>>,
    contents: Arc<ArchiveContents>,
    progress: Arc<DrainProgress>,
}

async fn burst(begin: PreparedRun, options: &Options, (stop, held): (Stop, SharedBridge)) -> Result<Run, Problem> {
    let (fleet, directory) = (Arc::clone(&begin.fleet), begin.directory.clone());
    let shards = options.shards.map_or_else(|| planned_shards(fleet.spec()), Ok)?;
    let (backend, bridge) = start(&fleet, options, shards).await?;
    let (pid, metrics) = (bridge.id().to_string(), bridge.http().map(|addr| format!("http://{addr}/metrics")));
    let to = Addresses { sealed: vec![bridge.addr()], ..Addresses::default() };
    *lock(&held) = Some(bridge);
    let key = MasterKey::from_secret(&master_keys(), begin.how.master_key_id)?;
    let link = link(&fleet, &begin.how, key, to, fleet.spec().devices)?;
    let connections = Connections { callbacks: None::<Api>, nbiot: Some(link), pulses: None };
    let shared = SharedCounters::default();
    let watch = Monitor::at(Some(pid), None, metrics, shared.seen.clone()).await?;
    let sampler =
        Sampler::start(Arc::clone(&backend.stream), Arc::clone(&backend.contents), Arc::clone(&backend.progress));
    let mut run = run_fleet(begin, connections, shared, (options, stop), Some(watch)).await?;
    let sessions = Sessions::read(&directory, fleet.spec().devices, fleet.hours())?;
    let (stream, progress, bridge) = (Arc::clone(&backend.stream), Arc::clone(&backend.progress), lock(&held).take());
    let ending = tokio::task::spawn_blocking(move || backend.end(bridge, &fleet, &sessions, sampler));
    let ended = shown(ending, &stream, &progress, options.quiet).await;
    let (totals, burst) = ended.map_err(|e| Problem::Wrong(format!("the burst failed: {e}")))??;
    let seconds = curve::seconds(&run.measured, &totals);
    run.measured.burst = Some(Burst { shards, seconds, ..burst });
    Ok(run)
}

/// Waits for the end, and displays how far the stream is drained.
async fn shown<T>(
    mut ending: tokio::task::JoinHandle<T>,
    stream: &Stream,
    progress: &DrainProgress,
    quiet: bool,
) -> Result<T, tokio::task::JoinError> {
    let bar = recorder::bar((!quiet).then(|| stream.put()));
    let ended = loop {
        let (passed, put) = (progress.passed.load(Ordering::Relaxed), stream.put());
        bar.set_length(put);
        bar.set_position(passed);
        bar.set_message(format!("{} messages still in the stream", put.saturating_sub(passed)));
        tokio::select! {
            ended = &mut ending => break ended,
            () = tokio::time::sleep(SHOW) => {}
        }
    };
    bar.finish_and_clear();
    ended
}

/// Number of shards that `cost plan` calculates for this fleet.
fn planned_shards(spec: &Spec) -> Result<u16, Problem> {
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: plan::Options,
    }
    let arrival = spec.arrival.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let (devices, sigfox) = (spec.devices.to_string(), "0");
    let line = ["plan", "--devices", &devices, "--sigfox-share", sigfox, "--arrival", &arrival];
    let line = Line::try_parse_from(line).map_err(|e| Problem::Cause("no plan for this fleet".to_owned(), e.into()))?;
    let needs = Requirements::of(&line.options, &Measurement::read(None)?)?;
    Ok(u16::try_from(needs.shards).unwrap_or(u16::MAX))
}

async fn start(fleet: &Arc<Fleet>, options: &Options, shards: u16) -> Result<(Backend, Child), Problem> {
    let failed =
        |e: io::Error| Problem::Cause("the bridge, or the stand-in behind it, was not started".to_owned(), e.into());
    let (stream, sender, filling) = Stream::open(shards);
    let (program, seed) = (options.bridge.clone(), fleet.spec().seed);
    let fault = options.forget.map_or(Fault::None, Fault::Forget);
    // Both block while they start, so they run on another thread.
    let started = tokio::task::spawn_blocking(move || {
        let stand_in = StandIn::start(KINESIS, Some(sender), seed)?;
        stand_in.fail(fault);
        let bridge = Bridge { program, aws: stand_in.addr(), port: 0, settings: vec![] }.start()?;
        Ok((stand_in, bridge))
    });
    let started = started.await.map_err(|e| Problem::Wrong(format!("the bridge was not started: {e}")))?;
    let (stand_in, bridge) = started.map_err(failed)?;
    let (contents, progress) = (Arc::new(ArchiveContents::none(fleet)), Arc::new(DrainProgress::default()));
    let draining = drain::start(Setup {
        stream: Arc::clone(&stream),
        fleet: Arc::clone(fleet),
        contents: Arc::clone(&contents),
        progress: Arc::clone(&progress),
    });
    Ok((Backend { stand_in, stream, filling, draining, contents, progress }, bridge))
}

impl Backend {
    /// Ends the bridge, then the stream, then the drain; and checks the acknowledgements against the stream.
    fn end(
        self,
        bridge: Option<Child>,
        fleet: &Fleet,
        sessions: &Sessions,
        sampler: Sampler,
    ) -> Result<(Vec<Totals>, Burst), Problem> {
        let failed = |e: io::Error| Problem::Cause("the burst failed".to_owned(), e.into());
        let broken = |what: &str| Problem::Wrong(format!("{what} failed"));
        let mut bridge = bridge.ok_or_else(|| broken("the bridge was killed, and the burst"))?;
        bridge.signal(nix::sys::signal::Signal::SIGTERM).map_err(failed)?;
        let status = bridge.wait(BRIDGE_STOP_TIMEOUT).map_err(failed)?;
        if !status.success() {
            return Err(Problem::Wrong(format!("the bridge failed after SIGTERM: {status}")));
        }
        drop(self.stand_in);
        self.filling.join().map_err(|_| broken("the stream"))?;
        let found = FoundUplinks::in_stream(&self.stream, fleet);
        self.draining.join().map_err(|_| broken("the function behind the stream"))?.map_err(failed)?;
        let totals = sampler.end()?;
        let (verdict, stored) = (found.against(sessions), lock(&self.contents.uplinks).clone());
        let burst = Burst {
            acknowledged: verdict.acknowledged,
            durable: verdict.durable,
            lost: verdict.lost(),
            unacknowledged: verdict.unacknowledged,
            duplicates: found.duplicates,
            strangers: found.strangers + found.unreadable + stored.strangers + stored.unreadable,
            unstored: found.missing_in(&stored),
            stored: stored.count(),
            invocations: self.progress.invocations.load(Ordering::Relaxed),
            objects: self.contents.objects.load(Ordering::Relaxed),
            object_bytes: self.contents.bytes.load(Ordering::Relaxed),
            drained_after: drained_after(&totals),
            ..Burst::default()
        };
        Ok((totals, burst))
    }
}

/// Whole seconds until everything was written.
fn drained_after(totals: &[Totals]) -> f64 {
    let last = totals.last().map_or(0, |last| last.written);
    let seconds = totals.iter().position(|totals| totals.written == last).map_or(0, |position| position + 1);
    u32::try_from(seconds).map_or(f64::INFINITY, f64::from)
}
