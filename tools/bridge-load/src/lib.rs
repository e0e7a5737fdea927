//! Measures the UDP bridge, and tests it under faults.
//!
//! The bridge is a child process. Environment, sockets, HTTP and signals drive it, as an orchestrator and a fleet do, so the
//! measured program is the deployed one.
//!
//! # Layout
//!
//! - [`readings`]: the readings of a run, numbered through.
//! - [`net`]: receives and sends datagrams in batches.
//! - [`fleet`]: sends readings, waits for acknowledgements, and repeats as meters do.
//! - [`flood`]: sends unauthenticated datagrams, which must never get an answer.
//! - [`bare`]: a loop that authenticates datagrams and stores nothing, as the baseline.
//! - [`child`]: a bridge or a bare loop as a child process; [`process`]: its CPU time and memory.
//! - [`mod@bench`]: measures CPU time per datagram and latency.
//! - [`chaos`]: applies faults, then checks every acknowledgement against the stream.
//! - [`options`]: the command line.
//!
//! Meters' keys and the stand-in for Kinesis come from `test_kit`.

pub mod bare;
pub mod bench;
pub mod chaos;
pub mod child;
pub mod fleet;
pub mod flood;
pub mod net;
pub mod options;
pub mod process;
pub mod readings;
