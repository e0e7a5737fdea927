//! Many runs, on all cores, and what they come to.

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::faults::Fault;
use super::planted::Bug;
use super::settings::Settings;
use super::{Report, simulate, world};

/// Which runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Campaign {
    /// How many seeds.
    pub seeds: u64,
    /// The first of them.
    pub first: u64,
    /// How many uplinks at least are sent in each.
    pub uplinks: usize,
}

/// What they came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// How often each fault happened, in the order of [`Fault::ALL`].
    pub faults: Vec<u64>,
    /// What was wrong, by seed.
    pub failed: BTreeMap<u64, Vec<String>>,
    /// Runs made.
    pub runs: u64,
    /// Messages sent, all different.
    pub messages: usize,
    /// Uplinks among them.
    pub uplinks: usize,
    /// Items stored: raw uplinks, pulses, events.
    pub stored: [usize; 3],
    /// Records in quarantine.
    pub quarantined: usize,
    /// Write units used.
    pub units: usize,
    /// The same runs have the same, whatever order they were made in.
    pub digest: u64,
    /// What the functions counted, by what they call it.
    pub counted: BTreeMap<String, u64>,
}

impl Campaign {
    /// Makes the runs, and tells `progress` of each.
    pub fn run(&self, progress: impl Fn(u64, &Summary) + Sync) -> Summary {
        let settings = Settings::read();
        let next = AtomicU64::new(self.first);
        let summary = Mutex::new(Summary { faults: vec![0; Fault::ALL.len()], ..Summary::default() });
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed - self.first >= self.seeds {
                    return;
                }
                let report = tried(seed, self.uplinks, settings, None);
                let mut summary = world::lock(&summary);
                summary.add(seed, report);
                progress(seed, &summary);
            }
        };
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(work);
            }
        });
        summary.into_inner().unwrap_or_default()
    }

    /// The command that makes one of the runs again.
    pub fn again(&self, seed: u64) -> String {
        format!("make simulate SIMULATE=\"--first {seed} --seeds 1 --uplinks {}\"", self.uplinks)
    }
}

/// Which of these runs is the first to find a bug, and what it says.
pub fn first_to_find(bug: Bug, campaign: Campaign) -> Option<(u64, Vec<String>)> {
    let settings = Settings::read();
    let mut runs = (campaign.first..campaign.first + campaign.seeds).map(|seed| {
        (
            seed,
            tried(seed, campaign.uplinks, settings, Some(bug))
                .map_or_else(|said| panicked(&said), |report| report.wrong),
        )
    });
    runs.find(|(_, wrong)| !wrong.is_empty())
}

/// A run, or what it panicked with.
fn tried(seed: u64, uplinks: usize, settings: Settings, bug: Option<Bug>) -> Result<Report, String> {
    catch_unwind(|| simulate(seed, uplinks, settings, bug)).map_err(|panic| world::said(&*panic))
}

fn panicked(said: &str) -> Vec<String> {
    vec![format!("the run panicked: {said}")]
}

impl Summary {
    fn add(&mut self, seed: u64, report: Result<Report, String>) {
        self.runs += 1;
        let Report { wrong, messages, uplinks, end } = match report {
            Ok(report) => report,
            Err(said) => {
                self.failed.insert(seed, panicked(&said));
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
        for (sum, table) in self.stored.iter_mut().zip(&end.tables) {
            *sum += table.len();
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

    /// Kinds of faults that never happened.
    pub fn unseen(&self) -> Vec<&'static str> {
        let counts = Fault::ALL.iter().zip(&self.faults);
        counts.filter(|&(_, &count)| count == 0).map(|(fault, _)| fault.text()).collect()
    }

    /// Faults and their counts, as a table.
    pub fn table(&self) -> String {
        let rows = Fault::ALL.iter().zip(&self.faults);
        let rows: Vec<String> = rows.map(|(fault, count)| format!("{count:>12}  {}\n", fault.text())).collect();
        rows.concat()
    }
}
