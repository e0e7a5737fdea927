//! The whole pipeline in one thread, in virtual time, with faults in everything around it. `docs/simulation.md` lists
//! what is modelled and what is not.
//!
//! The handlers are the real ones, and so is the code that resends rejected entries (`pulsegate_aws::resend`). AWS, the
//! networks and the bridge are models. A run depends only on its seed: the messages, the faults, and their times.
//!
//! # Layout
//!
//! - [`world`]: the shared state of a run: random numbers, the clock, the digest of its effects.
//! - [`faults`]: the kinds of faults, and how often each occurred.
//! - [`fleet`]: the messages to send, and the expected results.
//! - [`senders`]: Sigfox and meters, which repeat messages. Meters send to [`bridge`].
//! - [`wire`]: a request to a service, and its faults.
//! - [`mod@queue`], [`queue_mapping`]: SQS, and Lambda's mapping on it.
//! - [`mod@stream`], [`stream_mapping`]: Kinesis, and Lambda's mapping on it.
//! - [`mod@table`]: the model of DynamoDB.
//! - [`lambda`]: runs a handler, and kills it anywhere.
//! - [`settings`]: the template's settings for all of these.
//! - [`pipeline`]: connects the real handlers to the models.
//! - [`poison`], [`operator`]: a message that crashes its function, and the operator who fixes the cause.
//! - [`verdict`]: checks the final state; [`expiry`]: and how long it is retained.
//! - [`planted`]: bugs planted on purpose.
//! - [`campaign`]: many runs.
//! - [`archive`]: the same for the archive.

use pulsegate_pipeline::fakes::tally;
use tokio::task::LocalSet;

pub mod archive;
pub mod bridge;
pub mod campaign;
pub mod expiry;
pub mod faults;
pub mod fleet;
pub mod lambda;
pub mod operator;
pub mod pipeline;
pub mod planted;
pub mod poison;
pub mod queue;
pub mod queue_mapping;
pub mod raw_objects;
pub mod senders;
pub mod settings;
pub mod stream;
pub mod stream_mapping;
pub mod table;
pub mod verdict;
pub mod wire;
pub mod world;

use fleet::Fleet;
use pipeline::Pipeline;
use planted::Bug;
use settings::Settings;
use verdict::End;
use world::World;

/// Result of a seed.
#[derive(Debug)]
pub struct Report {
    /// All errors; empty if there are none.
    pub wrong: Vec<String>,
    /// Number of distinct messages sent.
    pub messages: usize,
    /// Number of uplinks among them.
    pub uplinks: usize,
    /// Final state of the run with faults.
    pub end: End,
}

/// Sends the messages of a seed twice: without faults, and with many. Both runs must end in the same state.
pub fn simulate(seed: u64, uplinks: usize, settings: Settings, bug: Option<Bug>) -> Report {
    let fleet = Fleet::new(seed, uplinks);
    let calm = run(seed, &fleet, settings, bug, false);
    let end = run(seed, &fleet, settings, bug, true);
    let mut wrong: Vec<String> =
        calm.wrong(&fleet).into_iter().map(|wrong| format!("in the run without faults: {wrong}")).collect();
    wrong.extend(end.wrong(&fleet));
    wrong.extend(end.differences(&calm));
    Report { wrong, messages: fleet.messages(), uplinks: fleet.expected.tables[0].len(), end }
}

fn run(seed: u64, fleet: &Fleet, settings: Settings, bug: Option<Bug>, stormy: bool) -> End {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|e| panic!("{e}"));
    // The adapters draw from it the jitter before they resend.
    fastrand::seed(seed);
    tally::start();
    LocalSet::new().block_on(&runtime, async {
        let world = World::new(seed, stormy);
        let pipeline = Pipeline::start(&world, settings, fleet, bug).await;
        pipeline.send(fleet);
        let quiet = operator::work(&pipeline).await;
        End::of(&pipeline, quiet, tally::end())
    })
}
