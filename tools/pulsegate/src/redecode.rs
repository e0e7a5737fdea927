//! `pulsegate redecode`: decodes history again, after a codec has changed.
//!
//! It reads the archive file by file in pages, decodes them with the codecs of this program, and compares the results with the
//! table of pulses. It shows differences and, with `--write`, writes them. It compares attributes, and does not depend
//! on the contents of pulse items, but for the attribute of their expiry, which is the table's.
//!
//! # Layout
//!
//! - `question`: selects uplinks.
//! - `page`: reads them in parts, and in pages that end between two uplinks.
//! - `judge`: compares each uplink with its pulse item; `compare`: differences between two items.
//! - `expiry`: the expiry of items.
//! - `pace`: limits the units a second.
//! - `tally`, `differences`: the counts, and the list of differences.
//! - `state`: the position of a run, in a file.
//! - `run`: runs the command; `report`: formats its output.

mod compare;
mod differences;
mod expiry;
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

use pulsegate_pipeline::archive::reader::Archive;
pub use question::Question;
pub use run::{Order, run};

/// The archive and the table to read and write.
#[derive(Debug)]
pub struct Stores<S, P, W> {
    /// Uplinks.
    pub archive: Archive<S>,
    /// Pulse items, to compare with.
    pub pulses: P,
    /// The same table, to write to.
    pub out: W,
}
