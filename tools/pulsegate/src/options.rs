//! The command line and its help.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::{SignedDuration, Span, SpanRelativeTo};
use pulsegate_model::at::At;
use pulsegate_model::device::{DeviceId, DeviceIdError, SigfoxId};
use pulsegate_pipeline::downlink::{Data, DownlinkId, State};
use pulsegate_pipeline::sigfox::CallbackKind;

use crate::Problem;

mod address;
mod archive;
mod completeness;
mod consumption;
mod erase;
mod meters;
mod redecode;
mod redrive;
mod time;
mod uplinks;

use address::Resource;
pub use archive::ArchiveOptions;
pub use completeness::CompletenessOptions;
pub use consumption::{ConsumptionOptions, DataFormat, UnitName};
pub use erase::{EraseAddresses, EraseOptions};
pub use meters::{ExportFormat, ImportOptions, MetersCommand, MetersOptions, SwapOptions};
pub use redecode::{RedecodeAddresses, RedecodeOptions};
pub use redrive::{DestinationOptions, RedriveAddresses, RedriveCommand, RedriveOptions, SelectionOptions, Send};
pub use time::{LocalTime, LocalTimeError};
pub use uplinks::{UplinksFormat, UplinksOptions};

const EXAMPLES: &str = "\
Examples:
  pulsegate downlinks queue 1A2345 00000000000000ff --name open-valve --valid-for 7d
  pulsegate downlinks list --state refused,expired
  pulsegate uplinks 1A2345 --from 2026-11-20T00:00:00Z --format csv
  pulsegate consumption 1A2345 --channel A --from 2026-11-20 --to 2026-11-21
  pulsegate completeness --day 2026-11-20
  pulsegate callbacks print --profile adeunis-pulse-v4 --url https://API-ID.execute-api.REGION.amazonaws.com
  pulsegate redrive send --stage pulse --reason 'frame code 0x30' --dry-run
  pulsegate redecode --from 2026-11-01T00:00:00Z --state redecode.state --write
  pulsegate erase sigfox:1A2345 --write
  pulsegate meters import meters.csv --write

Exit codes: 0 complete; 1 incomplete, with the reason on standard error; 2 invalid command line.";

/// The operator's tool for Pulsegate
#[derive(Debug, Parser)]
#[command(name = "pulsegate", version, after_help = EXAMPLES)]
pub struct Options {
    /// Command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Queue downlinks for Sigfox devices, and show their states
    ///
    /// A downlink has eight bytes. A Sigfox device requests a downlink a few times a day, and gets the most urgent one
    /// that waits then; it cannot be reached at other times.
    ///
    /// Set region, credentials and endpoint as for any program with the AWS SDK (`AWS_REGION` and so on).
    Downlinks(DownlinkOptions),
    /// Show the uplinks of a device, as they came and decoded
    ///
    /// Reads the archive, and decodes with the codecs of this program.
    Uplinks(UplinksOptions),
    /// Show the consumption of a channel of a device
    ///
    /// Computes it from the uplinks in the archive and the assignments: for each interval the volume, one word for its quality
    /// (measured, interpolated, partial, missing) and flags. docs/consumption.md explains them.
    Consumption(Box<ConsumptionOptions>),
    /// Show how complete the readings of a device, or of the fleet on a day, are
    ///
    /// For a device, it is computed from the uplinks in the archive; for the fleet, it is read from the files of days.
    /// docs/completeness.md explains the columns.
    Completeness(Box<CompletenessOptions>),
    /// Print the callbacks to create at Sigfox
    Callbacks(CallbackOptions),
    /// Send quarantined records again, after a fix
    Redrive(RedriveOptions),
    /// Decode history again, after a codec has changed
    ///
    /// Decodes the archive's uplinks with the codecs of this program and compares the results with the table of pulses. It writes
    /// only with --write, and never deletes. Deploy the functions first, from the same sources: they then write the
    /// same items meanwhile.
    Redecode(Box<RedecodeOptions>),
    /// Erase a device from every place of the stack
    ///
    /// Shows what it would remove; --write removes it. A tombstone of the device is first: from then on, the functions drop
    /// what arrives of it. Run it again after a stop or an error: it continues. It cannot be undone.
    Erase(Box<EraseOptions>),
    /// Import, export, show and swap the meters at the channels of devices
    ///
    /// An assignment tells which meter a channel of a device counts, from when to when, and what one pulse is worth. They
    /// are kept in the archive. Commands that change them show what they would change; --write writes it.
    Meters(MetersOptions),
}

/// Options of all downlink commands.
#[derive(Debug, Args)]
pub struct DownlinkOptions {
    /// The stack's output `DownlinkTable`
    #[arg(long, env = "DOWNLINK_TABLE", global = true, value_name = "NAME")]
    table: Option<String>,
    /// Output format
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Command to run.
    #[command(subcommand)]
    pub command: DownlinkCommand,
}

