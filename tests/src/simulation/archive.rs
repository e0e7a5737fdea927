//! The archive in virtual time, with faults in the object store and in everything that uses it.
//!
//! The code is the real one: objects, `Settle`, `Derive`, `Days`, the reader, assignments and `Erase`. The object store is a model
//! of S3, and so are the invocations that put batches, the overlapping runs of `settle`, of `derive` and of days, and those who
//! read meanwhile. A run depends only on its seed.
//!
//! # Layout
//!
//! - [`faults`]: the kinds of faults.
//! - [`messages`]: the uplinks of a run. [`meters`]: those of meters whose counts are known.
//! - [`objects`]: the model of S3.
//! - [`client`]: the connection of a process, which may have a planted bug.
//! - [`activity`]: writers, runs of `settle`, `derive` and `erase`, and readers, at once.
//! - [`verdict`]: checks reads and the final state. `points`, `days`: check the files of these. [`reference`](mod@reference): computes
//!   days in another way. [`truth`]: compares them with what meters have counted.
//! - [`campaign`]: many runs.

use fastrand::Rng;
use pulsegate_model::device::DeviceId;
use tokio::task::LocalSet;

use super::world::World;

pub mod activity;
pub mod campaign;
pub mod client;
mod days;
pub mod faults;
pub mod messages;
pub mod meters;
pub mod objects;
mod points;
pub mod reference;
mod reports;
pub mod truth;
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
    /// Numbers of runs of `settle`, `derive` and days, and of reads.
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
        let messages = world.draw(if is_of_meters(seed, bug) { Messages::of_meters } else { Messages::drawn });
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

/// True if meters with known counts send, and days are made: in every fourth run; with a planted bug in each if it shows only
/// then, and in none otherwise.
fn is_of_meters(seed: u64, bug: Option<Bug>) -> bool {
    bug.map_or(seed % 4 == 3, Bug::is_of_days)
}

/// The device to erase: in every second run; with a planted bug in each if it shows only then, and in none otherwise.
fn erasing(seed: u64, bug: Option<Bug>) -> Option<DeviceId> {
    // Not from the world's numbers, so that a run without erasure is what it would be if there were none.
    let mut rng = Rng::with_seed(seed);
    let (is_due, device) = (rng.bool(), messages::device(&mut rng));
    bug.map_or(is_due, Bug::is_of_erasure).then_some(device)
}
