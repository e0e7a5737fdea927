//! Prepares a run: a new one from the command line, or a resumed one from its directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pulsegate_model::at::At;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::faults::Faults;
use super::options::Options;
use super::sigfox::Channel;
use crate::Problem;
use crate::meters::Fleet;
use crate::run::{Measured, Run, Sessions};
use crate::spec::{MeterFaults, Spec};

/// The share of meters with assignments, in a fleet that has any.
const ASSIGNED: f64 = 0.9;

/// Default directory of runs.
const RUNS: &str = ".local/fleet";

/// A run that is ready to start.
#[derive(Debug)]
pub(super) struct PreparedRun {
    pub(super) fleet: Arc<Fleet>,
    pub(super) how: SendOptions,
    pub(super) sessions: Sessions,
    pub(super) run: Run,
    pub(super) directory: PathBuf,
}

/// Options of sending. Stored in `run.json`, under `options`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SendOptions {
    #[serde(flatten)]
    pub(super) faults: Faults,
    pub(super) shared_nat: u32,
    pub(super) first_pause_ms: u64,
    pub(super) repetitions: u8,
    pub(super) callbacks: Channel,
    pub(super) connections: u16,
    pub(super) master_key_id: u8,
}

impl PreparedRun {
    /// Prepares the run of the command line.
    ///
    /// # Errors
    /// [`Problem`] if the fleet is invalid, the directory already contains a run, or there is none to resume.
    pub(super) fn new(options: &Options, now: Timestamp) -> Result<Self, Problem> {
        match &options.resume {
            Some(directory) => Self::resume(directory.clone()),
            None => Self::create(options, now),
        }
    }

    fn create(options: &Options, now: Timestamp) -> Result<Self, Problem> {
        let directory =
            options.run.clone().unwrap_or_else(|| Path::new(RUNS).join(now.strftime("%Y%m%dT%H%M%SZ").to_string()));
        if Run::is_in(&directory) {
            let directory = directory.display();
            return Err(Problem::Wrong(format!(
                "{directory} already contains a run; continue it with --resume {directory}, or name another directory"
            )));
        }
        let fleet = Arc::new(Fleet::new(spec(options, now)?)?);
        let how = SendOptions::of(options);
        if let Some(file) = &options.assignments {
            super::assignments::write(&fleet, file)?;
        }
        std::fs::create_dir_all(&directory).map_err(|e| Problem::File(directory.display().to_string(), e))?;
        let sessions = Sessions::new(fleet.spec().devices, fleet.hours());
        let run = Run { spec: fleet.spec().clone(), options: how.described(now), measured: Measured::default() };
        Ok(Self { fleet, how, sessions, run, directory })
    }

    fn resume(directory: PathBuf) -> Result<Self, Problem> {
        if !Run::is_in(&directory) {
            return Err(Problem::Wrong(format!("there is no run in {}: it has no run.json", directory.display())));
        }
        let run = Run::read(&directory)?;
        let how = serde_json::from_value(Value::Object(run.options.clone()))
            .map_err(|e| Problem::Wrong(format!("the options in {}/run.json are invalid: {e}", directory.display())))?;
        let fleet = Arc::new(Fleet::new(run.spec.clone())?);
        let sessions = Sessions::read(&directory, fleet.spec().devices, fleet.hours())?;
        Ok(Self { fleet, how, sessions, run, directory })
    }

    /// Writes both files, so that a run that is killed at once can be resumed. `run.json` last: its presence marks a
    /// run.
    pub(super) fn write(&self) -> Result<(), Problem> {
        self.sessions.write(&self.directory)?;
        self.run.write(&self.directory)
    }
}

