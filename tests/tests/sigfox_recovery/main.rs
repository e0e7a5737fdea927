//! Recovery of undelivered callbacks, with a simulated Sigfox and ports that fail in every way.
//!
//! The clock of the tests is paused and advances only while the function waits; the simulated Sigfox uses the real
//! clock.

mod faults;
mod harness;
mod lists;
