//! The state file: position and counts of a run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use pulsegate_aws::Key;
use serde::{Deserialize, Serialize};

use super::judge::{Finding, Verdict};
use super::page::Mark;
use super::question::Question;
use super::tally::Tally;
use crate::Problem;

/// Version of the file's format.
const VERSION: u8 = 3;

/// Positions of a run, and its counts so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    v: u8,
    pub(super) question: Question,
    /// Position of each part.
    pub(super) positions: Vec<Position>,
    pub(super) tally: Tally,
    /// Length of the list of differences, in bytes.
    pub(super) meters_bytes: u64,
    /// Items that were about to be written. A resumed run may find them written, and must count them as they were
    /// before.
    intents: BTreeMap<String, Intent>,
}

/// The verdict about an uplink before its item was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Intent {
    what: Finding,
    before: String,
    why: Vec<String>,
}

/// Position in a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Position {
    /// Before the first uplink.
    Start,
    /// After this uplink of this file; without a file, of the device.
    Behind(Option<String>, Mark),
    /// After the last uplink.
    End,
}

impl State {
    /// The state of a new run.
    pub(super) fn new(question: Question) -> Self {
        let positions = (0..question.parallel).map(|_| Position::Start).collect();
        Self { v: VERSION, question, positions, tally: Tally::default(), meters_bytes: 0, intents: BTreeMap::new() }
    }

    /// Returns a new state, or to resume, the state of the file. Rejects a file of a run with other options.
    pub(super) fn open(question: Question, path: Option<&Path>, resume: bool) -> Result<Self, Problem> {
        let Some(path) = path else { return Ok(Self::new(question)) };
        let wrong = |reason: &str| Problem::State { path: path.display().to_string(), reason: reason.to_owned() };
        let there = path.try_exists().map_err(|e| Problem::File(path.display().to_string(), e))?;
        match (there, resume) {
            (false, false) => return Ok(Self::new(question)),
            (false, true) => return Err(wrong("the file does not exist: there is nothing to continue")),
            (true, false) => return Err(wrong("the file exists: use --continue to resume, or remove it")),
            (true, true) => {}
        }
        let text = fs::read_to_string(path).map_err(|e| Problem::File(path.display().to_string(), e))?;
        let state: Self = serde_json::from_str(&text).map_err(|e| wrong(&format!("not a state file: {e}")))?;
        if state.v != VERSION || state.positions.len() != state.question.parallel as usize {
            return Err(wrong("the file has another format"));
        }
        if state.question != question {
            let asked = serde_json::to_string(&state.question).unwrap_or_default();
            return Err(wrong(&format!("the run was started with other options; resume with these: {asked}")));
        }
        Ok(state)
    }

    /// Writes a temporary file, and renames it: after a crash the file has either the old state or the new one.
    pub(super) fn save(&self, path: &Path) -> Result<(), Problem> {
        let mut beside = OsString::from(path);
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let write = || {
            let mut file = File::create(&beside)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()?;
            fs::rename(&beside, path)
        };
        write().map_err(|e| Problem::File(path.display().to_string(), e))
    }

    /// Records the items that are about to be written. Returns `false` if there are none.
    pub(super) fn intend(&mut self, verdicts: &[Verdict]) -> bool {
        let to_write: Vec<&Verdict> = verdicts.iter().filter(|verdict| verdict.item.is_some()).collect();
        for Verdict { key, what, before, why, .. } in &to_write {
            let intent = Intent { what: *what, before: before.clone(), why: why.clone() };
            // The first verdict counts: since then, the item may have been written.
            self.intents.entry(name(key)).or_insert(intent);
        }
        !to_write.is_empty()
    }

    /// Restores the first verdict about an uplink whose item was about to be written.
    pub(super) fn settle(&mut self, verdict: &mut Verdict) {
        if let Some(Intent { what, before, why }) = self.intents.remove(&name(&verdict.key)) {
            (verdict.what, verdict.before, verdict.why) = (what, before, why);
        }
    }

    /// True if all parts are complete.
    pub(super) fn is_finished(&self) -> bool {
        self.positions.iter().all(|position| *position == Position::End)
    }
}

fn name(key: &Key) -> String {
    format!("{} {}", key.device, key.uplink)
}
