//! What every part of Pulsegate speaks.
//!
//! # Layout
//!
//! In the order in which a message meets them:
//!
//! - [`config`]: the environment, read once into a checked value.
//! - [`device`], [`at`]: whose reading it is, and of when. Types that can only be built by parsing.
//! - [`uplink`]: one message of a meter, its natural key, and the raw item it is stored as.
//! - [`sigfox`]: callbacks of every kind and shape, read into uplinks and events.
//! - [`event`]: what a network says about a device, apart from what the device sent.
//! - [`envelope`]: uplinks packed into queue messages of at most one billing unit, and unpacked again.
//! - [`record`]: an uplink in the Kinesis stream; [`aggregate`]: many of them in one record, as Amazon's own producer
//!   library does it.
//! - [`batch`]: what an invocation brings, and the partial answer it gets; the one place for that rule.
//! - [`deadline`]: how long an invocation may go on.
//! - [`raw`]: the stage that both `raw-*` functions run: store the uplink, then publish it.
//! - [`profile`], [`codec`]: which device speaks which format, and what its bytes say.
//! - [`pulse`]: the item that holds all points of one uplink; [`merge`]: the points of a device, made of its items.
//! - [`downlink`]: what waits for a device until it asks, and what became of it.
//! - [`quarantine`]: what can never be read, whole and with its reason.
//! - [`ports`]: one to three verbs each in front of AWS; their docs are the contract. `fakes` fail on purpose.
//! - [`aws`]: the adapters. With the `main.rs` files the only place that names an AWS SDK.
//! - [`telemetry`]: JSON logs and CloudWatch embedded metrics.

pub mod aggregate;
pub mod at;
pub mod aws;
pub mod batch;
pub mod codec;
pub mod config;
pub mod deadline;
pub mod device;
pub mod downlink;
pub mod envelope;
pub mod event;
#[cfg(any(test, feature = "fakes"))]
pub mod fakes;
pub mod merge;
pub mod ports;
pub mod profile;
pub mod pulse;
pub mod quarantine;
pub mod raw;
pub mod record;
pub mod sigfox;
pub mod telemetry;
pub mod uplink;
