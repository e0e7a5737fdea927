//! Runs many seeds on all cores and sums up the results.

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::sync::Mutex;

use super::activity::Made;
use super::client::Bug;
use super::faults::ArchiveFault;
use super::{Report, simulate};
use crate::simulation::campaign::{on_all_cores, panicked};
use crate::simulation::faults::{self, FaultKind as _};
use crate::simulation::world;

/// The runs to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveCampaign {
    /// Number of seeds.
    pub seeds: u64,
    /// First seed.
    pub first: u64,
}

/// Results of all runs.
#[derive(Debug, Default)]
pub struct ArchiveSummary {
    /// Occurrences of each fault, in the order of `ArchiveFault::ALL`.
    pub faults: Vec<u64>,
    /// Errors, by seed.
    pub failed: BTreeMap<u64, Vec<String>>,
    /// Number of runs.
    pub runs: u64,
    /// Number of distinct rows.
    pub rows: usize,
    /// Numbers of runs of `settle`, `derive` and days, and of reads.
    pub made: Made,
    /// Digest of the runs' effects; it does not depend on the order of the runs.
    pub digest: u64,
}

impl ArchiveCampaign {
    /// Makes the runs, and calls `progress` after each.
    pub fn run(&self, progress: impl Fn(u64, &ArchiveSummary) + Sync) -> ArchiveSummary {
        let empty = ArchiveSummary { faults: vec![0; ArchiveFault::ALL.len()], ..ArchiveSummary::default() };
        let summary = Mutex::new(empty);
        on_all_cores(self.first..self.first + self.seeds, |seed| {
            let report = try_run(seed, None);
            let mut summary = world::lock(&summary);
            summary.add(seed, report);
            progress(seed, &summary);
        });
        summary.into_inner().unwrap_or_default()
    }

    /// Returns the first run that finds a bug, with its errors.
    pub fn first_to_find(&self, bug: Bug) -> Option<(u64, Vec<String>)> {
        let run = |seed| {
            let report = try_run(seed, Some(bug));
            (seed, report.map_or_else(|text| panicked(&text), |report| report.wrong))
        };
        (self.first..self.first + self.seeds).map(run).find(|(_, wrong)| !wrong.is_empty())
    }

    /// Returns the command that repeats a run.
    pub fn repeat_command(seed: u64) -> String {
        format!("make simulate SIMULATE=\"--first {seed} --seeds 0 --archive-seeds 1\"")
    }
}

/// Makes a run; returns the panic's message if it panics.
fn try_run(seed: u64, bug: Option<Bug>) -> Result<Report, String> {
    catch_unwind(|| simulate(seed, bug)).map_err(|panic| world::panic_text(&*panic))
}

impl ArchiveSummary {
    fn add(&mut self, seed: u64, report: Result<Report, String>) {
        self.runs += 1;
        let Report { wrong, rows, made, faults, digest } = match report {
            Ok(report) => report,
            Err(text) => {
                self.failed.insert(seed, panicked(&text));
                return;
            }
        };
        if !wrong.is_empty() {
            self.failed.insert(seed, wrong);
        }
        self.rows += rows;
        self.made.settled += made.settled;
        self.made.derived += made.derived;
        self.made.points_files += made.points_files;
        self.made.daily += made.daily;
        self.made.days_files += made.days_files;
        self.made.reads += made.reads;
        self.digest = self.digest.wrapping_add(digest);
        for (sum, count) in self.faults.iter_mut().zip(&faults) {
            *sum += count;
        }
    }

    /// Returns the kinds of faults that never occurred.
    pub fn unseen(&self) -> Vec<&'static str> {
        faults::unseen::<ArchiveFault>(&self.faults)
    }

    /// Returns the faults and their counts as a table.
    pub fn table(&self) -> String {
        faults::table::<ArchiveFault>(&self.faults)
    }
}
