//! The program: runs the command of the command line.

use std::process::ExitCode;

use bridge_load::options::{self, Command};
use bridge_load::{bare, bench, chaos};

fn main() -> ExitCode {
    let done = match options::read(lexopt::Parser::from_env()) {
        Ok(Command::Help(text)) => {
            print!("{text}");
            Ok(())
        }
        Ok(Command::Bench(options)) => bench::run(&options),
        Ok(Command::Chaos(options)) => chaos::run(&options),
        Ok(Command::Bare { answers }) => bare::run(answers),
        Err(e) => {
            eprintln!("bridge-load: {e}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bridge-load: {e}");
            ExitCode::FAILURE
        }
    }
}
