//! NB-IoT meter -> `ProcessRawDataNbiot`.
//!
//! A meter is acknowledged only once its reading is durable. What cannot be made durable is not acknowledged, and the
//! meter sends it again.
//!
//! # Layout
//!
//! In the order in which a datagram meets them:
//!
//! - [`config`]: the settings, checked whole at start.
//! - [`server`]: puts the parts together; the sockets and the signal to stop are its arguments.
//! - [`socket`]: datagrams by the batch; [`kernel`]: those that the kernel dropped.
//! - [`intake`]: a thread for each socket; receives, and puts together what is somebody's.
//! - [`protocol`]: what a datagram is: whose uplink, and how its sender is told.
//! - [`first_seen`]: when a datagram came first, so that a repeated one stays the same message.
//! - [`pack`]: uplinks in one record of the stream; [`memory`]: how much of that there is, and may be.
//! - [`put`]: puts packs to the stream, several at a time, and sends again what was refused.
//! - [`answer`]: tells the senders; [`separate`]: the CoAP answers that have to be sent until they arrive.
//! - [`counters`]: counts what became of every datagram.
//! - [`http`]: what the bridge says of itself.

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
pub mod separate;
pub mod server;
pub mod socket;