impl SendOptions {
    pub(super) fn of(options: &Options) -> Self {
        Self {
            faults: Faults {
                loss: options.loss.0,
                duplicate: options.duplicate.0,
                reorder: options.reorder.0,
                reorder_by: options.reorder_by.0.as_secs_f64(),
                late: options.late.0,
            },
            shared_nat: options.shared_nat,
            first_pause_ms: u64::try_from(options.first_pause.0.as_millis()).unwrap_or(u64::MAX),
            repetitions: options.repetitions,
            callbacks: options.callbacks,
            connections: options.connections,
            master_key_id: options.master_key_id,
        }
    }

    pub(super) fn first_pause(&self) -> Duration {
        Duration::from_millis(self.first_pause_ms)
    }

    /// The options with date, machine and command, for the report.
    fn described(&self, now: Timestamp) -> Map<String, Value> {
        let mut all = match serde_json::to_value(self) {
            Ok(Value::Object(all)) => all,
            _ => Map::new(),
        };
        all.insert("date".to_owned(), Timestamp::from_second(now.as_second()).unwrap_or(now).to_string().into());
        all.insert("machine".to_owned(), machine());
        all.insert("command".to_owned(), command().into());
        all
    }
}

fn spec(options: &Options, now: Timestamp) -> Result<Spec, Problem> {
    let mix = options.profile_mix.as_deref().map_or_else(|| Ok(Spec::default_mix()), Spec::parse_mix)?;
    Ok(Spec {
        seed: options.seed,
        devices: options.devices,
        sigfox_share: options.sigfox_share.0,
        mix,
        start: options.start.map_or_else(|| start(options, now), Ok)?,
        hours: options.hours,
        speed_up: options.speed_up,
        arrival: options.arrival,
        clock_drift: options.clock_drift,
        wrong_clocks: options.wrong_clocks.0,
        odd_settings: options.odd_settings.0,
        rollover_share: options.rollover.0,
        reset_share: options.reset.0,
        faults: MeterFaults {
            power_loss: options.power_loss.0,
            swap: options.swap.0,
            untold_swap: options.untold_swap.0,
            lost: options.lost.0,
            garbled: options.garbled.0,
            status: options.status_messages.0,
            assigned: if options.assignments.is_some() { ASSIGNED } else { 0.0 },
        },
    })
}

/// Default start: now. With a speed-up, a time such that the run ends now, so that no reading is in the future.
fn start(options: &Options, now: Timestamp) -> Result<At, Problem> {
    let wrong =
        || Problem::Wrong(format!("the time {} hours ago is out of range; name a start with --start", options.hours));
    let lived = if options.speed_up > 1.0 { options.hours * 3_600.0 } else { 0.0 };
    let lived = SignedDuration::try_from_secs_f64(lived.ceil()).map_err(|_| wrong())?;
    let start = now.checked_sub(lived).map_err(|_| wrong())?;
    At::from_unix(start.as_second()).map_err(|_| wrong())
}

/// The command as typed. It contains no secrets: they are in the stack's file, or in Secrets Manager.
fn command() -> String {
    let quoted = |arg: std::ffi::OsString| match arg.to_string_lossy() {
        arg if arg.contains(char::is_whitespace) => format!("'{arg}'"),
        arg => arg.into_owned(),
    };
    let args = std::env::args_os().skip(1).map(quoted);
    std::iter::once("fleet".to_owned()).chain(args).collect::<Vec<_>>().join(" ")
}

/// This machine, as reported by Linux.
fn machine() -> Value {
    let text = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    // Only the version: the rest of the release names the builder.
    let kernel = text("/proc/sys/kernel/osrelease");
    let kernel: Vec<&str> = kernel.split('.').take(2).collect();
    let memory = field(&text("/proc/meminfo"), "MemTotal");
    let memory = memory.and_then(|memory| memory.strip_suffix("kB")?.trim().parse::<u64>().ok());
    json!({
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "processor": field(&text("/proc/cpuinfo"), "model name"),
        "memory_bytes": memory.map(|kibibytes| kibibytes * 1024),
        "kernel": kernel.join("."),
    })
}
