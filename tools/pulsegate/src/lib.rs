//! What an operator does from a command line.
//!
//! # Layout
//!
//! - [`options`]: what is on the command line, and what `--help` says.
//! - [`downlinks`]: queue downlinks, and see what became of them.
//! - [`callbacks`]: what to set up at Sigfox.
//! - [`print`]: tables and JSON.

use shared::downlink::{DownlinkError, DownlinkId, State};
use shared::ports::Unavailable;
use shared::sigfox::CallbackKind;

pub mod callbacks;
pub mod downlinks;
pub mod options;
pub mod print;

/// Why it was not done, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// No table.
    #[error(
        "which table? Give --table NAME, or set DOWNLINK_TABLE (the stack's output DownlinkTable; after `make up` it is \
         in .local/env)"
    )]
    NoTable,
    /// It does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// A part of a downlink is wrong.
    #[error(transparent)]
    Downlink(#[from] DownlinkError),
    /// No time of this system's.
    #[error("the time until which it is valid is before 1970 or after 9999")]
    Time,
    /// Its key is taken.
    #[error("there is a downlink {0} already; choose another --name")]
    Taken(DownlinkId),
    /// No such downlink.
    #[error("there is no downlink {0}; `pulsegate downlinks list DEVICE` shows those there are")]
    Absent(DownlinkId),
    /// It is too late.
    #[error("{0} is {1}: only what still waits can be taken back")]
    NotWaiting(DownlinkId, State),
    /// It is on its way, or there.
    #[error("{0} is {1}: only what was refused or has expired is queued again{hint}", hint = requeue_hint(*.1))]
    NotRequeued(DownlinkId, State),
    /// Not a callback's address. Not quoted: it may hold a password.
    #[error("--url is not an address of the form https://API-ID.execute-api.REGION.amazonaws.com (the output ApiUrl)")]
    Url,
    /// No such profile.
    #[error("{name:?} is not a profile of a Sigfox device; there are {known}")]
    Profile {
        /// What was asked for.
        name: String,
        /// Those there are.
        known: String,
    },
    /// No longer.
    #[error("Sigfox creates no GEOLOC callbacks any more; data-advanced tells the position")]
    NoGeoloc,
    /// Not by the API.
    #[error("EVENT callbacks cannot be created by the API")]
    NoEvent,
    /// Not in batches.
    #[error("{0} does not come in batches here, only uplink and bidir do; use --channel url")]
    NoBatch(CallbackKind),
    /// Not in the file or variable.
    #[error("failed to read the secret from {0}")]
    Secret(String, #[source] std::io::Error),
    /// Not what goes into a header.
    #[error("the secret from {0} is empty or has characters other than visible ASCII")]
    SecretText(String),
    /// It was done, and cannot be shown.
    #[error("it is done, but cannot be printed")]
    Output(#[source] std::io::Error),
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

fn requeue_hint(state: State) -> &'static str {
    match state {
        State::Pending => ". It will be sent as it is",
        State::Answered => ". If no word of it will come any more, say --unconfirmed",
        _ => ". To send the same again, use `pulsegate downlinks queue`",
    }
}
