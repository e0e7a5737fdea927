//! The archive in virtual time, with faults in the object store and in everything that uses it.
//!
//! The code is the real one: objects, `Settle`, `Derive`, the reader and `Erase`. The object store is a model of S3, and so are the
//! invocations that put batches, the overlapping runs of `settle` and of `derive`, and those who read meanwhile. A run depends
//! only on its seed.
//!
//! # Layout
//!
//! - [`faults`]: the kinds of faults.
//! - [`messages`]: the uplinks of a run.
//! - [`objects`]: the model of S3.
//! - [`client`]: the connection of a process, which may have a planted bug.
//! - [`activity`]: writers, runs of `settle`, `derive` and `erase`, and readers, at once.
//! - [`verdict`]: checks reads and the final state. `points`: checks the points files.
//! - [`campaign`]: many runs.

use fastrand::Rng;
use pulsegate_model::device::DeviceId;
use tokio::task::LocalSet;

use super::world::World;

pub mod activity;
pub mod campaign;
pub mod client;
pub mod faults;
pub mod messages;
pub mod objects;
mod points;
mod reports;
pub mod verdict;

use activity::Activity;
use client::Bug;
use messages::Messages;

/// Result of a seed.
#[derive(Debug)]
pub struct Report {
    /// All errors; empty if there are none.
    pub wrong: Vec<String>,
    /// Number of distinct rows.
    pub rows: usize,
    /// Numbers of runs of `settle` and `derive`, and of reads.
    pub made: activity::Made,
    /// Occurrences of each fault.
    pub faults: Vec<u64>,
    /// Digest of the effects; two runs of one seed have the same.
    pub digest: u64,
}

/// Makes the run of a seed.
pub fn simulate(seed: u64, bug: Option<Bug>) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|e| panic!("{e}"));
    LocalSet::new().block_on(&runtime, async {
        let world = World::new(seed, true);
        let messages = world.draw(Messages::drawn);
        let activity = Activity::new(&world, messages, erasing(seed, bug), bug);
        activity.storm().await;
        activity.calm().await;
        Report {
            wrong: verdict::wrong(&activity),
            rows: activity.messages.rows().len(),
            made: activity.made(),
            faults: world.faults.counts(),
            digest: world.digest(),
        }
    })
}

/// The device to erase: in every second run; with a planted bug in each if it shows only then, and in none otherwise.
fn erasing(seed: u64, bug: Option<Bug>) -> Option<DeviceId> {
    // Not from the world's numbers, so that a run without erasure is what it would be if there were none.
    let mut rng = Rng::with_seed(seed);
    let (is_due, device) = (rng.bool(), messages::device(&mut rng));
    bug.map_or(is_due, Bug::is_of_erasure).then_some(device)
}
