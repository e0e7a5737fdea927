//! What a month costs.
//!
//! # Layout
//!
//! - [`money`]: exact decimals; [`prices`]: a price file; [`aws`]: what AWS bills, service by service.
//! - [`load`]: how much a fleet sends; [`bill`]: what one would pay for it.
//! - [`study`]: the designs of the study; [`today`]: a model of a packed design, from before there was one.
//! - [`measurement`]: what was measured.

pub mod aws;
pub mod bill;
pub mod load;
pub mod measurement;
pub mod money;
pub mod prices;
pub mod study;
pub mod today;

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
