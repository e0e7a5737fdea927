//! The monthly bill of a fleet of meters, by design, and the capacity that it needs.
//!
//! # Layout
//!
//! Each module depends only on those above it:
//!
//! - [`mod@print`]: tables for people and for programs; [`chart`]: line charts.
//! - [`money`]: exact decimals; [`prices`]: a price file; [`load`]: the uplinks that a fleet sends.
//! - [`aws`]: what AWS bills for each service; [`limits`]: limits of AWS and of this project.
//! - [`measurement`]: the results of recorded runs; [`template`]: values of `template.yaml`.
//! - [`capacity`]: shards and tasks for a rate of uplinks.
//! - [`options`]: command-line options of all commands.
//! - [`bill`]: `cost bill`, the monthly bill by design and fleet size.
//! - [`plan`]: `cost plan`, the capacity for a fleet as parameters of `template.yaml`.
//! - [`reads`]: `cost reads`, the price of reading the archive.

pub mod aws;
pub mod bill;
pub mod capacity;
pub mod chart;
mod error;
pub mod limits;
pub mod load;
pub mod measurement;
pub mod money;
pub mod options;
pub mod plan;
pub mod prices;
pub mod print;
pub mod reads;
pub mod template;

pub use self::error::Error;
