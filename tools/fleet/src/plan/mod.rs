//! What a fleet needs: shards, capacity, tasks, and how long a burst takes.

pub mod capacity;

use crate::Problem;

/// What is on the command line.
#[derive(Debug, clap::Args)]
pub struct Options {}

/// Does it.
///
/// # Errors
/// [`Problem`].
pub fn run(_options: &Options) -> Result<(), Problem> {
    Err(Problem::Wrong("not there yet".to_owned()))
}
