//! The errors of both commands.

/// An error that the user can remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An input is invalid. The text names it, and what to do, in a sentence without a full stop.
    #[error("{0}")]
    Invalid(String),
    /// A file cannot be read or written.
    #[error("the file {0}")]
    File(String, #[source] std::io::Error),
}

impl Error {
    /// The message with those of its causes.
    pub fn in_full(&self) -> String {
        let causes = std::iter::successors(Some(self as &dyn std::error::Error), |e| e.source());
        let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
        texts.dedup();
        texts.join(": ")
    }
}
