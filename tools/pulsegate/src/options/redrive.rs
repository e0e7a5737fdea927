//! The command line of `pulsegate redrive`.

use clap::{Args, Subcommand};
use pulsegate_model::device::DeviceId;

use super::{Format, any_device};
use crate::Problem;
use crate::redrive::Selection;

/// What to do about quarantined records.
#[derive(Debug, Args)]
pub struct RedriveOptions {
    /// The stack's output `QuarantineQueueUrl`
    #[arg(long, env = "QUARANTINE_QUEUE_URL", global = true, value_name = "URL")]
    quarantine_queue: Option<String>,
    /// How to print
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// What to do.
    #[command(subcommand)]
    pub command: RedriveCommand,
}

/// What to do about quarantined records.
#[derive(Debug, Subcommand)]
pub enum RedriveCommand {
    /// List what is in quarantine, by stage, codec and reason, and leave it there
    List {
        /// Which of it.
        #[command(flatten)]
        which: Which,
    },
    /// Send records back to where they came from
    ///
    /// A record is deleted from quarantine once it is durable where it goes to, and not before. What fails again comes
    /// back to quarantine as another message, with its reason as of now.
    Send(Box<Send>),
}

/// What to send, and where to.
#[derive(Debug, Args)]
pub struct Send {
    /// Which records.
    #[command(flatten)]
    pub which: Which,
    /// Every record
    #[arg(long, conflicts_with_all = ["id", "device", "stage", "reason"])]
    pub all: bool,
    /// So many records at most
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Where to.
    #[command(flatten)]
    pub places: Places,
}

/// Which records. Of several options all have to hold; of several values of one option, any.
#[derive(Debug, Clone, Default, Args)]
pub struct Which {
    /// The message with this ID, as `list` shows it
    #[arg(long)]
    id: Vec<String>,
    /// Records that came so far as to be an uplink of this device, such as sigfox:1A2345
    #[arg(long, value_parser = any_device)]
    device: Vec<DeviceId>,
    /// Records of this stage, such as pulse
    #[arg(long)]
    stage: Vec<String>,
    /// Records whose reason has this text in it
    #[arg(long, value_name = "TEXT")]
    reason: Vec<String>,
}

/// Where records go back to.
#[derive(Debug, Clone, Args)]
pub struct Places {
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

impl RedriveOptions {
    /// The queue that holds them.
    ///
    /// # Errors
    /// [`Problem::NoAddress`].
    pub fn quarantine_queue(&self) -> Result<&str, Problem> {
        address(
            self.quarantine_queue.as_ref(),
            ["--quarantine-queue URL", "QUARANTINE_QUEUE_URL", "QuarantineQueueUrl"],
        )
    }
}

impl Places {
    /// The queue of the stage `raw-sigfox`.
    ///
    /// # Errors
    /// [`Problem::NoAddress`], as of the others.
    pub fn raw_queue(&self) -> Result<&str, Problem> {
        address(self.raw_queue.as_ref(), ["--raw-queue URL", "RAW_QUEUE_URL", "RawQueueUrl"])
    }

    /// The queue of the stage `pulse` for Sigfox.
    ///
    /// # Errors
    /// [`Problem::NoAddress`].
    pub fn pulse_sigfox_queue(&self) -> Result<&str, Problem> {
        let names = ["--pulse-sigfox-queue URL", "PULSE_SIGFOX_QUEUE_URL", "PulseSigfoxQueueUrl"];
        address(self.pulse_sigfox_queue.as_ref(), names)
    }

    /// The same for NB-IoT.
    ///
    /// # Errors
    /// [`Problem::NoAddress`].
    pub fn pulse_nbiot_queue(&self) -> Result<&str, Problem> {
        let names = ["--pulse-nbiot-queue URL", "PULSE_NBIOT_QUEUE_URL", "PulseNbiotQueueUrl"];
        address(self.pulse_nbiot_queue.as_ref(), names)
    }

    /// The stream of the stage `raw-nbiot`.
    ///
    /// # Errors
    /// [`Problem::NoAddress`].
    pub fn raw_stream(&self) -> Result<&str, Problem> {
        address(self.raw_stream.as_ref(), ["--raw-stream NAME", "RAW_STREAM", "RawStreamName"])
    }
}

impl Which {
    /// As it is asked of each record.
    pub fn selection(&self) -> Selection {
        let Self { id, device, stage, reason } = self.clone();
        Selection { ids: id, devices: device, stages: stage, reasons: reason }
    }
}

/// What is given, or how to give it. A variable that is set to nothing is not set.
pub(super) fn address<'a>(
    given: Option<&'a String>,
    [option, variable, output]: [&'static str; 3],
) -> Result<&'a str, Problem> {
    let given = given.map(String::as_str).filter(|text| !text.is_empty());
    given.ok_or(Problem::NoAddress { option, variable, output })
}
