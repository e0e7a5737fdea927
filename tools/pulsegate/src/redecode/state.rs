//! How far a run is, in a file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use pulsegate_aws::Key;
use serde::{Deserialize, Serialize};

use super::judge::{Verdict, What};
use super::question::Question;
use super::tally::Tally;
use crate::Problem;

/// The version of the file's form.
const VERSION: u8 = 2;

/// How far it is, and what was found until there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    v: u8,
    pub(super) question: Question,
    /// Of each part.
    pub(super) positions: Vec<Position>,
    pub(super) tally: Tally,
    /// How long the list of what differs is.
    pub(super) meters_bytes: u64,
    /// What was about to be written when the file was. Whoever continues may find it written, and counts it all the same.
    intents: BTreeMap<String, Intent>,
}

/// What was found of an uplink before something was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Intent {
    what: What,
    before: String,
    why: Vec<String>,
}

/// How far a part is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Position {
    /// Not begun.
    Start,
    /// All that comes up to this key is done.
    Behind(Key),
    /// All of it is done.
    End,
}

impl State {
    /// Nothing is done.
    pub(super) fn new(question: Question) -> Self {
        let positions = (0..question.segments).map(|_| Position::Start).collect();
        Self { v: VERSION, question, positions, tally: Tally::default(), meters_bytes: 0, intents: BTreeMap::new() }
    }

    /// The state to go on from: that of the file, if it is of the same question and is to be continued.
    pub(super) fn open(question: Question, path: Option<&Path>, resume: bool) -> Result<Self, Problem> {
        let Some(path) = path else { return Ok(Self::new(question)) };
        let wrong = |reason: &str| Problem::State { path: path.display().to_string(), reason: reason.to_owned() };
        let there = path.try_exists().map_err(|e| Problem::File(path.display().to_string(), e))?;
        match (there, resume) {
            (false, false) => return Ok(Self::new(question)),
            (false, true) => return Err(wrong("there is none to continue")),
            (true, false) => return Err(wrong("there is one; say --continue to go on with it, or remove it")),
            (true, true) => {}
        }
        let text = fs::read_to_string(path).map_err(|e| Problem::File(path.display().to_string(), e))?;
        let state: Self = serde_json::from_str(&text).map_err(|e| wrong(&format!("it is none: {e}")))?;
        if state.v != VERSION || state.positions.len() != state.question.segments as usize {
            return Err(wrong("it is of another form"));
        }
        if state.question != question {
            let asked = serde_json::to_string(&state.question).unwrap_or_default();
            return Err(wrong(&format!(
                "it is of another question; go on with the options it was begun with: {asked}"
            )));
        }
        Ok(state)
    }

    /// Writes it beside the file, and then puts it in its place: whatever happens, the file holds the one state or the
    /// other.
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

    /// Takes down what is about to be written. Whether there is anything.
    pub(super) fn intend(&mut self, verdicts: &[Verdict]) -> bool {
        let to_write: Vec<&Verdict> = verdicts.iter().filter(|verdict| verdict.item.is_some()).collect();
        for Verdict { key, what, before, why, .. } in &to_write {
            let intent = Intent { what: *what, before: before.clone(), why: why.clone() };
            // What was found first is what counts: since then, it may have been written.
            self.intents.entry(name(key)).or_insert(intent);
        }
        !to_write.is_empty()
    }

    /// What was found of an uplink at first, if it was about to be written.
    pub(super) fn settle(&mut self, verdict: &mut Verdict) {
        if let Some(Intent { what, before, why }) = self.intents.remove(&name(&verdict.key)) {
            (verdict.what, verdict.before, verdict.why) = (what, before, why);
        }
    }

    /// Whether all of it is done.
    pub(super) fn is_finished(&self) -> bool {
        self.positions.iter().all(|position| *position == Position::End)
    }
}

fn name(key: &Key) -> String {
    format!("{} {}", key.device, key.uplink)
}
