//! Entry point: parses the command line and runs the command.

use std::process::ExitCode;

use clap::Parser as _;
use pulsegate::options::{Command, Options, RedecodeOptions, RedriveCommand, RedriveOptions};
use pulsegate::stop::Stop;
use pulsegate::{CommandOutput, Problem, callbacks, downlinks, print, redecode, redrive};
use pulsegate_aws as aws;
use pulsegate_aws::{DownlinkAdminTable, DynamoReader, DynamoTable, KinesisStream, SqsQueue, SqsReceiver};

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
            let admin = DownlinkAdminTable::new(&aws::sdk_config().await, options.table()?);
            downlinks::run(&admin, options, downlinks::now()?).await.map(CommandOutput::from)
        }
        Command::Callbacks(options) => callbacks::run(&options).map(CommandOutput::from),
        Command::Redrive(options) => redrive(options).await,
        Command::Redecode(options) => redecode(&options).await,
    }
}

async fn redrive(options: RedriveOptions) -> Result<CommandOutput, Problem> {
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
            let endpoints = redrive::Endpoints {
                quarantine,
                again: SqsQueue::new(&sdk, &url),
                raw_sigfox: SqsQueue::new(&sdk, places.raw_queue()?),
                pulse_sigfox: SqsQueue::new(&sdk, places.pulse_sigfox_queue()?),
                pulse_nbiot: SqsQueue::new(&sdk, places.pulse_nbiot_queue()?),
                raw_nbiot: KinesisStream::new(&sdk, places.raw_stream()?),
            };
            Ok(redrive::send(&endpoints, &order, &stop).await)
        }
    }
}

async fn redecode(options: &RedecodeOptions) -> Result<CommandOutput, Problem> {
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
