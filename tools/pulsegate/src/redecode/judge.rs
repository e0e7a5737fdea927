//! What has become of each uplink.

use pulsegate_aws::Key;
use pulsegate_aws::items::Item;
use pulsegate_model::pulse;
use pulsegate_model::pulse::PulseError;
use serde::{Deserialize, Serialize};
use serde_dynamo::AttributeValue;

use super::compare::{differences, same};

/// So many differences of an example are shown.
const MAX_DIFFERENCES: usize = 20;

/// What has become of an uplink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum What {
    /// It decodes to what is there.
    Same,
    /// It decodes to something else.
    Changed,
    /// It decodes, and nothing is there.
    New,
    /// What is there is of a newer version of the codec than this program has. That stays.
    Newer,
    /// It does not decode, and something is there. That stays.
    NoLongerDecodable,
    /// It does not decode, and nothing is there.
    StillUndecodable,
}

/// An uplink, out of all of its raw items.
#[derive(Debug)]
pub(super) struct Decoded {
    /// The key of its pulse item.
    pub(super) key: Key,
    /// What each of its raw items decodes to.
    candidates: Vec<Result<Item, PulseError>>,
}

/// A raw item that is none.
#[derive(Debug)]
pub(super) struct NotRaw {
    pub(super) key: Key,
    pub(super) reason: String,
}

/// A decision about an uplink.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) key: Key,
    pub(super) what: What,
    /// The codec of the item that is there, with its version.
    pub(super) before: String,
    /// The codec that decodes it now.
    pub(super) now: Codec,
    /// Where it differs, or why it does not decode.
    pub(super) why: Vec<String>,
    /// What to write, if anything.
    pub(super) item: Option<Item>,
}

/// A codec's name and version, as an item or a refusal has them. Both may be unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Codec {
    pub(super) name: String,
    pub(super) version: String,
}

/// Decodes raw items, of which those of one uplink come one after the other.
pub(super) fn decode(items: Vec<Item>) -> (Vec<Decoded>, Vec<NotRaw>) {
    let (mut decoded, mut not_raw): (Vec<Decoded>, _) = (Vec::new(), Vec::new());
    for item in items {
        let Some(raw_key) = Key::of(&item) else { continue }; // no item of such a table is without
        let uplink = match pulsegate_aws::items::uplink_of(item) {
            Ok(uplink) => uplink,
            Err(reason) => {
                not_raw.push(NotRaw { key: raw_key, reason: reason.to_string() });
                continue;
            }
        };
        let key = Key { device: uplink.device.to_string(), uplink: uplink.key().to_string() };
        let candidate = pulse::decode(&uplink).map(|item| pulsegate_aws::items::pulse_item(&item));
        match decoded.last_mut() {
            Some(last) if last.key == key => last.candidates.push(candidate),
            _ => decoded.push(Decoded { key, candidates: vec![candidate] }),
        }
    }
    (decoded, not_raw)
}

impl Decoded {
    /// Compares it with what is there. An uplink that came in two kinds with different contents is the same if it is one
    /// of them, whichever was written last; otherwise the first that decodes counts. What a newer version of the codec has
    /// written is never replaced: this program is the one that is out of date.
    pub(super) fn judge(self, held: Option<&Item>) -> Verdict {
        let Self { key, candidates } = self;
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
            return verdict(What::Same, Codec::of(item), Vec::new(), None);
        }
        let Some(item) = items.into_iter().next() else {
            let now = refusal.as_ref().map_or_else(Codec::none, Codec::of_refusal);
            let why = refusal.iter().map(ToString::to_string).collect();
            let what = match held {
                Some(_) if newer(&now) => What::Newer,
                Some(_) => What::NoLongerDecodable,
                None => What::StillUndecodable,
            };
            return verdict(what, now, why, None);
        };
        let now = Codec::of(&item);
        match held {
            None => verdict(What::New, now, Vec::new(), Some(item)),
            Some(held) => {
                let mut why = differences(held, &item);
                why.truncate(MAX_DIFFERENCES);
                if newer(&now) {
                    verdict(What::Newer, now, why, None)
                } else {
                    verdict(What::Changed, now, why, Some(item))
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

    /// Whether it is the same codec in a higher version.
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
