//! Runs many seeds on all cores and sums up the results.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::faults::{self, Fault, FaultKind as _};
use super::planted::Bug;
use super::settings::Settings;
use super::{Report, simulate, world};

/// The runs to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Campaign {
    /// Number of seeds.
    pub seeds: u64,
    /// First seed.
    pub first: u64,
    /// Minimum number of uplinks per run.
    pub uplinks: usize,
}

/// Results of all runs.
#[derive(Debug, Default)]
pub struct Summary {
    /// Occurrences of each fault, in the order of `Fault::ALL`.
    pub faults: Vec<u64>,
    /// Errors, by seed.
    pub failed: BTreeMap<u64, Vec<String>>,
    /// Number of runs.
    pub runs: u64,
    /// Number of distinct messages sent.
    pub messages: usize,
    /// Number of uplinks among them.
    pub uplinks: usize,
    /// Numbers of stored items: raw uplinks, pulses, events.
    pub stored: [usize; 3],
    /// Number of records in quarantine.
    pub quarantined: usize,
    /// Number of write units used.
    pub units: usize,
    /// Digest of the runs' effects; it does not depend on the order of the runs.
    pub digest: u64,
    /// Sums of the functions' counters, by name.
    pub counted: BTreeMap<String, u64>,
}

impl Campaign {
    /// Makes the runs, and calls `progress` after each.
    pub fn run(&self, progress: impl Fn(u64, &Summary) + Sync) -> Summary {
        let settings = Settings::read();
        let summary = Mutex::new(Summary { faults: vec![0; Fault::ALL.len()], ..Summary::default() });
        on_all_cores(self.first..self.first + self.seeds, |seed| {
            let report = try_run(seed, self.uplinks, settings, None);
            let mut summary = world::lock(&summary);
            summary.add(seed, report);
            progress(seed, &summary);
        });
        summary.into_inner().unwrap_or_default()
    }

    /// Returns the command that repeats a run.
    pub fn repeat_command(&self, seed: u64) -> String {
        format!("make simulate SIMULATE=\"--first {seed} --seeds 1 --uplinks {}\"", self.uplinks)
    }
}

/// Makes the runs of these seeds.
pub(super) fn on_all_cores(seeds: Range<u64>, run: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return;
            }
            run(seed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
}

/// Returns the first of these runs that finds a bug, with its errors.
pub fn first_to_find(bug: Bug, campaign: Campaign) -> Option<(u64, Vec<String>)> {
    let settings = Settings::read();
    let mut runs = (campaign.first..campaign.first + campaign.seeds).map(|seed| {
        (
            seed,
            try_run(seed, campaign.uplinks, settings, Some(bug))
                .map_or_else(|text| panicked(&text), |report| report.wrong),
        )
    });
    runs.find(|(_, wrong)| !wrong.is_empty())
}

/// Makes a run; returns the panic's message if it panics.
fn try_run(seed: u64, uplinks: usize, settings: Settings, bug: Option<Bug>) -> Result<Report, String> {
    catch_unwind(|| simulate(seed, uplinks, settings, bug)).map_err(|panic| world::panic_text(&*panic))
}

pub(super) fn panicked(text: &str) -> Vec<String> {
    vec![format!("the run panicked: {text}")]
}

impl Summary {
    fn add(&mut self, seed: u64, report: Result<Report, String>) {
        self.runs += 1;
        let Report { wrong, messages, uplinks, end } = match report {
            Ok(report) => report,
            Err(text) => {
                self.failed.insert(seed, panicked(&text));
                return;
            }
        };
        if !wrong.is_empty() {
            self.failed.insert(seed, wrong);
        }
        self.messages += messages;
        self.uplinks += uplinks;
        self.quarantined += end.quarantined.len();
        self.units += end.units;
        self.digest = self.digest.wrapping_add(end.digest);
        let [pulses, events] = &end.tables;
        for (sum, count) in self.stored.iter_mut().zip([end.raw.len(), pulses.len(), events.len()]) {
            *sum += count;
        }
        for (sum, count) in self.faults.iter_mut().zip(&end.faults) {
            *sum += count;
        }
        for ((part, name), count) in end.tally {
            if part != "sigfox-events" {
                *self.counted.entry(name).or_default() += count;
            }
        }
    }

    /// Returns the kinds of faults that never occurred.
    pub fn unseen(&self) -> Vec<&'static str> {
        faults::unseen::<Fault>(&self.faults)
    }

    /// Returns the faults and their counts as a table.
    pub fn table(&self) -> String {
        faults::table::<Fault>(&self.faults)
    }
}
