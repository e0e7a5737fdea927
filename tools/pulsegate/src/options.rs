//! What is on the command line, and what `--help` says.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::{SignedDuration, Span, SpanRelativeTo};
use pulsegate_model::at::At;
use pulsegate_model::device::{DeviceId, DeviceIdError, SigfoxId};
use pulsegate_pipeline::downlink::{Data, DownlinkId, State};
use pulsegate_pipeline::sigfox::CallbackKind;

use crate::Problem;

mod redecode;
mod redrive;

pub use redecode::RedecodeOptions;
pub use redrive::{Places, RedriveCommand, RedriveOptions, Send, Which};

const EXAMPLES: &str = "\
Examples:
  pulsegate downlinks queue 1A2345 00000000000000ff --name open-valve --valid-for 7d
  pulsegate downlinks list --state refused,expired
  pulsegate callbacks print --profile adeunis-pulse-v4 --url https://API-ID.execute-api.REGION.amazonaws.com
  pulsegate redrive send --stage pulse --reason 'frame code 0x30' --dry-run
  pulsegate redecode --from 2026-11-01T00:00:00Z --state redecode.state --write

Exit codes: 0 done; 1 not done, with the reason on standard error; 2 the command line is wrong.";

/// The operator's tool for Pulsegate
#[derive(Debug, Parser)]
#[command(name = "pulsegate", version, after_help = EXAMPLES)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Queue eight bytes for a Sigfox device, and see what became of them
    ///
    /// A Sigfox device cannot be called. It asks, a few times a day, and gets the most urgent downlink that waits then.
    ///
    /// Region, credentials and endpoint are the AWS SDK's usual ones (`AWS_REGION` and so on).
    Downlinks(DownlinkOptions),
    /// Print the callbacks to set up at Sigfox
    Callbacks(CallbackOptions),
    /// Send quarantined records again, after a fix
    Redrive(RedriveOptions),
    /// Decode history again, after a codec has changed
    ///
    /// Decodes raw uplinks with the codecs of this program and compares what comes of it with the table of pulses.
    /// Nothing is written without --write, and nothing is ever deleted. Deploy the functions first, from the same
    /// sources: what they write meanwhile is then the same.
    Redecode(Box<RedecodeOptions>),
}

/// What to do about downlinks.
#[derive(Debug, Args)]
pub struct DownlinkOptions {
    /// The stack's output `DownlinkTable`
    #[arg(long, env = "DOWNLINK_TABLE", global = true, value_name = "NAME")]
    table: Option<String>,
    /// How to print
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// What to do.
    #[command(subcommand)]
    pub command: DownlinkCommand,
}

/// What to do about downlinks.
#[derive(Debug, Subcommand)]
pub enum DownlinkCommand {
    /// Queue a downlink
    Queue {
        /// The Sigfox device, such as 1A2345
        #[arg(value_parser = device)]
        device: DeviceId,
        /// What to send: eight bytes as sixteen hex digits
        data: Data,
        /// For how long it may wait.
        #[command(flatten)]
        validity: Validity,
        /// How urgent it is, from 0 (goes first) to 9
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=9))]
        priority: u8,
        /// What to call it: letters, digits, hyphens and underscores [default: something random]
        #[arg(long)]
        name: Option<String>,
    },
    /// List downlinks, in the order in which they will be sent
    List {
        /// Of this device only, such as 1A2345
        #[arg(value_parser = device)]
        device: Option<DeviceId>,
        /// In these states only, separated by commas
        #[arg(long, value_delimiter = ',', value_parser = states())]
        state: Vec<State>,
    },
    /// Take a downlink back that still waits
    Cancel {
        /// The Sigfox device, such as 1A2345
        #[arg(value_parser = device)]
        device: DeviceId,
        /// Its ID, as `list` shows it
        id: DownlinkId,
    },
    /// Queue a downlink again that was refused or has expired, under a new ID
    Requeue {
        /// The Sigfox device, such as 1A2345
        #[arg(value_parser = device)]
        device: DeviceId,
        /// Its ID, as `list` shows it
        id: DownlinkId,
        /// For how long it may wait.
        #[command(flatten)]
        validity: Validity,
        /// Also one that was handed to the network, of which no word came. It may arrive twice
        #[arg(long)]
        unconfirmed: bool,
    },
}

