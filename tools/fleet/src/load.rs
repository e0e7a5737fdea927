//! Load generator: sends a fleet's messages to a stack, as meters, modems and the Sigfox cloud do.
//!
//! Memory use is bounded: four bytes per meter (its counter), two bits per session, and the ID of each outstanding
//! datagram. The bytes are a function of the ID, and are made again for each repetition. Only a callback keeps its bytes, until it
//! is answered 2xx or given up.
//!
//! # Layout
//!
//! - `options`, `prepare`: the command line, and the run that it starts or resumes.
//! - `assignments`: the fleet's assignments, for an import.
//! - `connect`: addresses and secrets of the stack.
//! - `engine`: the main loop, in ticks. `schedule`: which sessions are due; `ledger`: outcome of each; `timers`.
//! - `nbiot`, `sealed`, `coap`, `sockets`, `id_hasher`: datagrams, sealed and repeated.
//! - `sigfox`, `callback`, `http`: the Sigfox cloud.
//! - `burst`: a run without a stack: the bridge alone, with a stream in memory.
//! - `faults`: injected faults.
//! - `counters`, `monitor`, `procfs`, `prometheus`, `probe`: measurements; `recorder`, `summary`: their output.

use tokio::sync::mpsc::unbounded_channel;

use crate::Problem;
use crate::run::Run;
use crate::stack::Stack;

mod assignments;
pub(crate) mod burst;
mod callback;
mod coap;
mod connect;
mod counters;
mod engine;
mod faults;
mod http;
mod id_hasher;
mod ledger;
mod monitor;
mod nbiot;
mod options;
mod prepare;
mod probe;
mod procfs;
mod prometheus;
mod recorder;
mod schedule;
mod sealed;
mod sigfox;
mod sockets;
mod stop;
mod summary;
#[cfg(test)]
mod tests;
mod timers;

pub(crate) use callback::reception;
use connect::Connections;
use engine::{Engine, Parts};
use monitor::Monitor;
pub use options::Options;
use prepare::PreparedRun;
use recorder::{Recorder, SharedCounters};
use schedule::{Clock, Schedule};
use sigfox::{CallbackPolicy, Cloud, Endpoint};
use stop::Stop;

/// Runs the load generator.
///
/// # Errors
/// [`Problem`] if the run could not start; [`Problem::NotAll`] if not everything was acknowledged.
pub async fn run(options: Options) -> Result<(), Problem> {
    if options.stand_in {
        return burst::run(options).await;
    }
    let stack = Stack::read(options.env.as_deref())?;
    let begin = PreparedRun::new(&options, jiff::Timestamp::now())?;
    let connections = Connections::to(&stack, &begin.fleet, &begin.how, options.probe).await?;
    let shared = SharedCounters::default();
    let watch = Monitor::of(stack, shared.seen.clone()).await?;
    let stop = Stop::default();
    tokio::spawn(stop.clone().at_ctrl_c(|| ()));
    let directory = begin.directory.display().to_string();
    if !options.quiet {
        eprintln!("fleet: the run is in {directory}");
    }
    let run = run_fleet(begin, connections, shared, (&options, stop), Some(watch)).await?;
    print!("{}", summary::table(&run).text(options.format));
    verdict(&run, &directory)
}

/// Checks that the run is complete and that no message was given up.
fn verdict(run: &Run, directory: &str) -> Result<(), Problem> {
    if !run.measured.complete {
        return Err(Problem::NotAll(format!("stopped before the end; continue with: fleet load --resume {directory}")));
    }
    match run.measured.given_up {
        0 => Ok(()),
        count => Err(Problem::NotAll(format!(
            "{count} messages were given up after all repetitions; send them again with: fleet load --resume {directory}"
        ))),
    }
}

/// Runs a fleet to its end, and returns its measurements.
async fn run_fleet(
    begin: PreparedRun,
    connections: Connections<impl Endpoint>,
    shared: SharedCounters,
    (options, stop): (&Options, Stop),
    watch: Option<Monitor>,
) -> Result<Run, Problem> {
    begin.write()?;
    let PreparedRun { fleet, how, sessions, run, directory } = begin;
    let (seed, speed_up) = (fleet.spec().seed, fleet.spec().speed_up);
    let (sigfox, callbacks) = unbounded_channel();
    let (settle, settled) = std::sync::mpsc::channel();
    let policy = CallbackPolicy::new(how.callbacks, speed_up, how.connections.into());
    let injector = how.faults.injector(seed, "sigfox");
    let cloud = Cloud::new(policy, connections.callbacks, injector, (shared.callbacks.clone(), settle));
    let cloud = tokio::spawn(cloud.run(callbacks));
    let (probe, looks) = match connections.pulses {
        Some(table) => {
            let (samples, receiver) = unbounded_channel();
            let looks = tokio::spawn(probe::run(table, receiver, shared.probed.clone()));
            (Some((options.probe, samples)), Some(looks))
        }
        None => (None, None),
    };
    let total = (!options.quiet).then(|| schedule::sessions_of(&fleet));
    let mut recorder = Recorder::new(directory, run, shared, total);
    let parts = Parts {
        clock: Clock::new(sessions.progress.virtual_ms, speed_up),
        schedule: Schedule::new(fleet.clone(), how.faults),
        ledger: ledger::Ledger::new(sessions),
        link: connections.nbiot,
        sigfox,
        settled,
        probe,
        max_rate: options.max_rate,
        fleet,
    };
    let watching = watch.map(Monitor::begin);
    let lived = tokio::task::spawn_blocking(move || {
        let lived = Engine::new(parts).run(&stop, &mut recorder);
        lived.map(|()| recorder)
    });
    let recorder = lived.await.map_err(|e| Problem::Wrong(format!("the load generator failed: {e}")))??;
    cloud.abort();
    if let Some(looks) = looks {
        // An error only means that samples are missing.
        let _ = looks.await;
    }
    if let Some(watching) = watching {
        watching.end().await;
    }
    recorder.finish()
}
