//! A burst without a stack: the fleet sends to a bridge whose Kinesis is in memory, and the function behind that empties it. In
//! the end every acknowledgement is held against what is in the stream.
//!
//! # Layout
//!
//! - `stream`: what the stand-in has taken, by shard; `drain`: the function behind it, as Lambda invokes it; `table`: where that
//!   writes.
//! - `found`: whose uplink is whose, in the stream and in the table, and what was acknowledged without being there.
//! - `curve`: second by second; `outcome`: what has come of it.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bridge_load::child::{Bridge, Child};
use clap::{Parser, ValueEnum as _};
use test_kit::kinesis::StandIn;
use test_kit::kinesis::fault::Fault;
use test_kit::sealed::master_keys;

use super::begin::Begin;
use super::connect::{Connections, link};
use super::http::Api;
use super::nbiot::Addresses;
use super::options::BURST_PROFILE;
use super::recorder::{self, Others};
use super::sealed::MasterKey;
use super::sigfox::lock;
use super::stop::Stop;
use super::watch::Watch;
use super::{Options, live};
use crate::cost::measurement::Measurement;
use crate::meters::Fleet;
use crate::plan::needs::Needs;
use crate::run::{Burst, Run, Sessions};
use crate::spec::Spec;
use crate::{Problem, plan};

mod curve;
mod drain;
mod found;
mod outcome;
mod stream;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use curve::charts;
use curve::{Sampler, Totals};
use drain::{Progress, Setup};
use found::Found;
use stream::Stream;
use table::Kept;

/// How long Kinesis takes to answer: what `bridge-load bench` takes, about what it takes in a region of AWS.
const KINESIS: Duration = Duration::from_millis(15);

/// For the bridge to put what it still holds, once it is told to end. Its own patience is 25 s.
const LAST_PUTS: Duration = Duration::from_secs(40);

/// How often people are told how far it is.
const SHOW: Duration = Duration::from_millis(250);

