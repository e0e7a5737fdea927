//! The processing of messages, from arrival to storage. Independent of the host: an adapter crate delivers records and
//! implements the ports.
//!
//! # Layout
//!
//! In the order in which a message meets the modules:
//!
//! - [`config`]: the environment, read once into a checked value.
//! - [`sigfox`]: callbacks of every kind and shape, parsed into uplinks and events.
//! - [`batch`]: opens the records of one batch; the only place with the rule for partial failures.
//! - [`deadline`]: the time limit of a batch.
//! - [`raw`]: the stage that stores uplinks, then publishes them; [`pulse`]: the stage that decodes them.
//! - [`archive`]: every uplink as it came, in an object store. [`tombstones`]: the devices that were erased from it.
//! - [`downlink`]: queued downlinks and their outcomes.
//! - [`quarantine`]: sends records that cannot be parsed to quarantine.
//! - [`ports`]: traits of one to three methods for each service; their docs are the contract. `fakes` fail on purpose.
//! - [`telemetry`]: JSON logs, and metrics to the sink that is installed at start.

pub mod archive;
pub mod batch;
pub mod config;
pub mod deadline;
pub mod downlink;
#[cfg(any(test, feature = "fakes"))]
pub mod fakes;
pub mod ports;
pub mod pulse;
pub mod quarantine;
pub mod raw;
pub mod sigfox;
pub mod telemetry;
pub mod tombstones;