/// Downlink commands.
#[derive(Debug, Subcommand)]
pub enum DownlinkCommand {
    /// Queue a downlink
    Queue {
        /// The Sigfox device, such as 1A2345
        #[arg(value_parser = device)]
        device: DeviceId,
        /// Data to send: eight bytes as sixteen hex digits
        data: Data,
        /// Validity.
        #[command(flatten)]
        validity: Validity,
        /// Priority, from 0 (sent first) to 9
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=9))]
        priority: u8,
        /// Name: letters, digits, hyphens and underscores [default: random]
        #[arg(long)]
        name: Option<String>,
    },
    /// List downlinks, in the order in which they will be sent
    List {
        /// Only downlinks of this device, such as 1A2345
        #[arg(value_parser = device)]
        device: Option<DeviceId>,
        /// Only downlinks in these states, separated by commas
        #[arg(long, value_delimiter = ',', value_parser = states())]
        state: Vec<State>,
    },
    /// Cancel a pending downlink
    Cancel {
        /// The Sigfox device, such as 1A2345
        #[arg(value_parser = device)]
        device: DeviceId,
        /// The downlink's ID, as `list` shows it
        id: DownlinkId,
    },
    /// Queue a refused or expired downlink again, under a new ID
    Requeue {
        /// The Sigfox device, such as 1A2345
        #[arg(value_parser = device)]
        device: DeviceId,
        /// The downlink's ID, as `list` shows it
        id: DownlinkId,
        /// Validity.
        #[command(flatten)]
        validity: Validity,
        /// Also queue a downlink that the network accepted but has not confirmed. It may arrive twice
        #[arg(long)]
        unconfirmed: bool,
    },
}

/// How long a downlink may wait.
#[derive(Debug, Args)]
pub struct Validity {
    /// Maximum waiting time, such as 7d or 36h [default: unlimited]
    #[arg(long, value_name = "TIME", value_parser = span, conflicts_with = "valid_until")]
    valid_for: Option<SignedDuration>,
    /// End of validity, such as 2026-12-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    valid_until: Option<At>,
}

/// Options of all callback commands.
#[derive(Debug, Args)]
pub struct CallbackOptions {
    /// Command to run.
    #[command(subcommand)]
    pub command: CallbackCommand,
}

/// Callback commands.
#[derive(Debug, Subcommand)]
pub enum CallbackCommand {
    /// Print callbacks in the format of the Sigfox API v2
    ///
    /// The output is a JSON list. Each element is the body of a POST to
    /// `https://api.sigfox.com/v2/device-types/ID/callbacks`.
    ///
    /// Notes about further steps are on standard error.
    Print(Print),
}

/// Callbacks to print.
#[derive(Debug, Args)]
pub struct Print {
    /// The profile of the device type, such as adeunis-pulse-v4
    #[arg(long)]
    pub profile: String,
    /// The stack's output `ApiUrl`, `https://API-ID.execute-api.REGION.amazonaws.com`, without a path
    #[arg(long)]
    pub url: String,
    /// Kinds, separated by commas [default: uplink,acknowledge,repeater,data-advanced,error,event; with --channel
    /// batch: uplink]
    #[arg(long, value_delimiter = ',', value_parser = kinds())]
    pub kinds: Vec<CallbackKind>,
    /// One request per message, or one for the messages of a second
    #[arg(long, value_enum, default_value_t = Channel::Url)]
    pub channel: Channel,
    /// File with the secret that the output `CallbackSecretId` names
    #[arg(long, value_name = "FILE", conflicts_with = "secret_env")]
    pub secret_file: Option<PathBuf>,
    /// Environment variable with the secret
    #[arg(long, value_name = "VARIABLE")]
    pub secret_env: Option<String>,
}

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people
    Table,
    /// JSON for programs
    Json,
}

/// How messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Channel {
    /// One request per message
    Url,
    /// One request for the messages of a second; uplinks only
    Batch,
}

const DOWNLINK_TABLE: Resource = Resource::named(["--table", "DOWNLINK_TABLE", "DownlinkTable"]);

impl DownlinkOptions {
    /// Returns the name of the table.
    ///
    /// # Errors
    /// [`Problem::Settings`].
    pub fn table(&self) -> Result<String, Problem> {
        let [table] = address::all([(&DOWNLINK_TABLE, self.table.as_ref())])?;
        Ok(table)
    }
}

impl Validity {
    /// Returns the end of validity; `None` if it is unlimited.
    ///
    /// # Errors
    /// [`Problem::Time`].
    pub fn until(&self, now: At) -> Result<Option<At>, Problem> {
        let Some(span) = self.valid_for else { return Ok(self.valid_until) };
        let end = now.unix().checked_add(span.as_secs()).and_then(|seconds| At::from_unix(seconds).ok());
        end.map(Some).ok_or(Problem::Time)
    }
}

/// Parses `1A2345` or `sigfox:1A2345`.
fn device(text: &str) -> Result<DeviceId, String> {
    let id = text.strip_prefix("sigfox:").unwrap_or(text).parse::<SigfoxId>();
    id.map(DeviceId::Sigfox).map_err(|e| e.to_string())
}

/// Parses `sigfox:1A2345` or `nbiot:490154203237518`; without a network, it is a Sigfox device.
pub(crate) fn any_device(text: &str) -> Result<DeviceId, String> {
    if text.contains(':') { text.parse().map_err(|e: DeviceIdError| e.to_string()) } else { device(text) }
}

fn span(text: &str) -> Result<SignedDuration, String> {
    let span = text.parse::<Span>().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    let span = span.map_err(|_| "it is not a duration such as 7d, 36h or 90m".to_owned())?;
    if span.is_positive() { Ok(span) } else { Err("it must be longer than zero".to_owned()) }
}

fn states() -> impl clap::builder::TypedValueParser<Value = State> {
    let names = State::ALL.map(State::name);
    PossibleValuesParser::new(names)
        .try_map(|name| State::ALL.into_iter().find(|state| state.name() == name).ok_or("?"))
}

fn kinds() -> impl clap::builder::TypedValueParser<Value = CallbackKind> {
    PossibleValuesParser::new(CallbackKind::ALL.map(CallbackKind::name)).try_map(|name| name.parse::<CallbackKind>())
}
