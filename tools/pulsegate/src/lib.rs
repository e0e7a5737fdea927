//! The operator's command-line tool.
//!
//! # Layout
//!
//! - [`options`]: the command line and its help.
//! - [`downlinks`]: queues downlinks, and shows their states.
//! - [`uplinks`]: shows the uplinks of a device.
//! - [`consumption`]: shows the consumption of a channel; [`completeness`]: of a device or of the fleet.
//! - [`history`]: what the archive knows about a device, for both.
//! - [`callbacks`]: prints the callbacks to create at Sigfox.
//! - [`redrive`]: sends quarantined records again.
//! - [`redecode`]: decodes history again.
//! - [`erase`]: removes a device from every place.
//! - [`meters`]: imports, exports, shows and swaps the meters of devices.
//! - [`stop`], [`progress`]: stop and progress of long commands.
//! - [`print`]: tables, comma-separated values and JSON.

use jiff::civil::Date;
use pulsegate_aws::MissingSettings;
use pulsegate_model::assignment::Overlap;
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::archive::assignments::AssignmentsError;
use pulsegate_pipeline::archive::erase::EraseError;
use pulsegate_pipeline::archive::store::StoreError;
use pulsegate_pipeline::downlink::{DownlinkError, DownlinkId, State, Unavailable};
use pulsegate_pipeline::ports::ReadError;
use pulsegate_pipeline::sigfox::CallbackKind;

pub mod callbacks;
pub mod completeness;
pub mod consumption;
pub mod downlinks;
pub mod erase;
pub mod history;
pub mod meters;
pub mod options;
pub mod print;
pub mod progress;
pub mod redecode;
pub mod redrive;
pub mod stop;
pub mod uplinks;

/// The output of a command, and the problem that left it incomplete.
#[derive(Debug)]
pub struct CommandOutput {
    /// Text for standard output.
    pub text: String,
    /// Set if the command is incomplete.
    pub problem: Option<Problem>,
}

impl From<String> for CommandOutput {
    fn from(text: String) -> Self {
        Self { text, problem: None }
    }
}

