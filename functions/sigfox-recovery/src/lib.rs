//! `callbacks-not-delivered` of the Sigfox API -> `ProcessRawDataSigfox`.
//!
//! Sigfox repeats a callback for some minutes and then never again; what it could not deliver by then it lists. On a
//! schedule, this function fetches the list and sends what is on it the way of the live callbacks.
//!
//! A watermark for each device type tells how far it has come, and moves only over what is durable. What is found
//! twice, or had arrived after all, does no harm: it is written under the same natural key, to the same effect.
//!
//! # Layout
//!
//! - [`config`]: the settings.
//! - [`api`]: asks Sigfox, page by page, and again where that may help.
//! - [`item`]: what is on the list: a callback of ours, somebody else's, or not understood.
//! - [`window`]: from when to when a pass looks, and what is left to do after each page.
//! - [`recovery`]: a pass for each device type. Callbacks are read and enqueued by [`pulsegate_pipeline::sigfox`], as live ones are.

pub mod api;
pub mod config;
pub mod item;
pub mod recovery;
pub mod window;

pub use config::Config;
pub use recovery::{Failed, Recovery, Tally, handle};

/// Who counts, and who says in quarantine why a record is there.
pub const STAGE: &str = "sigfox-recovery";
