//! What Sigfox could not deliver, fetched from a simulated one that fails in every way, into ports that do the same.
//!
//! The clock of the tests stands still but for what the function waits; that of the simulated Sigfox does not.

mod faults;
mod harness;
mod lists;
