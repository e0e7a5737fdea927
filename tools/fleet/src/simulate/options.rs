//! What is on the command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::ArgPredicate;
use jiff::SignedDuration;
use pulsegate_model::at::At;

use super::sigfox::Channel;
use crate::print::Format;
use crate::spec::Arrival;

/// A part of a whole, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(pub f64);

/// A time that is not negative, and no longer than a week: twice as long again and again, and in microseconds, it still is a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(pub Duration);

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, whole) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
        let share = number.trim().parse::<f64>().ok().map(|number| number / whole);
        let share = share.filter(|share| (0.0..=1.0).contains(share));
        share.map(Self).ok_or_else(|| "not a part of a whole, such as 5% or 0.05".to_owned())
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const LONGEST: Duration = Duration::from_hours(7 * 24);
        let period = text.parse::<SignedDuration>().ok().and_then(|period| Duration::try_from(period).ok());
        match period {
            None => Err("not a time such as 3h, 90s or 1h 30m".to_owned()),
            Some(period) if period > LONGEST => Err("longer than 7 days (168h)".to_owned()),
            Some(period) => Ok(Self(period)),
        }
    }
}

const FLEET: &str = "The fleet";
const FAULTS: &str = "What goes wrong on purpose";
const NETWORKS: &str = "How the networks are";
const BURST: &str = "Without a stack";
const RUN: &str = "This run";

/// What all meters are of a fleet against the stand-in: the profile of the one listener that its bridge has.
pub(super) const BURST_PROFILE: &str = "adeunis-pulse4-nbiot";

const AFTER: &str = "\
Meters are a function of the seed: with the same options of the fleet, --start among them, they are the same meters, with the same
readings. Hours are the fleet's own; with --speed-up 60 it lives one in a minute.

NB-IoT meters repeat what is not acknowledged with the timers of RFC 7252 (2 s, up to half more by chance, twice as long each
time), in real time. Sigfox calls back as its documentation says: 10 s for an answer, repetitions after 1, 2 and 4 minutes; these
are divided by the speed-up, the time-out to no less than 2 s. Batches are sent once a second of real time.

The directory of the run holds run.json and sessions; fleet audit and fleet report read them. Whoever stops the simulator, with
Ctrl-C or kill -9, goes on with --resume: the same fleet, from where it was. What was not acknowledged is sent again.

Exit codes: 0 all is acknowledged; 1 something was given up, or it was stopped, or could not begin; 2 the command line is wrong.";

