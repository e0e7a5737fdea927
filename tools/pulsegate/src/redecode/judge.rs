//! Decodes uplinks, and compares each with its pulse item.

use pulsegate_aws::Key;
use pulsegate_aws::items::Item;
use pulsegate_model::at::At;
use pulsegate_model::pulse;
use pulsegate_model::pulse::PulseError;
use pulsegate_model::uplink::{TimeSource, Uplink};
use serde::{Deserialize, Serialize};
use serde_dynamo::AttributeValue;

use super::compare::{differences, same};
use super::expiry::{self, Expired, Expiry};

/// Maximum number of differences shown of an example.
const MAX_DIFFERENCES: usize = 20;

/// Result of the comparison of an uplink with its pulse item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Finding {
    /// It decodes, and its item is equal.
    Same,
    /// It decodes, and its item is different.
    Changed,
    /// It decodes, and has no item.
    New,
    /// It decodes, and has no item: this would have expired.
    Expired,
    /// Its item is of a newer version of the codec than this program has. The item is not changed.
    Newer,
    /// It does not decode, but has an item. The item is not changed.
    NoLongerDecodable,
    /// It does not decode, and has no item.
    StillUndecodable,
}

/// An uplink, decoded from all kinds in which it arrived.
#[derive(Debug)]
pub(super) struct Decoded {
    /// The key of its pulse item.
    pub(super) key: Key,
    /// Its time, if it is not that of a clock that is not set.
    time: Option<At>,
    /// The result of each kind.
    candidates: Vec<Result<Item, PulseError>>,
}

/// The decision about an uplink.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) key: Key,
    pub(super) what: Finding,
    /// The codec of the existing item, with its version.
    pub(super) before: String,
    /// The codec that decodes it now.
    pub(super) now: Codec,
    /// The differences, or the reason why it does not decode.
    pub(super) why: Vec<String>,
    /// The item to write, if any.
    pub(super) item: Option<Item>,
}

/// A codec's name and version, from an item or an error. Both are empty if unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Codec {
    pub(super) name: String,
    pub(super) version: String,
}

/// Decodes uplinks, which are in the archive's order.
pub(super) fn decode(uplinks: &[Uplink]) -> Vec<Decoded> {
    let mut decoded: Vec<Decoded> = Vec::new();
    for uplink in uplinks {
        let key = Key { device: uplink.device.to_string(), uplink: uplink.key().to_string() };
        let candidate = pulse::decode(uplink).map(|item| pulsegate_aws::items::pulse_item(&item));
        // Between two kinds of an uplink there is at most the same uplink from a clock that is not set.
        if let Some(decoded) = decoded.iter_mut().rev().take(2).find(|decoded| decoded.key == key) {
            decoded.candidates.push(candidate);
        } else {
            let time = (uplink.time_source != TimeSource::Unset).then_some(uplink.at);
            decoded.push(Decoded { key, time, candidates: vec![candidate] });
        }
    }
    decoded
}

impl Decoded {
    /// Compares the uplink with its existing item. An uplink that arrived in two kinds with different contents is the
    /// same if the item equals either of them, because either may have been written last; otherwise the last that
    /// decodes counts, as for readers of the archive. It never replaces an item of a newer version of the codec, because then this program is
    /// outdated.
    pub(super) fn judge(self, held: Option<Item>, expiry: Expiry) -> Verdict {
        let Self { key, time, candidates } = self;
        let (held, expires_at) = held.map_or((None, None), |held| {
            let (held, expires_at) = expiry::without(held);
            (Some(held), expires_at)
        });
        let held = held.as_ref();
        let before = held.map_or_else(Codec::none, Codec::of);
        let newer = |now: &Codec| before.is_newer_than(now);
        let verdict = |what, now, why, item| Verdict { key, what, before: before.to_string(), now, why, item };
        let mut refusal = None;
        let mut items: Vec<Item> = Vec::new();
        for candidate in candidates {
            match candidate {
                Ok(item) => items.push(item),
                Err(reason) => refusal = refusal.or(Some(reason)),
            }
        }
        if let Some(item) = items.iter().find(|item| held.is_some_and(|held| same(held, item))) {
            return verdict(Finding::Same, Codec::of(item), Vec::new(), None);
        }
        let Some(item) = items.pop() else {
            let now = refusal.as_ref().map_or_else(Codec::none, Codec::of_refusal);
            let why = refusal.iter().map(ToString::to_string).collect();
            let what = match held {
                Some(_) if newer(&now) => Finding::Newer,
                Some(_) => Finding::NoLongerDecodable,
                None => Finding::StillUndecodable,
            };
            return verdict(what, now, why, None);
        };
        let now = Codec::of(&item);
        match held {
            None => match expiry.of_new(time) {
                Ok(expires_at) => verdict(Finding::New, now, Vec::new(), Some(expiry::with(item, expires_at))),
                Err(Expired) => verdict(Finding::Expired, now, Vec::new(), None),
            },
            Some(held) => {
                let mut why = differences(held, &item);
                why.truncate(MAX_DIFFERENCES);
                if newer(&now) {
                    verdict(Finding::Newer, now, why, None)
                } else {
                    verdict(Finding::Changed, now, why, Some(expiry::with(item, expires_at)))
                }
            }
        }
    }
}

impl Codec {
    fn none() -> Self {
        Self { name: String::new(), version: String::new() }
    }

    fn of(item: &Item) -> Self {
        let text = |name| match item.inner().get(name) {
            Some(AttributeValue::S(text) | AttributeValue::N(text)) => text.clone(),
            _ => String::new(),
        };
        Self { name: text("codec"), version: text("codec_version") }
    }

    /// True if it is the same codec in a higher version.
    fn is_newer_than(&self, other: &Self) -> bool {
        let [this, that] = [self, other].map(|codec| codec.version.parse::<u64>().ok());
        self.name == other.name && this > that && that.is_some()
    }

    fn of_refusal(reason: &PulseError) -> Self {
        reason
            .codec()
            .map_or_else(Self::none, |codec| Self { name: codec.name.to_owned(), version: codec.version.to_string() })
    }
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, version } = self;
        if name.is_empty() { f.write_str("-") } else { write!(f, "{name} {version}") }
    }
}
