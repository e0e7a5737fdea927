//! Load generator and audit for fleets of meters of any size, against a deployed stack.
//!
//! # Layout
//!
//! In the order of use:
//!
//! - [`spec`]: the definition of a fleet: everything that decides what its meters send, and when.
//! - [`meters`]: the meters, a function of the spec: their identities, counters and messages.
//! - [`stack`]: the addresses of a deployed stack.
//! - [`load`]: sends the messages to a stack, as meters, modems and the Sigfox cloud do.
//! - [`run`]: the directory of a run: its spec, what was sent and acknowledged, and what was measured.
//! - [`audit`]: reads the archive and the pulses table, and accounts for every session.
//! - [`report`]: the load report of recorded runs, and the measurements for the cost model.
//!
//! The cost model and planner are the crate [`cost`], which also has tables ([`mod@print`]) and charts ([`chart`]).

pub mod audit;
pub mod load;
pub mod report;
pub mod run;
pub mod stack;

pub use cost::{chart, print};
pub use test_kit::{meters, spec};

/// Error of a command: the cause, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// Cause and remedy, in a sentence without a full stop.
    #[error("{0}")]
    Wrong(String),
    /// An invalid spec of a fleet.
    #[error(transparent)]
    Spec(#[from] spec::InvalidSpec),
    /// A file cannot be read or written.
    #[error("the file {0}")]
    File(String, #[source] std::io::Error),
    /// An error of a library or of the system.
    #[error("{0}")]
    Cause(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// A queue, table or log cannot be read.
    #[error(transparent)]
    Read(#[from] pulsegate_pipeline::ports::ReadError),
    /// The archive cannot be read.
    #[error(transparent)]
    Archive(#[from] pulsegate_pipeline::archive::reader::ArchiveError),
    /// The archive cannot be listed.
    #[error(transparent)]
    Store(#[from] pulsegate_pipeline::archive::store::StoreError),
    /// A measurement, a plan or a chart.
    #[error(transparent)]
    Cost(#[from] cost::Error),
    /// The command has run, but some messages were not acknowledged or not accounted for. The printed tables have the details.
    #[error("{0}")]
    NotAll(String),
}

impl Problem {
    /// The message with its causes.
    pub fn in_full(&self) -> String {
        let causes = std::iter::successors(Some(self as &dyn std::error::Error), |e| e.source());
        let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
        texts.dedup();
        texts.join(": ")
    }
}
