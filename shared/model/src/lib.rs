//! What a message of a meter is and what it says. No I/O, no async, no SDK: pure functions and types.
//!
//! # Layout
//!
//! In the order in which a message meets the modules:
//!
//! - [`device`], [`at`]: device IDs and moments. Types that only parsing can build.
//! - [`uplink`]: one message of a meter and its natural key.
//! - [`event`]: what a network reports about a device, apart from what the device sent.
//! - [`envelope`]: uplinks packed into queue messages of at most one billing unit, and unpacked again.
//! - [`record`]: an uplink in the Kinesis stream; [`aggregate`]: many of them in one record, in the format of the Kinesis
//!   Producer Library.
//! - [`profile`], [`codec`]: which device speaks which format, and what its bytes mean.
//! - [`pulse`]: the item that holds all points of one uplink; [`merge`]: the points of a device, made of its items.
//! - [`quarantine`]: a record that cannot be parsed, whole and with the reason.

pub mod aggregate;
pub mod at;
pub mod codec;
pub mod device;
pub mod envelope;
pub mod event;
pub mod merge;
pub mod profile;
pub mod pulse;
pub mod quarantine;
pub mod record;
pub mod uplink;
