//! What an operator does from a command line.
//!
//! # Layout
//!
//! - [`options`]: what is on the command line, and what `--help` says.
//! - [`downlinks`]: queue downlinks, and see what became of them.
//! - [`callbacks`]: what to set up at Sigfox.
//! - [`redrive`]: send quarantined records again.
//! - [`redecode`]: decode history again.
//! - [`stop`], [`progress`]: what takes long can be stopped, and says how far it is.
//! - [`print`]: tables and JSON.

use pulsegate_model::at::At;
use pulsegate_pipeline::downlink::{DownlinkError, DownlinkId, State, Unavailable};
use pulsegate_pipeline::ports::ReadError;
use pulsegate_pipeline::sigfox::CallbackKind;

pub mod callbacks;
pub mod downlinks;
pub mod options;
pub mod print;
pub mod progress;
pub mod redecode;
pub mod redrive;
pub mod stop;

/// What was done, to be printed, and what was not.
#[derive(Debug)]
pub struct Done {
    /// For standard output.
    pub text: String,
    /// What is left to do, if anything.
    pub not: Option<Problem>,
}

impl From<String> for Done {
    fn from(text: String) -> Self {
        Self { text, not: None }
    }
}

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
    /// No address of a part of the stack.
    #[error(
        "where is it? Give {option}, or set {variable} (the stack's output {output}; after `make up` it is in .local/env)"
    )]
    NoAddress {
        /// The option that tells.
        option: &'static str,
        /// The variable that does.
        variable: &'static str,
        /// What it is called among the stack's outputs.
        output: &'static str,
    },
    /// A queue or a table.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Which records?
    #[error("nothing is selected: give --id, --device, --stage or --reason, or --all for every record")]
    NothingSelected,
    /// Some records are where they were.
    #[error("of {selected} selected records {sent} have been sent{why}")]
    NotSent {
        /// How many were to be.
        selected: usize,
        /// How many are.
        sent: usize,
        /// What stopped it, if it was stopped.
        why: String,
    },
    /// They will be sent once more.
    #[error(
        "{0} records have been sent but not deleted from quarantine: the next run sends them once more, to the same effect"
    )]
    NotDeleted(usize),
    /// Which uplinks?
    #[error("nothing is selected: give --device, --from or --to, or --all for everything")]
    NoQuestion,
    /// It may not be in the state file, which is written after every page.
    #[error("with --state, what differs is listed in a file: give --meters FILE, or --format table")]
    ListInFile,
    /// It ends before it begins.
    #[error("no uplink is selected: --from {from} is not before --to {to}")]
    NoSpan {
        /// From when on.
        from: At,
        /// Until when.
        to: At,
    },
    /// Somebody may need what stands in it.
    #[error("the file {0} is not empty: remove it, or name another")]
    NotEmpty(String),
    /// They stay as they are.
    #[error(
        "{0} pulse items are of a newer version of their codec than this program has, and stay as they are: build it from \
         the sources that are deployed"
    )]
    Newer(u64),
    /// The state of a run is not there, or not to be gone on with.
    #[error("the state {path}: {reason}")]
    State {
        /// The file.
        path: String,
        /// What is the matter.
        reason: String,
    },
    /// A file.
    #[error("the file {0}")]
    File(String, #[source] std::io::Error),
    /// The table refuses.
    #[error("the table of pulses has refused {0} items; why is said above")]
    NotWritten(usize),
    /// Somebody has stopped it.
    #[error("stopped{0}")]
    Stopped(&'static str),
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
