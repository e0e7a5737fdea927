//! A fleet of meters of any size against a deployed stack, what became of its readings, and what it costs.
//!
//! # Layout
//!
//! In the order in which one would use them:
//!
//! - [`spec`]: what a fleet is: everything that decides what its meters send, and when.
//! - [`meters`]: the meters themselves, a function of the spec: who they are, what they count, and the bytes they send.
//! - [`stack`]: the addresses of a deployed stack.
//! - [`simulate`]: sends that to a stack, as meters, modems and the Sigfox cloud do.
//! - [`run`]: the directory of a run: its spec, what was sent and acknowledged, and what was measured.
//! - [`audit`]: reads the tables back, and accounts for every session.
//! - [`report`]: the load table of recorded runs, and the measurements that a bill is reckoned from.
//! - [`cost`]: what a month costs, by design and by fleet.
//! - [`plan`]: shards, capacity and tasks for a fleet.
//! - [`mod@print`]: tables for people and for machines; [`chart`]: pictures.

pub mod audit;
pub mod chart;
pub mod cost;
pub mod plan;
pub mod print;
pub mod report;
pub mod run;
pub mod simulate;
pub mod stack;

pub use test_kit::{meters, spec};

/// Why it was not done, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// What is wrong, and what to do, in a sentence without a full stop.
    #[error("{0}")]
    Wrong(String),
    /// The spec of a fleet.
    #[error(transparent)]
    Spec(#[from] spec::InvalidSpec),
    /// A file.
    #[error("the file {0}")]
    File(String, #[source] std::io::Error),
    /// Something that somebody else says.
    #[error("{0}")]
    Cause(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// A queue, a table or a log.
    #[error(transparent)]
    Read(#[from] pulsegate_pipeline::ports::ReadError),
    /// It was done, and not all of it came out right; what was printed says what.
    #[error("{0}")]
    NotAll(String),
}

impl Problem {
    /// With its causes.
    pub fn in_full(&self) -> String {
        let causes = std::iter::successors(Some(self as &dyn std::error::Error), |e| e.source());
        let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
        texts.dedup();
        texts.join(": ")
    }
}
