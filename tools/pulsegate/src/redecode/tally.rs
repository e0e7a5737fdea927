//! What was found so far. The same uplinks make the same of it, in whichever order they come.

use std::collections::BTreeMap;

use pulsegate_aws::Key;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::judge::{NotRaw, Verdict, What};

/// Of each pair of codecs and each outcome, so many examples.
const EXAMPLES: usize = 3;

/// Counts and examples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Raw items.
    pub(super) items: u64,
    /// By the codecs before and now.
    pub(super) pairs: Vec<Pair>,
    /// Raw items that are none, by the reason, with the first of their keys.
    pub(super) not_raw: BTreeMap<String, (u64, Key)>,
    /// The version of each codec that was used.
    pub(super) versions: BTreeMap<String, String>,
}

/// Uplinks that the one codec had decoded, and the other has now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Pair {
    pub(super) before: String,
    pub(super) now: String,
    pub(super) counts: BTreeMap<What, u64>,
    pub(super) examples: Vec<Example>,
}

/// An uplink that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Example {
    pub(super) what: What,
    #[serde(flatten)]
    pub(super) key: Key,
    /// Where it differs, or why it does not decode.
    pub(super) why: Vec<String>,
}

impl Tally {
    /// How many there are of this outcome.
    pub(super) fn of(&self, what: What) -> u64 {
        self.pairs.iter().filter_map(|pair| pair.counts.get(&what)).sum()
    }

    /// Takes the versions of codecs down, or says which is another than before: then two programs have decoded by turns.
    pub(super) fn admit(&mut self, verdicts: &[Verdict]) -> Result<(), String> {
        for Verdict { now, .. } in verdicts {
            let known = self.versions.entry(now.name.clone()).or_insert_with(|| now.version.clone());
            if *known != now.version {
                return Err(format!("it was begun with {} {known}, and this program has {now}; begin anew", now.name));
            }
        }
        Ok(())
    }

    /// Takes in a verdict.
    pub(super) fn take(&mut self, verdict: &Verdict) {
        let Verdict { key, what, before, now, why, .. } = verdict;
        let now = now.to_string();
        let position = self.pairs.iter().position(|pair| pair.before == *before && pair.now == now);
        let position = position.unwrap_or_else(|| {
            let examples = Vec::new();
            self.pairs.push(Pair { before: before.clone(), now, counts: BTreeMap::new(), examples });
            self.pairs.len() - 1
        });
        let pair = &mut self.pairs[position];
        *pair.counts.entry(*what).or_default() += 1;
        if *what != What::Same {
            pair.show(Example { what: *what, key: key.clone(), why: why.clone() });
        }
    }

    /// Takes in a raw item that is none.
    pub(super) fn take_not_raw(&mut self, not_raw: &NotRaw) {
        let NotRaw { key, reason } = not_raw;
        let (count, first) = self.not_raw.entry(reason.clone()).or_insert_with(|| (0, key.clone()));
        *count += 1;
        *first = first.clone().min(key.clone());
    }
}

impl Pair {
    /// Keeps the first ones by their keys, whichever come first.
    fn show(&mut self, example: Example) {
        let position = self.examples.partition_point(|shown| *shown < example);
        self.examples.insert(position, example);
        let alike = |shown: &&Example| shown.what == self.examples[position].what;
        if self.examples.iter().filter(alike).count() > EXAMPLES {
            let what = self.examples[position].what;
            let last = self.examples.iter().rposition(|shown| shown.what == what);
            last.map(|last| self.examples.remove(last));
        }
    }
}

/// The line of the list for an uplink that differs. What is undecodable as before is none.
pub(super) fn line(verdict: &Verdict) -> Option<Value> {
    let Verdict { key, what, before, now, why, .. } = verdict;
    let line = json!({
        "device": key.device, "uplink": key.uplink, "what": what, "before": before, "now": now.to_string(),
    });
    match what {
        What::Same | What::StillUndecodable => None,
        What::Changed | What::New | What::Newer => Some(line),
        What::NoLongerDecodable => {
            let mut line = line;
            line["reason"] = why.join("; ").into();
            Some(line)
        }
    }
}
