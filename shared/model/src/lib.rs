//! Messages of meters: types and pure functions for device IDs, uplinks, events, codecs, pulses and wire formats. No
//! I/O, no async, no SDK.
//!
//! # Layout
//!
//! In the order in which a message meets the modules:
//!
//! - [`device`], [`at`]: device IDs and times. Types that only parsing can build. [`clock`]: whether a device's clock can be
//!   right.
//! - [`uplink`]: one message of a meter and its natural key.
//! - [`event`]: a network's report about a device.
//! - [`envelope`]: uplinks packed into queue messages of at most one billing unit, and unpacked again.
//! - [`record`]: an uplink in the Kinesis stream; [`aggregate`]: many of them in one record, in the format of the
//!   Kinesis Producer Library.
//! - [`profile`], [`codec`]: the kinds of devices, and the decoders of their formats.
//! - [`pulse`]: the item that holds all counts of one uplink; [`merge`]: the points of a device, from its items.
//! - [`assignment`]: the fact that an operator states about a channel: which meter it counts, from when to when.
//! - [`consumption`]: volume by interval, from points and assignments; [`ledger`]: proof of its completeness by day;
//!   [`day`]: both for each local day.
//! - [`quarantine`]: a record that cannot be parsed, unchanged and with the reason.

pub mod aggregate;
pub mod assignment;
pub mod at;
pub mod clock;
pub mod codec;
pub mod consumption;
pub mod day;
pub mod device;
pub mod envelope;
pub mod event;
pub mod ledger;
pub mod merge;
pub mod profile;
pub mod pulse;
pub mod quarantine;
pub mod record;
pub mod uplink;
