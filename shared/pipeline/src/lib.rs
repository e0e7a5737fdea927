//! What happens to a message between its arrival and its store. Independent of the host: an adapter crate brings records and
//! implements the ports.
//!
//! # Layout
//!
//! In the order in which a message meets the modules:
//!
//! - [`config`]: the environment, read once into a checked value.
//! - [`sigfox`]: callbacks of every kind and shape, parsed into uplinks and events.
//! - [`batch`]: the records of one batch, opened; the one place for the rule of partial failures.
//! - [`deadline`]: how long a batch may take.
//! - [`raw`]: the stage that stores uplinks, then publishes them; [`pulse`]: the stage that decodes them.
//! - [`downlink`]: downlinks that wait for a device, and their outcomes.
//! - [`quarantine`]: sends records that cannot be parsed to quarantine.
//! - [`ports`]: one to three verbs each in front of a service; their docs are the contract. `fakes` fail on purpose.
//! - [`telemetry`]: JSON logs, and metrics to the sink that was chosen at start.

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
