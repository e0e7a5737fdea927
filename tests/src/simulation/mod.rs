//! The whole pipeline in one thread, in virtual time, while everything around it fails. `docs/simulation.md` says what is
//! modelled and what is not.
//!
//! The handlers are the real ones, and so is what sends again what was refused (`pulsegate_aws::resend`). AWS, the networks and
//! the bridge are models. A run comes out of its seed alone: what is sent, what goes wrong, and when.
//!
//! # Layout
//!
//! - [`world`]: what everything in a run shares: chance, the clock, what happened.
//! - [`faults`]: what goes wrong, and how often it did.
//! - [`fleet`]: what is sent, and what has to become of it.
//! - [`senders`]: Sigfox and meters, which repeat. What meters send to is in [`bridge`].
//! - [`wire`]: a request to a service, and what can happen to it.
//! - [`mod@queue`], [`queue_mapping`]: SQS, and how Lambda reads it.
//! - [`mod@stream`], [`stream_mapping`]: Kinesis, and how Lambda reads it.
//! - [`mod@table`] is DynamoDB.
//! - [`lambda`]: runs a handler, and kills it anywhere.
//! - [`settings`]: what the template says of all of these.
//! - [`pipeline`]: puts the real handlers and the models together.
//! - [`poison`], [`operator`]: a message that kills its function, and whoever mends that.
//! - [`verdict`]: what has to be so in the end.
//! - [`planted`]: bugs on purpose.
//! - [`campaign`]: many runs.

use pulsegate_pipeline::fakes::tally;
use tokio::task::LocalSet;

pub mod bridge;
pub mod campaign;
pub mod faults;
pub mod fleet;
pub mod lambda;
pub mod operator;
pub mod pipeline;
pub mod planted;
pub mod poison;
pub mod queue;
pub mod queue_mapping;
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

/// What came of a seed.
#[derive(Debug)]
pub struct Report {
    /// Everything that is wrong; nothing if all is well.
    pub wrong: Vec<String>,
    /// How many messages were sent that differ from each other, and how many of them are uplinks.
    pub messages: usize,
    /// See there.
    pub uplinks: usize,
    /// How the run ended in which things went wrong.
    pub end: End,
}

/// Sends the messages of a seed twice: while nothing goes wrong, and while much does. Both have to come to the same.
pub fn simulate(seed: u64, uplinks: usize, settings: Settings, bug: Option<Bug>) -> Report {
    let fleet = Fleet::new(seed, uplinks);
    let calm = run(seed, &fleet, settings, bug, false);
    let end = run(seed, &fleet, settings, bug, true);
    let mut wrong: Vec<String> =
        calm.wrong(&fleet).into_iter().map(|wrong| format!("where nothing goes wrong: {wrong}")).collect();
    wrong.extend(end.wrong(&fleet));
    wrong.extend(end.unlike(&calm));
    Report { wrong, messages: fleet.messages(), uplinks: fleet.expected.tables[0].len(), end }
}

fn run(seed: u64, fleet: &Fleet, settings: Settings, bug: Option<Bug>, stormy: bool) -> End {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|e| panic!("{e}"));
    // What the adapters leave to chance: how long they wait before they send again.
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
