//! Downlinks: eight bytes that wait for a Sigfox device until it asks. `docs/downlinks.md` describes the items.
//!
//! Operators queue them, [`answer`] chooses the one that an uplink gets, [`close`] notes what the network says became of
//! it. No clock is read: whether a downlink is still valid is a matter of the uplink's own time, so that whatever is asked
//! or told again ends in the same items. Whether an uplink asks in time, the caller has to say.

use std::collections::BTreeMap;

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_model::event::{code_name, is_provisional};
use pulsegate_model::uplink::NaturalKey;
use tokio::time::Instant;

pub mod item;

mod port;

pub use item::{Data, Downlink, DownlinkError, DownlinkId, Entry, State};
pub use port::{DownlinkAdmin, Downlinks, Unavailable};

/// Bytes of a downlink, exactly. (<https://support.sigfox.com/docs/bidir>)
pub const LEN: usize = 8;

/// An item that says that an uplink has its answer is kept under this and the uplink's key.
const ANSWERED: &str = "answered#";

/// For so long after the uplink it answered, or after it has expired, a downlink is kept, to be looked up.
const KEPT_SECONDS: i64 = 30 * 86_400;

/// Within so many seconds after an uplink the network tells what became of its answer: the device listens for less than
/// a minute. An uplink can ask in vain, and word of that must not close a downlink of long before.
const TOLD_WITHIN: i64 = 600;

/// The longest text of the network's that is kept.
pub(crate) const MAX_MESSAGE: usize = 256;

/// How often a downlink is chosen anew, when another request was faster with the one chosen.
const TRIES: usize = 5;

/// A downlink becomes the answer to an uplink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownlinkAnswer {
    /// The downlink.
    pub downlink: Downlink,
    /// The uplink's natural key.
    pub uplink: String,
    /// The key of the item that says that the uplink has its answer.
    pub marker: String,
    /// From when on both items may be deleted, in seconds since 1970.
    pub expires_at: i64,
}

/// Whether the device can still hear the answer to its uplink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeliness {
    /// It may be listening.
    InTime,
    /// It has stopped: a downlink handed out now would be used up for nothing.
    Late,
}

/// What the network says became of a downlink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownlinkOutcome {
    /// The downlink, which has been an answer.
    pub downlink: Downlink,
    /// Zero: sent. Anything else: not.
    pub code: u32,
    /// The network's own words.
    pub message: String,
    /// When, by the network's clock.
    pub told_at: At,
}

/// The bytes to answer an uplink with that asked for some, or none.
///
/// The same uplink is given the same bytes however often and late it asks, and two requests at once consume one
/// downlink at most. One that asks late for the first time is given none.
///
/// # Errors
/// [`Unavailable`] when it is not known. Asking again is safe.
pub async fn answer(
    downlinks: &impl Downlinks,
    uplink: &NaturalKey,
    timeliness: Timeliness,
    deadline: Instant,
) -> Result<Option<[u8; LEN]>, Unavailable> {
    for _ in 0..TRIES {
        let book = DeviceDownlinks::read(downlinks.of_device(uplink.device(), deadline).await?);
        let answer = match book.choose(uplink) {
            Choice::Nothing => return Ok(None),
            Choice::Again(downlink) => return Ok(Some(downlink.data.bytes())),
            Choice::First(_) if timeliness == Timeliness::Late => return Ok(None),
            Choice::First(downlink) => DownlinkAnswer::new(downlink, uplink),
        };
        if downlinks.answer_with(&answer, deadline).await? {
            let Downlink { device, id, .. } = &answer.downlink;
            tracing::info!(%device, %uplink, downlink = %id, "answered with a downlink");
            return Ok(Some(answer.downlink.data.bytes()));
        }
    }
    Err(Unavailable::new(format!("{TRIES} times another request was faster")))
}

