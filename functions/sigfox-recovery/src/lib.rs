//! `callbacks-not-delivered` of the Sigfox API -> `ProcessRawDataSigfox`.
//!
//! Sigfox repeats a callback for some minutes and then never again; it lists the callbacks that it could not deliver.
//! On a schedule, this function fetches the list and enqueues its callbacks like live ones.
//!
//! A watermark per device type stores the progress, and advances only past durable callbacks. A callback that is found
//! twice, or that did arrive, does no harm: it is written again under the same natural key.
//!
//! # Layout
//!
//! - [`config`]: the settings.
//! - [`api`]: fetches the list from Sigfox, page by page, with retries.
//! - [`item`]: parses an item: a missed callback of this stack, a foreign one, or unreadable.
//! - [`window`]: the time window of a pass, and the watermark after each page.
//! - [`recovery`]: a pass for each device type. [`pulsegate_pipeline::sigfox`] parses and enqueues the callbacks, as it
//!   does for live ones.

pub mod api;
pub mod config;
pub mod item;
pub mod recovery;
pub mod window;

pub use config::Config;
pub use recovery::{Failed, Recovery, Tally, handle};

/// The part name in metrics and the stage name in quarantine records.
pub const STAGE: &str = "sigfox-recovery";
