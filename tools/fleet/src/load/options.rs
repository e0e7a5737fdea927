//! Options of `fleet load`.

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

/// A time from 0 to 7 days: doubled for each repetition, and in microseconds, it does not overflow.
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
const FAULTS: &str = "Injected faults";
const NETWORKS: &str = "The networks";
const BURST: &str = "Without a stack";
const RUN: &str = "This run";

/// Profile of all meters against the stand-in, whose bridge has one listener.
pub(super) const BURST_PROFILE: &str = "adeunis-pulse4-nbiot";

const AFTER: &str = "\
Meters are a function of the seed: the same fleet options, --start included, yield the same meters with the same
readings. Hours are virtual; with --speed-up 60 an hour passes in a minute.

NB-IoT meters repeat unacknowledged messages with the timers of RFC 7252 (2 s, up to 50 % more at random, doubled each
time), in real time. Sigfox callbacks follow its documentation: a time-out of 10 s, repetitions after 1, 2 and 4 minutes; these
are divided by the speed-up, but the time-out is at least 2 s. Batches are sent once a second of real time.

The directory of the run contains run.json and sessions; fleet audit and fleet report read them. After Ctrl-C or
kill -9, --resume continues the same fleet from where it was. Unacknowledged messages are sent again.

Exit codes: 0 all messages acknowledged; 1 messages given up, run stopped, or start failed; 2 invalid command line.";

