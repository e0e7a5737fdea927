//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use crate::fleet::Pattern;
use crate::{bench, chaos};

/// The text of `--help`.
pub const HELP: &str = "\
bridge-load: measures the UDP bridge, and tests it under faults. All on loopback.

  bridge-load bench [OPTIONS]   CPU time per datagram and latency (Markdown)
  bridge-load chaos [OPTIONS]   applies faults, then checks every acknowledgement against the stream
  bridge-load bare [--answer]   a loop that stores nothing: the baseline of bench

Each takes --help.
";

const BENCH_HELP: &str = "\
bridge-load bench: starts a bridge, a stand-in for Kinesis and a fleet of meters, and measures what the bridge uses; then
compares it with a loop that receives, authenticates and answers, and stores nothing.

  --bridge FILE       the bridge (default target/release/udp-bridge)
  --set NAME=VALUE    a setting of the bridge; may be repeated
  --rates A,B,...     readings a second, one run for each (default 10000,30000,50000,60000)
  --seconds N         the length of a run (default 10)
  --long              one more run, of 60 s at 60000/s
  --burst MS          sends the readings of this many ms at once (default: evenly)
  --compared RATE     the rate of the comparison (default 50000)
  --runs N            runs of each in the comparison (default 3; 0 leaves it out)
  --delay MS          the answer time of Kinesis (default 15)
  --meters N          the number of meters (default 200000)
  --report FILE       writes the report to a file too
  --plot FILE         writes a chart (SVG)
";

const CHAOS_HELP: &str = "\
bridge-load chaos: starts bridges, a stand-in for Kinesis, a consumer and a fleet of meters, and applies one fault after the
other. Exits with 1 if a reading is acknowledged and lost, or if an unauthenticated datagram is stored or answered.

  --bridge FILE       the bridge (default target/release/udp-bridge)
  --set NAME=VALUE    a setting of the bridge; may be repeated
  --datagrams N       readings in all rounds, without repetitions (default 10000000)
  --quick             as --datagrams 300000
  --rate N            readings a second (default 25000)
  --seed N            the seed of all random choices (default: random, and printed)
  --only TEXT         only rounds whose name contains this
";

const BARE_HELP: &str = "\
bridge-load bare: receives datagrams, authenticates and counts them, until standard input ends.

  --answer            answers authenticated datagrams
";

/// A command.
#[derive(Debug)]
pub enum Command {
    /// Print a text.
    Help(&'static str),
    /// Measure the bridge.
    Bench(bench::Options),
    /// Test the bridge under faults.
    Chaos(chaos::Options),
    /// Run the bare loop.
    Bare {
        /// True if it answers.
        answers: bool,
    },
}

/// Reads the command line.
///
/// # Errors
/// An error that names the wrong argument.
pub fn read(mut parser: lexopt::Parser) -> Result<Command, lexopt::Error> {
    match parser.next()? {
        Some(Value(command)) if command == "bench" => bench(&mut parser),
        Some(Value(command)) if command == "chaos" => chaos(&mut parser),
        Some(Value(command)) if command == "bare" => bare(&mut parser),
        Some(Short('h') | Long("help")) => Ok(Command::Help(HELP)),
        Some(other) => Err(other.unexpected()),
        None => Err("no command; see --help".into()),
    }
}

fn bench(parser: &mut lexopt::Parser) -> Result<Command, lexopt::Error> {
    let mut options = bench::Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("bridge") => options.bridge = file(parser)?,
            Long("set") => options.settings.push(setting(&parser.value()?.string()?)?),
            Long("rates") => options.rates = parser.value()?.parse_with(rates)?,
            Long("seconds") => options.seconds = parser.value()?.parse()?,
            Long("long") => options.long = true,
            Long("burst") => options.pattern = Pattern::Burst(milliseconds(parser)?),
            Long("compared") => options.compared = parser.value()?.parse()?,
            Long("runs") => options.runs = parser.value()?.parse()?,
            Long("delay") => options.delay = milliseconds(parser)?,
            Long("meters") => options.meters = parser.value()?.parse()?,
            Long("report") => options.report = Some(file(parser)?),
            Long("plot") => options.plot = Some(file(parser)?),
            Short('h') | Long("help") => return Ok(Command::Help(BENCH_HELP)),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Bench(options))
}

fn chaos(parser: &mut lexopt::Parser) -> Result<Command, lexopt::Error> {
    const QUICK: u64 = 300_000;
    let mut options = chaos::Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("bridge") => options.bridge = file(parser)?,
            Long("set") => options.settings.push(setting(&parser.value()?.string()?)?),
            Long("datagrams") => options.readings = parser.value()?.parse()?,
            Long("quick") => options.readings = QUICK,
            Long("rate") => options.rate = parser.value()?.parse()?,
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("only") => options.only = parser.value()?.string()?,
            Short('h') | Long("help") => return Ok(Command::Help(CHAOS_HELP)),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Chaos(options))
}

fn bare(parser: &mut lexopt::Parser) -> Result<Command, lexopt::Error> {
    let mut answers = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("answer") => answers = true,
            Short('h') | Long("help") => return Ok(Command::Help(BARE_HELP)),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Bare { answers })
}

fn file(parser: &mut lexopt::Parser) -> Result<PathBuf, lexopt::Error> {
    parser.value().map(PathBuf::from)
}

fn milliseconds(parser: &mut lexopt::Parser) -> Result<Duration, lexopt::Error> {
    Ok(Duration::from_millis(parser.value()?.parse()?))
}

fn rates(text: &str) -> Result<Vec<u32>, std::num::ParseIntError> {
    text.split(',').map(|rate| rate.trim().parse()).collect()
}

fn setting(text: &str) -> Result<(String, String), lexopt::Error> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(format!("{text:?} is not of the form NAME=VALUE").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, lexopt::Error> {
        read(lexopt::Parser::from_args(arguments))
    }

    #[test]
    fn options_are_read_and_the_rest_has_defaults() {
        let Ok(Command::Bench(bench)) = parsed(&["bench", "--rates", "1,2", "--burst=500", "--set", "A=b=c"]) else {
            panic!("no bench");
        };
        assert_eq!((bench.rates, bench.seconds), (vec![1, 2], 10));
        assert_eq!(bench.pattern, Pattern::Burst(Duration::from_millis(500)));
        assert_eq!(bench.settings, [("A".to_owned(), "b=c".to_owned())]);
        let Ok(Command::Chaos(chaos)) = parsed(&["chaos", "--quick", "--seed", "7"]) else { panic!("no chaos") };
        assert_eq!((chaos.readings, chaos.seed), (300_000, 7));
        assert!(matches!(parsed(&["bare", "--answer"]), Ok(Command::Bare { answers: true })));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |arguments: &[&str]| parsed(arguments).unwrap_err().to_string();
        assert_eq!(wrong(&[]), "no command; see --help");
        assert!(wrong(&["bench", "--rate", "1"]).contains("--rate"));
        assert!(wrong(&["bench", "--set", "A"]).contains("NAME=VALUE"));
        assert!(wrong(&["chaos", "--seed", "x"]).contains('x'));
    }

    #[test]
    fn every_command_has_help() {
        for command in ["bench", "bare", "chaos"] {
            assert!(matches!(parsed(&[command, "--help"]), Ok(Command::Help(text)) if text.contains(command)));
            assert!(HELP.contains(command));
        }
    }
}