/// For how long a downlink may wait.
#[derive(Debug, Args)]
pub struct Validity {
    /// It may wait so long, such as 7d or 36h [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = span, conflicts_with = "valid_until")]
    valid_for: Option<SignedDuration>,
    /// It may wait until then, such as 2026-12-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    valid_until: Option<At>,
}

/// What to do about callbacks.
#[derive(Debug, Args)]
pub struct CallbackOptions {
    /// What to do.
    #[command(subcommand)]
    pub command: CallbackCommand,
}

/// What to do about callbacks.
#[derive(Debug, Subcommand)]
pub enum CallbackCommand {
    /// Print callbacks as the Sigfox API v2 takes them
    ///
    /// A JSON list; each element is the body of a POST to `https://api.sigfox.com/v2/device-types/ID/callbacks`.
    ///
    /// What has to be done besides is on standard error.
    Print(Print),
}

/// Which callbacks to print.
#[derive(Debug, Args)]
pub struct Print {
    /// The profile of the device type, such as adeunis-pulse-v4
    #[arg(long)]
    pub profile: String,
    /// The stack's output `ApiUrl`, `https://API-ID.execute-api.REGION.amazonaws.com`
    #[arg(long)]
    pub url: String,
    /// Which kinds, separated by commas [default: uplink,acknowledge,repeater,data-advanced,error,event; of a batch:
    /// uplink]
    #[arg(long, value_delimiter = ',', value_parser = kinds())]
    pub kinds: Vec<CallbackKind>,
    /// One request for each message, or one for those of a second
    #[arg(long, value_enum, default_value_t = Channel::Url)]
    pub channel: Channel,
    /// The file that holds the secret of the output `CallbackSecretId`
    #[arg(long, value_name = "FILE", conflicts_with = "secret_env")]
    pub secret_file: Option<PathBuf>,
    /// The environment variable that holds it
    #[arg(long, value_name = "VARIABLE")]
    pub secret_env: Option<String>,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// How messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Channel {
    /// A request for each message
    Url,
    /// A request for those of a second: uplinks only
    Batch,
}

impl DownlinkOptions {
    /// The table that is meant.
    ///
    /// # Errors
    /// [`Problem::NoTable`].
    pub fn table(&self) -> Result<&str, Problem> {
        self.table.as_deref().filter(|name| !name.is_empty()).ok_or(Problem::NoTable)
    }
}

impl Validity {
    /// Until when it may wait, if not for ever.
    ///
    /// # Errors
    /// [`Problem::Time`].
    pub fn until(&self, now: At) -> Result<Option<At>, Problem> {
        let Some(span) = self.valid_for else { return Ok(self.valid_until) };
        let end = now.unix().checked_add(span.as_secs()).and_then(|seconds| At::from_unix(seconds).ok());
        end.map(Some).ok_or(Problem::Time)
    }
}

/// `1A2345`, or `sigfox:1A2345`.
fn device(text: &str) -> Result<DeviceId, String> {
    let id = text.strip_prefix("sigfox:").unwrap_or(text).parse::<SigfoxId>();
    id.map(DeviceId::Sigfox).map_err(|e| e.to_string())
}

/// `sigfox:1A2345` or `nbiot:490154203237518`; without a network, Sigfox's.
fn any_device(text: &str) -> Result<DeviceId, String> {
    if text.contains(':') { text.parse().map_err(|e: DeviceIdError| e.to_string()) } else { device(text) }
}

fn span(text: &str) -> Result<SignedDuration, String> {
    let span = text.parse::<Span>().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    let span = span.map_err(|_| "it is not a time such as 7d, 36h or 90m".to_owned())?;
    if span.is_positive() { Ok(span) } else { Err("it is no time at all".to_owned()) }
}

fn states() -> impl clap::builder::TypedValueParser<Value = State> {
    let names = State::ALL.map(State::name);
    PossibleValuesParser::new(names)
        .try_map(|name| State::ALL.into_iter().find(|state| state.name() == name).ok_or("?"))
}

fn kinds() -> impl clap::builder::TypedValueParser<Value = CallbackKind> {
    PossibleValuesParser::new(CallbackKind::ALL.map(CallbackKind::name)).try_map(|name| name.parse::<CallbackKind>())
}
