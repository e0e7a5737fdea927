//! Reads the command line and does what it says.

use std::process::ExitCode;

use clap::Parser as _;
use pulsegate::options::{Command, Options, RedecodeOptions, RedriveCommand, RedriveOptions};
use pulsegate::stop::Stop;
use pulsegate::{Done, Problem, callbacks, downlinks, print, redecode, redrive};
use pulsegate_aws as aws;
use pulsegate_aws::{DownlinkAdminTable, DynamoReader, DynamoTable, KinesisStream, SqsQueue, SqsReceiver};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // What a queue or a table refuses, and why, for whoever sits in front of it.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let done = run(Options::parse()).await.and_then(|Done { text, not }| {
        print::out(&text)?;
        not.map_or(Ok(()), Err)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("pulsegate: {}", problem.in_full());
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<Done, Problem> {
    match options.command {
        Command::Downlinks(options) => {
            let desk = DownlinkAdminTable::new(&aws::sdk_config().await, options.table()?);
            downlinks::run(&desk, options, downlinks::now()?).await.map(Done::from)
        }
        Command::Callbacks(options) => callbacks::run(&options).map(Done::from),
        Command::Redrive(options) => redrive(options).await,
        Command::Redecode(options) => redecode(&options).await,
    }
}

async fn redrive(options: RedriveOptions) -> Result<Done, Problem> {
    let url = options.quarantine_queue()?.to_owned();
    let sdk = aws::sdk_config().await;
    let (quarantine, stop, began, format) = (SqsReceiver::new(&sdk, &url), stop(), redrive::now(), options.format);
    match options.command {
        RedriveCommand::List { which } => {
            Ok(redrive::list(&quarantine, &which.selection(), format, began, &stop).await)
        }
        RedriveCommand::Send(send) => {
            let order = redrive::Order::of(&send, format, began)?;
            let places = &send.places;
            let ways = redrive::Ways {
                quarantine,
                again: SqsQueue::new(&sdk, &url),
                raw_sigfox: SqsQueue::new(&sdk, places.raw_queue()?),
                pulse_sigfox: SqsQueue::new(&sdk, places.pulse_sigfox_queue()?),
                pulse_nbiot: SqsQueue::new(&sdk, places.pulse_nbiot_queue()?),
                raw_nbiot: KinesisStream::new(&sdk, places.raw_stream()?),
            };
            Ok(redrive::send(&ways, &order, &stop).await)
        }
    }
}

async fn redecode(options: &RedecodeOptions) -> Result<Done, Problem> {
    let order = redecode::Order::of(options)?;
    let sdk = aws::sdk_config().await;
    let tables = redecode::Tables {
        raw: DynamoReader::new(&sdk, &order.question.raw_table),
        pulses: DynamoReader::new(&sdk, &order.question.pulse_table),
        out: DynamoTable::new(&sdk, &order.question.pulse_table),
    };
    redecode::run(&tables, &order, &stop()).await
}

fn stop() -> Stop {
    let stop = Stop::default();
    tokio::spawn(stop.clone().at_ctrl_c());
    stop
}
