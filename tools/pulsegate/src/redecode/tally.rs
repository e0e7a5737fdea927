//! Counts and examples of a run. They do not depend on the order of the uplinks.

use std::collections::BTreeMap;

use pulsegate_aws::Key;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::judge::{Finding, Verdict};

/// Maximum number of examples for each pair of codecs and finding.
const MAX_EXAMPLES: usize = 3;

/// Counts and examples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Number of raw uplinks, each kind by itself.
    pub(super) uplinks: u64,
    /// Counts by the codecs before and now.
    pub(super) pairs: Vec<Pair>,
    /// Version of each codec used.
    pub(super) versions: BTreeMap<String, String>,
}

/// Uplinks that one codec decoded before, and another decodes now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Pair {
    pub(super) before: String,
    pub(super) now: String,
    pub(super) counts: BTreeMap<Finding, u64>,
    pub(super) examples: Vec<Example>,
}

/// An uplink that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Example {
    pub(super) what: Finding,
    #[serde(flatten)]
    pub(super) key: Key,
    /// The differences, or the reason why it does not decode.
    pub(super) why: Vec<String>,
}

impl Tally {
    /// Number of uplinks with this finding.
    pub(super) fn of(&self, what: Finding) -> u64 {
        self.pairs.iter().filter_map(|pair| pair.counts.get(&what)).sum()
    }

    /// Records the versions of codecs. Rejects another version than before: then two programs have worked on the same
    /// run.
    pub(super) fn admit(&mut self, verdicts: &[Verdict]) -> Result<(), String> {
        for Verdict { now, .. } in verdicts {
            let known = self.versions.entry(now.name.clone()).or_insert_with(|| now.version.clone());
            if *known != now.version {
                return Err(format!(
                    "it was started with {} {known}, and this program has {now}; start a new run",
                    now.name
                ));
            }
        }
        Ok(())
    }

    /// Counts a verdict.
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
        if !matches!(what, Finding::Same | Finding::Expired) {
            pair.show(Example { what: *what, key: key.clone(), why: why.clone() });
        }
    }
}

impl Pair {
    /// Keeps the examples with the smallest keys, in any order of arrival.
    fn show(&mut self, example: Example) {
        let position = self.examples.partition_point(|shown| *shown < example);
        self.examples.insert(position, example);
        let alike = |shown: &&Example| shown.what == self.examples[position].what;
        if self.examples.iter().filter(alike).count() > MAX_EXAMPLES {
            let what = self.examples[position].what;
            let last = self.examples.iter().rposition(|shown| shown.what == what);
            last.map(|last| self.examples.remove(last));
        }
    }
}

/// Returns the line of the list for an uplink that differs; `None` for one that is the same, expired or still
/// undecodable.
pub(super) fn line(verdict: &Verdict) -> Option<Value> {
    let Verdict { key, what, before, now, why, .. } = verdict;
    let line = json!({
        "device": key.device, "uplink": key.uplink, "what": what, "before": before, "now": now.to_string(),
    });
    match what {
        Finding::Same | Finding::Expired | Finding::StillUndecodable => None,
        Finding::Changed | Finding::New | Finding::Newer => Some(line),
        Finding::NoLongerDecodable => {
            let mut line = line;
            line["reason"] = why.join("; ").into();
            Some(line)
        }
    }
}