/// Notes what the network says became of a downlink: of the one that answered the device's uplink of that time, or else
/// its latest one shortly before. What is known of a downlink already stays, and provisional word is no word yet.
///
/// # Errors
/// [`Unavailable`] when it may not be noted. Telling it again is safe.
pub async fn close(
    downlinks: &impl Downlinks,
    device: DeviceId,
    at: At,
    code: u32,
    message: &str,
    deadline: Instant,
) -> Result<(), Unavailable> {
    if is_provisional(code) {
        return Ok(());
    }
    let book = DeviceDownlinks::read(downlinks.of_device(device, deadline).await?);
    let Some(downlink) = book.told_of(at) else {
        // Word of an uplink that asked when nothing was waiting.
        tracing::debug!(%device, %at, code, "no downlink to close");
        return Ok(());
    };
    if code != 0 {
        tracing::warn!(%device, downlink = %downlink.id, code, meaning = code_name(code), "downlink refused");
    }
    let message = message.chars().take(MAX_MESSAGE).collect();
    downlinks.close(&DownlinkOutcome { downlink: downlink.clone(), code, message, told_at: at }, deadline).await
}

/// The items of a device, understood.
struct DeviceDownlinks {
    /// By their IDs, so the most urgent first.
    downlinks: Vec<Downlink>,
    /// By uplinks, the downlinks they were answered with.
    answered: BTreeMap<String, String>,
}

/// What an uplink that asks is given.
#[derive(Debug, PartialEq)]
enum Choice<'a> {
    /// Nothing is waiting.
    Nothing,
    /// It has asked before.
    Again(&'a Downlink),
    /// This one, if nobody is faster.
    First(&'a Downlink),
}

impl DeviceDownlinks {
    /// Leaves out an entry that somebody typed wrongly: nobody knows what should be sent.
    fn read(entries: Vec<Entry>) -> Self {
        let mut book = Self { downlinks: Vec::new(), answered: BTreeMap::new() };
        for entry in entries {
            match entry {
                Entry::Downlink(downlink) => book.downlinks.push(downlink),
                Entry::Answered { uplink, downlink } => {
                    book.answered.insert(uplink, downlink);
                }
                Entry::Invalid { key, reason } => {
                    tracing::warn!(key, %reason, "invalid downlink is not sent");
                }
            }
        }
        book.downlinks.sort_by(|a, b| a.id.cmp(&b.id));
        book
    }

    fn choose(&self, uplink: &NaturalKey) -> Choice<'_> {
        let key = uplink.to_string();
        let marked = self.answered.get(&key);
        // Either tells it: a query that a transaction overtakes may find the one written and not yet the other.
        let is_answer = |downlink: &&Downlink| {
            downlink.uplink.as_ref() == Some(&key) || marked.is_some_and(|id| *id == downlink.id.to_string())
        };
        if let Some(downlink) = self.downlinks.iter().find(is_answer) {
            return Choice::Again(downlink);
        }
        if marked.is_some() {
            // Its downlink was deleted since; another one would be a second answer.
            return Choice::Nothing;
        }
        let waiting = |downlink: &&Downlink| downlink.uplink.is_none() && downlink.is_valid_at(uplink.at());
        self.downlinks.iter().find(waiting).map_or(Choice::Nothing, Choice::First)
    }

    /// The latest that was an answer at that time, if that was not long before.
    fn told_of(&self, at: At) -> Option<&Downlink> {
        let answered = self.downlinks.iter().filter_map(|downlink| Some((downlink.answered_at()?, downlink)));
        let before = answered.filter(|(answered_at, _)| (0..=TOLD_WITHIN).contains(&(at.unix() - answered_at.unix())));
        before.max_by_key(|(answered_at, _)| *answered_at).map(|(_, downlink)| downlink)
    }
}

impl DownlinkAnswer {
    fn new(downlink: &Downlink, uplink: &NaturalKey) -> Self {
        Self {
            downlink: downlink.clone(),
            uplink: uplink.to_string(),
            marker: format!("{ANSWERED}{uplink}"),
            expires_at: uplink.at().unix() + KEPT_SECONDS,
        }
    }
}

#[cfg(test)]
mod tests;
