//! Entry point: parses the command line and runs the command.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use pulsegate::options::{
    Command, CompletenessOptions, ConsumptionOptions, EraseOptions, MetersOptions, Options, RedecodeOptions,
    RedriveCommand, RedriveOptions, UplinksOptions,
};
use pulsegate::stop::Stop;
use pulsegate::{
    CommandOutput, Problem, callbacks, completeness, consumption, downlinks, erase, meters, print, redecode, redrive,
    uplinks,
};
use pulsegate_aws as aws;
use pulsegate_aws::{
    DownlinkAdminTable, DynamoDeviceItems, DynamoReader, DynamoTable, KinesisStream, S3Objects, SdkConfig, SqsQueue,
    SqsReceiver,
};
use pulsegate_pipeline::archive::place::PartitionBits;
use pulsegate_pipeline::archive::reader::Archive;

/// Time of a request until the first byte of the answer. A local stand-in for S3 may take long.
const S3_TIMEOUT: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Warnings show why a queue or a table rejects something.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let done = run(Options::parse()).await.and_then(|CommandOutput { text, problem }| {
        print::out(&text)?;
        problem.map_or(Ok(()), Err)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("pulsegate: {}", problem.in_full());
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<CommandOutput, Problem> {
    match options.command {
        Command::Downlinks(options) => {
            let (sdk, table) = connected(options.table()).await?;
            let admin = DownlinkAdminTable::new(&sdk, table);
            downlinks::run(&admin, options, downlinks::now()?).await.map(CommandOutput::from)
        }
        Command::Uplinks(options) => uplinks(&options).await,
        Command::Consumption(options) => consumption(&options).await,
        Command::Completeness(options) => completeness(&options).await,
        Command::Callbacks(options) => callbacks::run(&options).map(CommandOutput::from),
        Command::Redrive(options) => redrive(options).await,
        Command::Redecode(options) => redecode(&options).await,
        Command::Erase(options) => erase(&options).await,
        Command::Meters(options) => meters(&options).await,
    }
}

/// Adds region and credentials to the settings of a command. An error names all settings that are missing.
async fn connected<T>(settings: Result<T, Problem>) -> Result<(SdkConfig, T), Problem> {
    let settings = match settings {
        Ok(settings) => Ok(settings),
        Err(Problem::Settings(missing)) => Err(missing),
        Err(problem) => return Err(problem),
    };
    Ok(aws::connected(settings).await?)
}

async fn uplinks(options: &UplinksOptions) -> Result<CommandOutput, Problem> {
    let order = uplinks::Order::of(options, downlinks::now()?)?;
    let (sdk, (bucket, bits)) = connected(options.archive.archive().map_err(Problem::from)).await?;
    uplinks::run(&archive(&sdk, bucket, bits), &order).await
}

async fn consumption(options: &ConsumptionOptions) -> Result<CommandOutput, Problem> {
    let order = consumption::Order::of(options, downlinks::now()?, picture(options.chart));
    let (sdk, (bucket, bits)) = connected(options.archive.archive().map_err(Problem::from)).await?;
    consumption::run(&archive(&sdk, bucket, bits), &order).await
}

async fn completeness(options: &CompletenessOptions) -> Result<CommandOutput, Problem> {
    let order = completeness::Order::of(options, downlinks::now()?, picture(options.chart));
    let (sdk, (bucket, bits)) = connected(options.archive.archive().map_err(Problem::from)).await?;
    completeness::run(&archive(&sdk, bucket, bits), &order).await
}

/// A picture is for terminals, and for those who ask for it.
fn picture(is_wanted: bool) -> print::Picture {
    // <https://no-color.org>: any text but the empty one.
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match std::io::stdout().is_terminal() {
        true if no_color => print::Picture::Plain,
        true => print::Picture::Colour,
        false if is_wanted => print::Picture::Plain,
        false => print::Picture::None,
    }
}

fn archive(sdk: &SdkConfig, bucket: String, bits: PartitionBits) -> Archive<S3Objects> {
    Archive { store: S3Objects::new(&aws::patient(sdk, S3_TIMEOUT), bucket), bits }
}

async fn redrive(options: RedriveOptions) -> Result<CommandOutput, Problem> {
    let (stop, began, format) = (stop(), redrive::now(), options.format);
    match &options.command {
        RedriveCommand::List { which } => {
            let (sdk, url) = connected(options.quarantine_queue()).await?;
            Ok(redrive::list(&SqsReceiver::new(&sdk, url), &which.selection(), format, began, &stop).await)
        }
        RedriveCommand::Send(send) => {
            let addresses = options.addresses(&send.places);
            let order = addresses.and_then(|addresses| Ok((addresses, redrive::Order::of(send, format, began)?)));
            let (sdk, (to, order)) = connected(order).await?;
            let endpoints = redrive::Endpoints {
                quarantine: SqsReceiver::new(&sdk, &to.quarantine),
                again: SqsQueue::new(&sdk, to.quarantine),
                raw_sigfox: SqsQueue::new(&sdk, to.raw_sigfox),
                pulse_sigfox: SqsQueue::new(&sdk, to.pulse_sigfox),
                pulse_nbiot: SqsQueue::new(&sdk, to.pulse_nbiot),
                raw_nbiot: KinesisStream::new(&sdk, to.raw_nbiot),
            };
            Ok(redrive::send(&endpoints, &order, &stop).await)
        }
    }
}

async fn redecode(options: &RedecodeOptions) -> Result<CommandOutput, Problem> {
    let (sdk, order) = connected(redecode::Order::of(options, downlinks::now()?)).await?;
    let stores = redecode::Stores {
        archive: archive(&sdk, order.question.archive_bucket.clone(), order.bits.clone()),
        pulses: DynamoReader::new(&sdk, &order.question.pulse_table),
        out: DynamoTable::new(&sdk, &order.question.pulse_table),
    };
    redecode::run(&stores, &order, &stop()).await
}

async fn erase(options: &EraseOptions) -> Result<CommandOutput, Problem> {
    let order = erase::Order::of(options, downlinks::now()?);
    let (sdk, at) = connected(options.addresses()).await?;
    // A file of a day takes longer than the requests of functions may.
    let bucket = |name: &str| S3Objects::new(&aws::patient(&sdk, erase::REQUEST_TIMEOUT), name);
    let queue = |(name, url): &(&'static str, String)| erase::QueueEnds {
        name,
        inbox: SqsReceiver::new(&sdk, url),
        again: SqsQueue::new(&sdk, url.clone()),
    };
    let places = erase::Places {
        archive: bucket(&at.archive),
        undelivered: bucket(&at.undelivered),
        tables: at.tables.iter().map(|(name, table, key)| (*name, DynamoDeviceItems::new(&sdk, table, key))).collect(),
        queues: at.queues.iter().map(queue).collect(),
    };
    Ok(erase::run(&places, &order, &stop()).await)
}

async fn meters(options: &MetersOptions) -> Result<CommandOutput, Problem> {
    let (sdk, bucket) = connected(options.bucket()).await?;
    meters::run(&S3Objects::new(&aws::patient(&sdk, S3_TIMEOUT), bucket), &options.command, &stop()).await
}

fn stop() -> Stop {
    let stop = Stop::default();
    tokio::spawn(stop.clone().at_ctrl_c());
    stop
}
