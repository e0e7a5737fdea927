//! The command line of `pulsegate redrive`.

use clap::{Args, Subcommand};
use pulsegate_model::device::DeviceId;

use super::address::{self, Resource};
use super::{Format, any_device};
use crate::Problem;
use crate::redrive::Selection;

/// Options of all redrive commands.
#[derive(Debug, Args)]
pub struct RedriveOptions {
    /// The stack's output `QuarantineQueueUrl`
    #[arg(long, env = "QUARANTINE_QUEUE_URL", global = true, value_name = "URL")]
    quarantine_queue: Option<String>,
    /// Output format
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Command to run.
    #[command(subcommand)]
    pub command: RedriveCommand,
}

/// Redrive commands.
#[derive(Debug, Subcommand)]
pub enum RedriveCommand {
    /// List the records in quarantine by stage, codec and reason, without removing them
    List {
        /// Selection.
        #[command(flatten)]
        which: SelectionOptions,
    },
    /// Send records back to the stages that quarantined them
    ///
    /// Deletes a record from quarantine only once it is durable at its destination. A record that fails again returns
    /// to quarantine as a new message, with the current reason.
    Send(Box<Send>),
}

/// Records to send, and their destinations.
#[derive(Debug, Args)]
pub struct Send {
    /// Selection.
    #[command(flatten)]
    pub which: SelectionOptions,
    /// Every record
    #[arg(long, conflicts_with_all = ["id", "device", "stage", "reason"])]
    pub all: bool,
    /// Maximum number of records
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Destinations.
    #[command(flatten)]
    pub places: DestinationOptions,
}

/// Selection of records. A record must match all given options; of several values of one option, one must match.
#[derive(Debug, Clone, Default, Args)]
pub struct SelectionOptions {
    /// The message with this ID, as `list` shows it
    #[arg(long)]
    id: Vec<String>,
    /// Records that were parsed as an uplink of this device, such as sigfox:1A2345
    #[arg(long, value_parser = any_device)]
    device: Vec<DeviceId>,
    /// Records that this stage could not parse, such as pulse
    #[arg(long)]
    stage: Vec<String>,
    /// Records whose reason contains this text
    #[arg(long, value_name = "TEXT")]
    reason: Vec<String>,
}

/// Destinations of records.
#[derive(Debug, Clone, Args)]
pub struct DestinationOptions {
    /// The stack's output `RawQueueUrl`
    #[arg(long, env = "RAW_QUEUE_URL", value_name = "URL")]
    raw_queue: Option<String>,
    /// The stack's output `PulseSigfoxQueueUrl`
    #[arg(long, env = "PULSE_SIGFOX_QUEUE_URL", value_name = "URL")]
    pulse_sigfox_queue: Option<String>,
    /// The stack's output `PulseNbiotQueueUrl`
    #[arg(long, env = "PULSE_NBIOT_QUEUE_URL", value_name = "URL")]
    pulse_nbiot_queue: Option<String>,
    /// The stack's output `RawStreamName`
    #[arg(long, env = "RAW_STREAM", value_name = "NAME")]
    raw_stream: Option<String>,
}

const QUARANTINE: Resource = Resource::queue(["--quarantine-queue", "QUARANTINE_QUEUE_URL", "QuarantineQueueUrl"]);
const RAW: Resource = Resource::queue(["--raw-queue", "RAW_QUEUE_URL", "RawQueueUrl"]);
const PULSE_SIGFOX: Resource =
    Resource::queue(["--pulse-sigfox-queue", "PULSE_SIGFOX_QUEUE_URL", "PulseSigfoxQueueUrl"]);
const PULSE_NBIOT: Resource = Resource::queue(["--pulse-nbiot-queue", "PULSE_NBIOT_QUEUE_URL", "PulseNbiotQueueUrl"]);
const RAW_STREAM: Resource = Resource::named(["--raw-stream", "RAW_STREAM", "RawStreamName"]);

/// Addresses of quarantine and of the destinations.
#[derive(Debug, Clone)]
pub struct RedriveAddresses {
    /// URL of the quarantine queue.
    pub quarantine: String,
    /// URL of the queue of the stage `raw-sigfox`.
    pub raw_sigfox: String,
    /// URL of the queue of the stage `pulse` for Sigfox.
    pub pulse_sigfox: String,
    /// URL of the queue of the stage `pulse` for NB-IoT.
    pub pulse_nbiot: String,
    /// Name of the stream of the stage `raw-nbiot`.
    pub raw_nbiot: String,
}

impl RedriveOptions {
    /// Returns the URL of the quarantine queue.
    ///
    /// # Errors
    /// [`Problem::Settings`].
    pub fn quarantine_queue(&self) -> Result<String, Problem> {
        let [url] = address::all([(&QUARANTINE, self.quarantine_queue.as_ref())])?;
        Ok(url)
    }

    /// Returns the addresses of quarantine and of the destinations.
    ///
    /// # Errors
    /// [`Problem::Settings`].
    pub fn addresses(&self, places: &DestinationOptions) -> Result<RedriveAddresses, Problem> {
        let [quarantine, raw_sigfox, pulse_sigfox, pulse_nbiot, raw_nbiot] = address::all([
            (&QUARANTINE, self.quarantine_queue.as_ref()),
            (&RAW, places.raw_queue.as_ref()),
            (&PULSE_SIGFOX, places.pulse_sigfox_queue.as_ref()),
            (&PULSE_NBIOT, places.pulse_nbiot_queue.as_ref()),
            (&RAW_STREAM, places.raw_stream.as_ref()),
        ])?;
        Ok(RedriveAddresses { quarantine, raw_sigfox, pulse_sigfox, pulse_nbiot, raw_nbiot })
    }
}

impl SelectionOptions {
    /// Converts the options to a selection.
    pub fn selection(&self) -> Selection {
        let Self { id, device, stage, reason } = self.clone();
        Selection { ids: id, devices: device, stages: stage, reasons: reason }
    }
}
