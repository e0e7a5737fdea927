//! `pulsegate redecode`: decodes history again, after a codec has changed.
//!
//! It reads raw uplinks page by page, decodes them with the codecs of this program, and compares the results with the
//! table of pulses. It shows differences and, with `--write`, writes them. It compares attributes, and does not depend
//! on the contents of pulse items.
//!
//! # Layout
//!
//! - `question`: selects uplinks, and divides them into parts.
//! - `page`: pages that end between two uplinks.
//! - `judge`: compares each uplink with its pulse item; `compare`: differences between two items.
//! - `pace`: limits the units a second.
//! - `tally`, `differences`: the counts, and the list of differences.
//! - `state`: the position of a run, in a file.
//! - `run`: runs the command; `report`: formats its output.

mod compare;
mod differences;
mod judge;
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

/// The tables to read and write.
#[derive(Debug)]
pub struct Tables<R, P, W> {
    /// Raw uplinks.
    pub raw: R,
    /// Pulse items, to compare with.
    pub pulses: P,
    /// The same table, to write to.
    pub out: W,
}