/// Why a command failed or is incomplete, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The table does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// A field of a downlink is invalid.
    #[error(transparent)]
    Downlink(#[from] DownlinkError),
    /// A time outside the supported range.
    #[error("the end of validity is before 1970 or after 9999")]
    Time,
    /// The downlink's key exists.
    #[error("the downlink {0} already exists; choose another --name")]
    Taken(DownlinkId),
    /// The downlink does not exist.
    #[error("there is no downlink {0}; `pulsegate downlinks list DEVICE` shows the existing ones")]
    Absent(DownlinkId),
    /// The downlink can no longer be cancelled.
    #[error("{0} is {1}: only a pending downlink can be cancelled")]
    NotWaiting(DownlinkId, State),
    /// The downlink may still be sent, or was delivered.
    #[error("{0} is {1}: only a refused or expired downlink can be queued again{hint}", hint = requeue_hint(*.1))]
    NotRequeued(DownlinkId, State),
    /// Not a base address. No message about it quotes it, because it may contain a password.
    #[error("--url is not an address of the form https://API-ID.execute-api.REGION.amazonaws.com (the output ApiUrl)")]
    Url,
    /// A base address with a path or a query.
    #[error(
        "--url has a path, but takes only the base address, {0}: give the output ApiUrl, not CallbackUrlPattern; \
         /sigfox/PROFILE/KIND is added"
    )]
    UrlPath(String),
    /// The profile does not exist.
    #[error("{name:?} is not a profile of a Sigfox device; known: {known}")]
    Profile {
        /// The given name.
        name: String,
        /// The existing profiles.
        known: String,
    },
    /// Sigfox has ended this kind.
    #[error("Sigfox creates no GEOLOC callbacks any more; data-advanced has the position")]
    NoGeoloc,
    /// The API does not support this kind.
    #[error("EVENT callbacks cannot be created by the API")]
    NoEvent,
    /// The kind is not supported in batches.
    #[error("{0} is not supported in batches, only uplink and bidir are; use --channel url")]
    NoBatch(CallbackKind),
    /// The file or variable cannot be read.
    #[error("failed to read the secret from {0}")]
    Secret(String, #[source] std::io::Error),
    /// The secret is not valid in a header.
    #[error("the secret from {0} is empty or has characters other than visible ASCII")]
    SecretText(String),
    /// Settings are missing or wrong: addresses of the stack's resources, region, credentials.
    #[error("{0}. After `make up`, .local/env has all settings")]
    Settings(MissingSettings),
    /// A queue, a table or the archive cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A bucket cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A step in the archive failed.
    #[error(transparent)]
    Erase(#[from] EraseError),
    /// Something of an erased device is left.
    #[error(
        "not everything is erased: {kept} found but not removed, which the same command tries again; {left} that cannot be \
         read, or taken apart from other devices: see docs/erase.md"
    )]
    NotErased {
        /// The number of those that cannot be read or taken apart.
        left: usize,
        /// The number of those that were found and are still there.
        kept: usize,
    },
    /// Assignments cannot be read or written.
    #[error(transparent)]
    Assignments(#[from] AssignmentsError),
    /// The archive has nothing of the device.
    #[error(
        "{device} is not known: it has no uplinks from {from} to {to}, and no assignment. Check the ID, or give an earlier \
         --from"
    )]
    UnknownDevice {
        /// The device.
        device: DeviceId,
        /// The beginning of the time that was searched.
        from: At,
        /// Its end.
        to: At,
    },
    /// The device has no counts.
    #[error("{0} has uplinks, but no counts of any channel in them: `pulsegate uplinks {0}` shows them")]
    NoChannel(DeviceId),
    /// The device does not have this channel.
    #[error("{device} has no channel {channel}: its channels are {known}")]
    UnknownChannel {
        /// The device.
        device: DeviceId,
        /// The given channel.
        channel: Channel,
        /// Its channels.
        known: String,
    },
    /// The device has several channels.
    #[error("{device} has the channels {known}: choose one with --channel")]
    WhichChannel {
        /// The device.
        device: DeviceId,
        /// Its channels.
        known: String,
    },
    /// A volume of a channel without assignment.
    #[error(
        "{0} {1} has no assignment, so the volume of a pulse is not known: use --unit pulses, or add one with `pulsegate \
         meters import`"
    )]
    NoVolume(DeviceId, Channel),
    /// The day is in no file.
    #[error(
        "no file of days has {0}: {1} The function Days makes them every hour, and `aws lambda invoke` does at once: see \
         docs/days.md"
    )]
    NoDay(Date, &'static str),
    /// The span has no length.
    #[error("--to {to} is not after --from {from}")]
    EmptySpan {
        /// The beginning.
        from: String,
        /// The end.
        to: String,
    },
    /// The span is too long.
    #[error("--from to --to is {days} days, but at most {most} {hint}")]
    LongSpan {
        /// Its days.
        days: i64,
        /// The most days.
        most: i64,
        /// The remedy.
        hint: &'static str,
    },
    /// Assignments with errors, which are in the output.
    #[error("{subject}: nothing was written; errors: {errors}. Correct them and run the command again")]
    Rejected {
        /// The file or command.
        subject: String,
        /// The number of errors.
        errors: usize,
    },
    /// Another process has added an assignment after the check.
    #[error("an assignment that is new since the check {0}: run the command again without --write")]
    Meanwhile(#[source] Overlap),
    /// A time that is neither of RFC 3339 nor a date.
    #[error("--at: {0}")]
    SwapTime(String),
    /// The channel has no assignment that a swap could end.
    #[error(
        "no assignment of {device} {channel} at {at} continues: `pulsegate meters show {device}` shows the assignments, \
         and `pulsegate meters import` changes them"
    )]
    NoMeter {
        /// The device.
        device: DeviceId,
        /// Its channel.
        channel: Channel,
        /// The time of the swap.
        at: At,
    },
    /// No selection of records.
    #[error("nothing is selected: use --id, --device, --stage or --reason, or --all for every record")]
    NothingSelected,
    /// Some selected records are still in quarantine.
    #[error("{sent} of {selected} selected records have been sent{why}")]
    NotSent {
        /// Number of selected records.
        selected: usize,
        /// Number of records sent.
        sent: usize,
        /// Why the run ended early, or an empty text.
        why: String,
    },
    /// Some sent records are still in quarantine.
    #[error(
        "{0} records have been sent but not deleted from quarantine: the next run sends them again, with the same \
         result"
    )]
    NotDeleted(usize),
    /// No selection of uplinks.
    #[error("nothing is selected: use --device, --from or --to, or --all for everything")]
    NoQuestion,
    /// The list of differences needs a file: the state file, which is written after every page, does not contain it.
    #[error("with --state, the list of differences needs a file: use --meters FILE, or --format table")]
    ListInFile,
    /// The time span is empty.
    #[error("no uplink is selected: --from {from} is not before --to {to}")]
    NoSpan {
        /// Start, inclusive.
        from: At,
        /// End, exclusive.
        to: At,
    },
    /// The file has content that would be lost.
    #[error("the file {0} is not empty: remove it, or name another")]
    NotEmpty(String),
    /// Some items were left unchanged.
    #[error(
        "{0} pulse items are of a newer version of their codec than this program has, and were not changed: build it \
         from the deployed sources"
    )]
    Newer(u64),
    /// The state of a run is missing or does not match.
    #[error("the state {path}: {reason}")]
    State {
        /// The file.
        path: String,
        /// The reason.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("failed to access the file {0}")]
    File(String, #[source] std::io::Error),
    /// The table rejects items.
    #[error("the table of pulses has refused {0} items; the reasons are above")]
    NotWritten(usize),
    /// The operator has stopped the command.
    #[error("stopped{0}")]
    Stopped(&'static str),
    /// The command is complete, but its output cannot be written.
    #[error("the command is complete, but its output cannot be printed")]
    Output(#[source] std::io::Error),
}

/// Not by thiserror, which would print these as their own cause.
impl From<MissingSettings> for Problem {
    fn from(missing: MissingSettings) -> Self {
        Self::Settings(missing)
    }
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

fn requeue_hint(state: State) -> &'static str {
    match state {
        State::Pending => ". It will be sent as it is",
        State::Answered => ". If a confirmation can no longer arrive, use --unconfirmed",
        _ => ". To send the same data again, use `pulsegate downlinks queue`",
    }
}
