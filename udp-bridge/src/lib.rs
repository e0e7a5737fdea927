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
//! - [`intake`]: receives datagrams and hands on those that are somebody's.
//! - [`protocol`]: what a datagram is: whose uplink, and how to acknowledge it.
//! - [`arrivals`]: when a datagram came first, so that a repeated one stays the same message.
//! - [`gather`]: collects them into batches, puts these to the stream, and then acknowledges.
//! - [`health`]: what `GET /healthz` says.
//! - [`tally`]: counts what became of every datagram.

pub mod arrivals;
pub mod config;
pub mod gather;
pub mod health;
pub mod intake;
pub mod protocol;
pub mod server;
pub mod tally;
