//! Reads the command line and does what it says.

use std::process::ExitCode;

use clap::Parser as _;
use pulsegate::options::{Command, Options};
use pulsegate::{Problem, callbacks, downlinks, print};
use shared::aws::{self, DownlinkDeskTable};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = run(Options::parse()).await.and_then(|text| print::out(&text));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("pulsegate: {}", problem.in_full());
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<String, Problem> {
    match options.command {
        Command::Downlinks(options) => {
            let desk = DownlinkDeskTable::new(&aws::sdk_config().await, options.table()?);
            downlinks::run(&desk, options, downlinks::now()?).await
        }
        Command::Callbacks(options) => callbacks::run(&options),
    }
}