/// Does it.
///
/// # Errors
/// As [`super::run`].
pub(super) async fn run(options: Options) -> Result<(), Problem> {
    check(&options)?;
    let begin = Begin::new(&options, jiff::Timestamp::now())?;
    let (stop, bridge) = (Stop::default(), Held::default());
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
            "--stand-in has a bridge alone, which Sigfox does not go through: leave --sigfox-share out".into(),
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

/// The bridge, for whoever ends it: by a signal, or by dropping it, which kills it.
type Held = Arc<Mutex<Option<Child>>>;

/// What is behind the bridge.
struct Behind {
    stand_in: StandIn,
    stream: Arc<Stream>,
    filling: JoinHandle<()>,
    draining: JoinHandle<io::Result<()>>,
    kept: Arc<Kept>,
    progress: Arc<Progress>,
}

async fn burst(begin: Begin, options: &Options, (stop, held): (Stop, Held)) -> Result<Run, Problem> {
    let (fleet, directory) = (Arc::clone(&begin.fleet), begin.directory.clone());
    let shards = options.shards.map_or_else(|| planned_shards(fleet.spec()), Ok)?;
    let (behind, bridge) = start(&fleet, options, shards).await?;
    let (pid, metrics) = (bridge.id().to_string(), bridge.http().map(|addr| format!("http://{addr}/metrics")));
    let to = Addresses { sealed: vec![bridge.addr()], ..Addresses::default() };
    *lock(&held) = Some(bridge);
    let key = MasterKey::from_secret(&master_keys(), begin.how.master_key_id)?;
    let link = link(&fleet, &begin.how, key, to, fleet.spec().devices)?;
    let connections = Connections { callbacks: None::<Api>, nbiot: Some(link), pulses: None };
    let others = Others::default();
    let watch = Watch::at(Some(pid), None, metrics, others.seen.clone()).await?;
    let sampler = Sampler::start(Arc::clone(&behind.stream), Arc::clone(&behind.kept), Arc::clone(&behind.progress));
    let mut run = live(begin, connections, others, (options, stop), Some(watch)).await?;
    let sessions = Sessions::read(&directory, fleet.spec().devices, fleet.hours())?;
    let (stream, progress, bridge) = (Arc::clone(&behind.stream), Arc::clone(&behind.progress), lock(&held).take());
    let ending = tokio::task::spawn_blocking(move || behind.end(bridge, &fleet, &sessions, sampler));
    let ended = shown(ending, &stream, &progress, options.quiet).await;
    let (totals, burst) = ended.map_err(|e| Problem::Wrong(format!("the burst failed: {e}")))??;
    let seconds = curve::seconds(&run.measured, &totals);
    run.measured.burst = Some(Burst { seconds, drain: options.drain, shards, ..burst });
    Ok(run)
}

/// Waits for the end, and shows meanwhile how far the stream is drained.
async fn shown<T>(
    mut ending: tokio::task::JoinHandle<T>,
    stream: &Stream,
    progress: &Progress,
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

/// As many as a fleet like this would be given: what `fleet plan` says of it.
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
    let needs = Needs::of(&line.options, &Measurement::read(None)?)?;
    Ok(u16::try_from(needs.shards).unwrap_or(u16::MAX))
}

async fn start(fleet: &Arc<Fleet>, options: &Options, shards: u16) -> Result<(Behind, Child), Problem> {
    let failed =
        |e: io::Error| Problem::Cause("the bridge, or the stand-in behind it, was not started".to_owned(), e.into());
    let (stream, sender, filling) = Stream::open(shards);
    let (program, seed) = (options.bridge.clone(), fleet.spec().seed);
    let fault = options.forget.map_or(Fault::None, Fault::Forget);
    // Both begin with waiting, which must not be done here.
    let started = tokio::task::spawn_blocking(move || {
        let stand_in = StandIn::start(KINESIS, Some(sender), seed)?;
        stand_in.fail(fault);
        let bridge = Bridge { program, aws: stand_in.addr(), port: 0, settings: vec![] }.start()?;
        Ok((stand_in, bridge))
    });
    let started = started.await.map_err(|e| Problem::Wrong(format!("the bridge was not started: {e}")))?;
    let (stand_in, bridge) = started.map_err(failed)?;
    let (kept, progress) = (Arc::new(Kept::none(fleet)), Arc::new(Progress::default()));
    let draining = drain::start(Setup {
        stream: Arc::clone(&stream),
        fleet: Arc::clone(fleet),
        capacity: options.drain,
        kept: Arc::clone(&kept),
        progress: Arc::clone(&progress),
    });
    Ok((Behind { stand_in, stream, filling, draining, kept, progress }, bridge))
}

impl Behind {
    /// Ends the bridge, then the stream, then what empties it; and holds what was acknowledged against what is there.
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
        let status = bridge.wait(LAST_PUTS).map_err(failed)?;
        if !status.success() {
            return Err(Problem::Wrong(format!("the bridge was told to end, and ended badly: {status}")));
        }
        drop(self.stand_in);
        self.filling.join().map_err(|_| broken("the stream"))?;
        let found = Found::in_stream(&self.stream, fleet);
        self.draining.join().map_err(|_| broken("the function behind the stream"))?.map_err(failed)?;
        let totals = sampler.end()?;
        let (verdict, stored) = (found.against(sessions), lock(&self.kept.items).clone());
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
            units: self.kept.units.load(Ordering::Relaxed),
            drained_after: drained_after(&totals),
            ..Burst::default()
        };
        Ok((totals, burst))
    }
}

/// In whole seconds: until the first at whose end all that was ever written had been.
fn drained_after(totals: &[Totals]) -> f64 {
    let last = totals.last().map_or(0, |last| last.written);
    let seconds = totals.iter().position(|totals| totals.written == last).map_or(0, |position| position + 1);
    u32::try_from(seconds).map_or(f64::INFINITY, f64::from)
}