/// Options of `fleet load`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct Options {
    /// Number of meters
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000), help_heading = FLEET)]
    pub devices: u32,
    /// Duration in hours of virtual time; may be a fraction
    #[arg(long, value_name = "HOURS", default_value_t = 1.0, help_heading = FLEET)]
    pub hours: f64,
    /// Virtual seconds per real second, at least 0.001
    #[arg(long, value_name = "TIMES", default_value_t = 1.0, help_heading = FLEET)]
    pub speed_up: f64,
    /// Start of the first hour, such as 2026-11-20T12:00:00Z [default: now; with a speed-up such that the run ends now]
    #[arg(long, value_name = "TIME", help_heading = FLEET)]
    pub start: Option<At>,
    /// Share of meters on Sigfox; the others are on NB-IoT
    #[arg(long, value_name = "SHARE", default_value = "50%", default_value_if("stand_in", ArgPredicate::IsPresent, "0"), help_heading = FLEET)]
    pub sigfox_share: Share,
    /// Profiles and their weights within their network, PROFILE=WEIGHT,... [default: a mix of all]
    #[arg(long, value_name = "MIX", default_value_if("stand_in", ArgPredicate::IsPresent, BURST_PROFILE), help_heading = FLEET)]
    pub profile_mix: Option<String>,
    /// When a meter sends within its hour
    #[arg(long, value_enum, default_value_t = Arrival::Uniform, help_heading = FLEET)]
    pub arrival: Arrival,
    /// Maximum clock drift of an NB-IoT meter, seconds a day; 1.7 for a quartz of 20 ppm
    #[arg(long, value_name = "SECONDS", default_value_t = 1.7, default_value_if("every_fault", "true", "60"), help_heading = FLEET)]
    pub clock_drift: f64,
    /// Share of NB-IoT meters whose clock shows an impossible time: a default (1970, 1980, 2000, 2004, 2021 or 2080) and the
    /// time since the meter's start, three days ahead, or 500 days behind. Most set it by one of the first three answers
    #[arg(long, value_name = "SHARE", default_value = "0", help_heading = FAULTS)]
    pub wrong_clocks: Share,
    /// Share of NB-IoT meters with another setting than usual: Dragino's mode 1 or hex as text, Efento's period without a factor,
    /// alone or beside a binary sensor
    #[arg(long, value_name = "SHARE", default_value = "0", default_value_if("every_fault", "true", "10%"), help_heading = FAULTS)]
    pub odd_settings: Share,
    /// Share of meters whose counter is about to roll over
    #[arg(long, value_name = "SHARE", default_value = "1%", default_value_if("every_fault", "true", "5%"), help_heading = FLEET)]
    pub rollover: Share,
    /// Share of meters whose counter is reset to zero once, without a loss
    #[arg(long, value_name = "SHARE", default_value = "1%", default_value_if("every_fault", "true", "5%"), help_heading = FLEET)]
    pub reset: Share,
    /// Seed of the meters, their readings and the delayed sessions, together with --start
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = FLEET)]
    pub seed: u64,
    /// Give nine of ten meters assignments, and write them to this file, for pulsegate meters import: before the run begins
    #[arg(long, value_name = "FILE", help_heading = FLEET)]
    pub assignments: Option<PathBuf>,

    /// Sets all shares under this heading that are not given, and those of roll-overs and resets, so that every fault of
    /// meters and networks happens; but no wrong clocks
    #[arg(long, help_heading = FAULTS)]
    pub every_fault: bool,
    /// Share of meters that lose power once: the counter starts again at zero, and pulses are lost
    #[arg(long, value_name = "SHARE", default_value = "0", default_value_if("every_fault", "true", "5%"), help_heading = FAULTS)]
    pub power_loss: Share,
    /// Share of meters that are swapped once, as their assignments have it
    #[arg(long, value_name = "SHARE", default_value = "0", default_value_if("every_fault", "true", "5%"), help_heading = FAULTS)]
    pub swap: Share,
    /// Share of meters that are swapped once, and no assignment has it
    #[arg(long, value_name = "SHARE", default_value = "0", default_value_if("every_fault", "true", "5%"), help_heading = FAULTS)]
    pub untold_swap: Share,
    /// Share of uplinks that a meter numbers and sends once, and that nobody receives
    #[arg(long, value_name = "SHARE", default_value = "0", default_value_if("every_fault", "true", "5%"), help_heading = FAULTS)]
    pub lost: Share,
    /// Share of meters that send a wrong index once; only of profiles whose uplinks have whole indexes
    #[arg(long, value_name = "SHARE", default_value = "0", default_value_if("every_fault", "true", "5%"), help_heading = FAULTS)]
    pub garbled: Share,
    /// Share of Sigfox meters that send status messages, which take numbers of the same counter
    #[arg(long, value_name = "SHARE", default_value = "0", default_value_if("every_fault", "true", "50%"), help_heading = FAULTS)]
    pub status_messages: Share,
    /// Share of sessions that arrive after all others: at the end of the fleet's last hour
    #[arg(long, value_name = "SHARE", default_value = "0", default_value_if("every_fault", "true", "3%"), help_heading = FAULTS)]
    pub late: Share,

    /// Share of datagrams, requests, acknowledgements and answers that are lost
    #[arg(long, value_name = "SHARE", default_value = "0", default_value_if("every_fault", "true", "3%"), help_heading = FAULTS)]
    pub loss: Share,
    /// Share of datagrams and requests that are sent twice
    #[arg(long, value_name = "SHARE", default_value = "0", default_value_if("every_fault", "true", "3%"), help_heading = FAULTS)]
    pub duplicate: Share,
    /// Share of sessions that are delayed, so that others overtake them
    #[arg(long, value_name = "SHARE", default_value = "0", default_value_if("every_fault", "true", "10%"), help_heading = FAULTS)]
    pub reorder: Share,
    /// Maximum delay, in virtual time
    #[arg(long, value_name = "TIME", default_value = "3h", help_heading = FAULTS)]
    pub reorder_by: Period,

    /// Number of NB-IoT meters that share an address and port, as behind a carrier's NAT, where CoAP message IDs collide [default: all share a pool of 256]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, help_heading = NETWORKS)]
    pub shared_nat: u32,
    /// Time before a modem's first repetition
    #[arg(long, value_name = "TIME", default_value = "2s", help_heading = NETWORKS)]
    pub first_pause: Period,
    /// Maximum number of repetitions
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=16), help_heading = NETWORKS)]
    pub repetitions: u8,
    /// Form of the Sigfox callbacks
    #[arg(long, value_enum, default_value_t = Channel::Batch, help_heading = NETWORKS)]
    pub callbacks: Channel,
    /// Maximum concurrent callbacks
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..), help_heading = NETWORKS)]
    pub connections: u16,
    /// ID of the master key from which NB-IoT meter keys are derived
    #[arg(long, value_name = "ID", default_value_t = 1, help_heading = NETWORKS)]
    pub master_key_id: u8,

    /// Run without a stack: the bridge alone, with Kinesis in memory and the function that reads it. All meters are on NB-IoT and
    /// send sealed datagrams without CoAP. At the end every acknowledgement is checked against the stream
    #[arg(long, help_heading = BURST, conflicts_with_all = ["env", "resume", "probe"])]
    pub stand_in: bool,
    /// Program of the bridge
    #[arg(long, value_name = "FILE", default_value = "target/release/udp-bridge", requires = "stand_in", help_heading = BURST)]
    pub bridge: PathBuf,
    /// Shards of the stream [default: as calculated by cost plan]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000), requires = "stand_in", help_heading = BURST)]
    pub shards: Option<u16>,
    /// Lose one acknowledged record in N from the stream, to test that the loss is detected
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), requires = "stand_in", help_heading = BURST)]
    pub forget: Option<u64>,

    /// File with the stack's addresses, as make up writes it [default: .local/env; without that the environment]
    #[arg(long, value_name = "FILE", help_heading = RUN)]
    pub env: Option<PathBuf>,
    /// Directory of the run [default: .local/fleet/TIME]
    #[arg(long, value_name = "DIR", help_heading = RUN)]
    pub run: Option<PathBuf>,
    /// Continue the run in this directory, with its options except those under this heading
    #[arg(long, value_name = "DIR", help_heading = RUN, conflicts_with_all = [
        "devices", "hours", "speed_up", "start", "sigfox_share", "profile_mix", "arrival", "clock_drift", "wrong_clocks",
        "odd_settings", "rollover", "reset", "assignments", "every_fault", "power_loss", "swap", "untold_swap", "lost", "garbled",
        "status_messages", "late",
        "seed", "loss", "duplicate", "reorder", "reorder_by", "shared_nat", "first_pause", "repetitions", "callbacks",
        "connections", "master_key_id", "run",
    ])]
    pub resume: Option<PathBuf>,
    /// Maximum messages a second; others wait [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = RUN)]
    pub max_rate: Option<u32>,
    /// Messages a second to look up in the pulses table, to measure the time until they are stored
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1_000), help_heading = RUN)]
    pub probe: u16,
    /// No progress bar
    #[arg(long, help_heading = RUN)]
    pub quiet: bool,
    /// Output format of the measurements
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
        let line = Line::try_parse_from(std::iter::once("load").chain(line.split_whitespace()));
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
    fn every_fault_happens_unless_it_is_given_otherwise() {
        let none = parse("").unwrap();
        assert_eq!((none.lost, none.late, none.swap, none.rollover), (Share(0.0), Share(0.0), Share(0.0), Share(0.01)));
        let some = parse("--every-fault --lost 1% --loss 0").unwrap();
        assert_eq!((some.lost, some.loss), (Share(0.01), Share(0.0)));
        let shares = [some.late, some.swap, some.untold_swap, some.power_loss, some.garbled, some.status_messages];
        assert!(shares.iter().all(|share| share.0 > 0.0), "{shares:?}");
        assert_eq!((some.rollover, some.wrong_clocks), (Share(0.05), Share(0.0)));
    }

    #[test]
    fn a_run_that_is_gone_on_with_takes_no_other_fleet() {
        assert!(parse("--resume runs/a --probe 2 --env some/env --max-rate 9 --quiet --format json").is_ok());
        for option in [
            "--devices 7",
            "--hours 2",
            "--loss 5%",
            "--callbacks single",
            "--seed 2",
            "--run runs/b",
            "--wrong-clocks 5%",
            "--assignments a.csv",
            "--every-fault",
            "--late 1%",
        ] {
            let problem = parse(&format!("--resume runs/a {option}")).unwrap_err();
            assert!(problem.contains("cannot be used with") && problem.contains("--resume"), "{problem}");
        }
    }
}
