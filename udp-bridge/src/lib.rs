//! UDP bridge: NB-IoT meter -> `ProcessRawDataNbiot`.
//!
//! The bridge acknowledges a reading only once it is durable. It does not acknowledge a reading that it cannot store,
//! and the meter sends it again.
//!
//! # Layout
//!
//! In the order in which a datagram meets them:
//!
//! - [`config`]: the settings, validated at start.
//! - [`server`]: starts and stops the parts; sockets and stop signal are its arguments.
//! - [`socket`]: receives and sends datagrams in batches; [`kernel`]: counts those that the kernel dropped.
//! - [`intake`]: one thread per socket; receives datagrams and packs authenticated uplinks.
//! - [`protocol`]: identifies a datagram's device, and builds its answer.
//! - [`first_seen`]: remembers first arrivals, so that a repeated datagram keeps its time.
//! - [`quarantine`]: records of the datagrams that a trusted listener rejects, within a limit.
//! - [`wrong_clocks`]: the devices that the log names because their clock shows an impossible time.
//! - [`pack`]: several uplinks in one record of the stream; [`memory`]: budget for packs that are not durable yet.
//! - [`put`]: puts packs to the stream, several requests at a time, and retries rejected records.
//! - [`reply`]: replies that wait for the put, and the timer for late CoAP replies.
//! - [`answer`]: answers the senders; [`separate`]: retransmits late CoAP answers until they are acknowledged.
//! - [`counters`]: counts datagrams, uplinks and puts.
//! - [`http`]: health, readiness and metrics.

pub mod answer;
pub mod config;
pub mod counters;
pub mod first_seen;
pub mod http;
pub mod intake;
pub mod kernel;
pub mod memory;
pub mod pack;
pub mod protocol;
pub mod put;
pub mod quarantine;
pub mod reply;
pub mod separate;
pub mod server;
pub mod socket;
pub mod wrong_clocks;
