//! Measures the UDP bridge, and breaks it.
//!
//! The bridge is a child process here and nothing else: it is driven by its environment, sockets, HTTP and signals, as
//! an orchestrator and a fleet would, so that what is measured and broken is what is deployed.
//!
//! # Layout
//!
//! - [`meter`]: whose reading is which, and the sealed envelope as the firmware's side knows it.
//! - [`net`]: datagrams by the batch, in and out.
//! - [`fleet`]: sends readings, waits for acknowledgements, and repeats as meters do.
//! - [`strangers`]: send what is no reading, and must never get an answer.
//! - [`stand_in`]: answers in the place of Kinesis and Secrets Manager, and fails on request.
//! - [`bare`]: the least that a program can do with a datagram, to compare with.
//! - [`child`]: a bridge or a bare loop, as a process; [`process`]: what that uses.
//! - [`mod@bench`]: what a datagram costs, at which latency.
//! - [`chaos`]: a fault at a time, and then every acknowledgement held against what is in the stream.
//! - [`options`]: what is on the command line.

pub mod bare;
pub mod bench;
pub mod chaos;
pub mod child;
pub mod fleet;
pub mod readings;
pub mod net;
pub mod options;
pub mod process;
pub mod strangers;