/// What is on the command line of `fleet simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct Options {
    /// How many meters
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000), help_heading = FLEET)]
    pub devices: u32,
    /// How many hours they live; a fraction is a part of one
    #[arg(long, value_name = "HOURS", default_value_t = 1.0, help_heading = FLEET)]
    pub hours: f64,
    /// How many of their seconds pass in a second, 0.001 at least
    #[arg(long, value_name = "TIMES", default_value_t = 1.0, help_heading = FLEET)]
    pub speed_up: f64,
    /// When their first hour begins, such as 2026-11-20T12:00:00Z [default: now; with a speed-up so that the last one ends now]
    #[arg(long, value_name = "TIME", help_heading = FLEET)]
    pub start: Option<At>,
    /// Which part of them is on Sigfox; the others are on NB-IoT
    #[arg(long, value_name = "SHARE", default_value = "50%", default_value_if("stand_in", ArgPredicate::IsPresent, "0"), help_heading = FLEET)]
    pub sigfox_share: Share,
    /// What they are: profiles and their weights among those of their network, PROFILE=WEIGHT,... [default: a mix of all]
    #[arg(long, value_name = "MIX", default_value_if("stand_in", ArgPredicate::IsPresent, BURST_PROFILE), help_heading = FLEET)]
    pub profile_mix: Option<String>,
    /// When in its hour a meter sends
    #[arg(long, value_enum, default_value_t = Arrival::Uniform, help_heading = FLEET)]
    pub arrival: Arrival,
    /// By how many seconds a day the clock of an NB-IoT meter is off at most; a quartz of 20 parts in a million by 1.7
    #[arg(long, value_name = "SECONDS", default_value_t = 1.7, help_heading = FLEET)]
    pub clock_drift: f64,
    /// Part of the meters whose counter is about to start again at zero
    #[arg(long, value_name = "SHARE", default_value = "1%", help_heading = FLEET)]
    pub rollover: Share,
    /// Part of the meters that start again at zero once
    #[arg(long, value_name = "SHARE", default_value = "1%", help_heading = FLEET)]
    pub reset: Share,
    /// What the meters are, what they say, and which sessions are held back follows from this and --start
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = FLEET)]
    pub seed: u64,

    /// Part of the datagrams, requests, acknowledgements and answers that get lost
    #[arg(long, value_name = "SHARE", default_value = "0", help_heading = FAULTS)]
    pub loss: Share,
    /// Part of the datagrams and requests that are sent twice
    #[arg(long, value_name = "SHARE", default_value = "0", help_heading = FAULTS)]
    pub duplicate: Share,
    /// Part of the sessions that are held back, so that others overtake them
    #[arg(long, value_name = "SHARE", default_value = "0", help_heading = FAULTS)]
    pub reorder: Share,
    /// For how long at most, of the fleet's time
    #[arg(long, value_name = "TIME", default_value = "3h", help_heading = FAULTS)]
    pub reorder_by: Period,

    /// So many NB-IoT meters share an address and port, as behind a carrier's NAT; message IDs of CoAP collide there [default: all share a pool of 256]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, help_heading = NETWORKS)]
    pub shared_nat: u32,
    /// How long a modem waits before it repeats for the first time
    #[arg(long, value_name = "TIME", default_value = "2s", help_heading = NETWORKS)]
    pub first_pause: Period,
    /// How often it repeats at most
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=16), help_heading = NETWORKS)]
    pub repetitions: u8,
    /// How Sigfox calls back
    #[arg(long, value_enum, default_value_t = Channel::Batch, help_heading = NETWORKS)]
    pub callbacks: Channel,
    /// How many callbacks it makes at once, at most
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..), help_heading = NETWORKS)]
    pub connections: u16,
    /// Which master key the keys of NB-IoT meters are made from
    #[arg(long, value_name = "ID", default_value_t = 1, help_heading = NETWORKS)]
    pub master_key_id: u8,

    /// Instead of a stack: the bridge alone, before a Kinesis in memory, and the function behind that. All meters are on NB-IoT and
    /// send bare sealed datagrams. In the end every acknowledgement is held against what is in the stream
    #[arg(long, help_heading = BURST, conflicts_with_all = ["env", "resume", "probe"])]
    pub stand_in: bool,
    /// The bridge's program
    #[arg(long, value_name = "FILE", default_value = "target/release/udp-bridge", requires = "stand_in", help_heading = BURST)]
    pub bridge: PathBuf,
    /// Write units a second that the table behind the stream takes; cost plan says what a fleet needs
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..), requires = "stand_in", help_heading = BURST)]
    pub drain: u32,
    /// Shards of the stream [default: as many as cost plan says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000), requires = "stand_in", help_heading = BURST)]
    pub shards: Option<u16>,
    /// The stream forgets one record in so many although it says that it keeps it, to see that this is found out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), requires = "stand_in", help_heading = BURST)]
    pub forget: Option<u64>,

    /// The stack's addresses, as make up writes them [default: .local/env; without that the environment]
    #[arg(long, value_name = "FILE", help_heading = RUN)]
    pub env: Option<PathBuf>,
    /// Where to put the run [default: .local/fleet/TIME]
    #[arg(long, value_name = "DIR", help_heading = RUN)]
    pub run: Option<PathBuf>,
    /// Go on with the run in this directory, which says all that is not under this heading
    #[arg(long, value_name = "DIR", help_heading = RUN, conflicts_with_all = [
        "devices", "hours", "speed_up", "start", "sigfox_share", "profile_mix", "arrival", "clock_drift", "rollover", "reset",
        "seed", "loss", "duplicate", "reorder", "reorder_by", "shared_nat", "first_pause", "repetitions", "callbacks",
        "connections", "master_key_id", "run",
    ])]
    pub resume: Option<PathBuf>,
    /// Messages a second at most; what is due waits [default: as many as are due]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = RUN)]
    pub max_rate: Option<u32>,
    /// Messages a second that are looked up in the table of pulses, to tell how long it takes until they are there
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1_000), help_heading = RUN)]
    pub probe: u16,
    /// No progress bar
    #[arg(long, help_heading = RUN)]
    pub quiet: bool,
    /// How to print what was measured
    #[arg(long, value_enum, default_value_t = Format::Table, help_heading = RUN)]
    pub format: Format,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn parse(line: &str) -> Result<Options, String> {
        let line = Line::try_parse_from(std::iter::once("simulate").chain(line.split_whitespace()));
        line.map(|line| line.options).map_err(|e| e.to_string())
    }

    #[test]
    fn shares_are_percents_or_fractions_and_times_are_as_people_write_them() {
        let options = parse("--loss 5% --duplicate 0.25 --reorder-by 90m --sigfox-share 1").unwrap();
        assert_eq!((options.loss, options.duplicate, options.sigfox_share), (Share(0.05), Share(0.25), Share(1.0)));
        assert_eq!(options.reorder_by, Period(Duration::from_mins(90)));
        for wrong in ["--loss 5", "--loss -1%", "--loss NaN", "--reorder-by -3h", "--reorder-by 3", "--devices 0"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse("--max-rate 0").unwrap_err().contains("0 is not in 1.."));
        assert!(parse("--first-pause 168h --max-rate 1").is_ok());
        for wrong in ["--first-pause 169h", "--reorder-by 9999999h"] {
            assert!(parse(wrong).unwrap_err().contains("longer than 7 days"), "{wrong}");
        }
    }

    #[test]
    fn a_run_that_is_gone_on_with_takes_no_other_fleet() {
        assert!(parse("--resume runs/a --probe 2 --env some/env --max-rate 9 --quiet --format json").is_ok());
        for option in ["--devices 7", "--hours 2", "--loss 5%", "--callbacks single", "--seed 2", "--run runs/b"] {
            let problem = parse(&format!("--resume runs/a {option}")).unwrap_err();
            assert!(problem.contains("cannot be used with") && problem.contains("--resume"), "{problem}");
        }
    }
}
