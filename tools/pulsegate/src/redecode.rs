//! Decode history again, after a codec has changed.
//!
//! Raw uplinks are read page by page, decoded with the codecs of this program, and compared with what the table of pulses
//! holds. What differs is shown and, if asked for, written. What a pulse item holds is none of this module's business:
//! it compares attributes.
//!
//! # Layout
//!
//! - `question`: which uplinks, and in which parts they are read.
//! - `page`: pages that end between two uplinks.
//! - `judge`: what has become of each uplink; `compare`: whether two items are the same, and where not.
//! - `pace`: no more units a second than agreed.
//! - `tally`, `meters`: the counts, and the list of what differs.
//! - `state`: how far it is, in a file.
//! - `run`: all of it together; `report`: what is printed.

mod compare;
mod judge;
mod meters;
mod pace;
mod page;
mod question;
mod report;
mod run;
mod state;
mod tally;
#[cfg(test)]
mod tests;

pub use question::Question;
pub use run::{Order, run};

/// What is read and written.
#[derive(Debug)]
pub struct Tables<R, P, W> {
    /// Raw uplinks.
    pub raw: R,
    /// Pulses, to compare with.
    pub pulses: P,
    /// The same, to write to.
    pub out: W,
}
