//! Downlinks: eight bytes each, queued for a Sigfox device until it requests one. `docs/downlinks.md` describes the
//! items.
//!
//! Operators queue them, [`answer`] chooses the downlink for an uplink, [`close`] stores the outcome that the network
//! reports. This module reads no clock: the uplink's own time decides whether a downlink is still valid, so repeated
//! requests and reports leave the items as they are. The caller decides whether a request is in time, and knows the time
//! from which an answer is retained.

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

/// The exact length of a downlink in bytes. (<https://support.sigfox.com/docs/bidir>)
pub const LEN: usize = 8;

/// Key prefix of the item that marks an uplink as answered; the uplink's key follows.
const ANSWERED: &str = "answered#";

/// Retention of a downlink after its answer, or after its expiry, so that operators can look it up and a repeated request
/// gets the same answer.
const RETENTION_SECONDS: i64 = 30 * 86_400;

/// The network reports the outcome of an answer within so many seconds after the uplink: the device listens for less
/// than a minute. The report for an uplink that got no downlink must not close a much older downlink.
const MAX_OUTCOME_DELAY_SECONDS: i64 = 600;

/// The longest message of the network that is stored, in characters.
pub(crate) const MAX_MESSAGE: usize = 256;

/// How often [`answer`] chooses a downlink before it gives up because other requests took the chosen ones.
const MAX_ATTEMPTS: usize = 5;

/// The assignment of a downlink to an uplink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownlinkAnswer {
    /// The downlink.
    pub downlink: Downlink,
    /// The uplink's natural key.
    pub uplink: String,
    /// The key of the item that marks the uplink as answered.
    pub marker: String,
    /// When both items expire, in seconds since 1970.
    pub expires_at: i64,
}

/// True if the device can still receive the answer to its uplink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeliness {
    /// The device may be listening.
    InTime,
    /// The device has stopped listening: a downlink assigned now would be lost.
    Late,
}

/// The outcome of a downlink, as the network reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownlinkOutcome {
    /// The downlink, which has answered an uplink.
    pub downlink: Downlink,
    /// Zero: sent. Any other value: not sent.
    pub code: u32,
    /// The network's message.
    pub message: String,
    /// Time of the report, by the network's clock.
    pub told_at: At,
}

/// Returns the downlink bytes for an uplink that requests a downlink; `None` if no downlink is pending.
///
/// The same uplink always gets the same bytes, however often and late it requests them, and two concurrent requests
/// consume at most one downlink. An uplink whose first request is late gets `None`. An answer is retained from `now`, by
/// the caller's clock: if a wrong time of the uplink decided, the table might delete the answer at once, and a repeated
/// request would use up a second downlink.
///
/// # Errors
/// [`Unavailable`] if the answer cannot be determined. Retrying is safe.
pub async fn answer(
    downlinks: &impl Downlinks,
    uplink: &NaturalKey,
    timeliness: Timeliness,
    now: At,
    deadline: Instant,
) -> Result<Option<[u8; LEN]>, Unavailable> {
    for _ in 0..MAX_ATTEMPTS {
        let items = DeviceDownlinks::read(downlinks.of_device(uplink.device(), deadline).await?);
        let answer = match items.choose(uplink) {
            Choice::Nothing => return Ok(None),
            Choice::Again(downlink) => return Ok(Some(downlink.data.bytes())),
            Choice::First(_) if timeliness == Timeliness::Late => return Ok(None),
            Choice::First(downlink) => DownlinkAnswer::new(downlink, uplink, now),
        };
        if downlinks.answer_with(&answer, deadline).await? {
            let Downlink { device, id, .. } = &answer.downlink;
            tracing::info!(%device, %uplink, downlink = %id, "answered with a downlink");
            return Ok(Some(answer.downlink.data.bytes()));
        }
    }
    Err(Unavailable::new(format!("other requests took the chosen downlink in all {MAX_ATTEMPTS} attempts; retry")))
}

/// Stores the outcome that the network reports for a downlink: the one that answered the device's uplink of that time,
/// otherwise the latest one shortly before. Keeps an outcome that is already stored, and ignores provisional codes.
///
/// # Errors
/// [`Unavailable`] if the outcome may not be stored. Retrying is safe.
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
    let items = DeviceDownlinks::read(downlinks.of_device(device, deadline).await?);
    let Some(downlink) = items.last_answered_before(at) else {
        // The report is for an uplink that requested a downlink when none was pending.
        tracing::debug!(%device, %at, code, "no downlink to close");
        return Ok(());
    };
    if code != 0 {
        tracing::warn!(%device, downlink = %downlink.id, code, meaning = code_name(code), "downlink refused");
    }
    let message = message.chars().take(MAX_MESSAGE).collect();
    downlinks.close(&DownlinkOutcome { downlink: downlink.clone(), code, message, told_at: at }, deadline).await
}

/// The parsed items of a device.
struct DeviceDownlinks {
    /// Sorted by ID, so the most urgent first.
    downlinks: Vec<Downlink>,
    /// For each answered uplink, the ID of its downlink.
    answered: BTreeMap<String, String>,
}

/// The downlink for an uplink that requests one.
#[derive(Debug, PartialEq)]
enum Choice<'a> {
    /// No downlink is pending.
    Nothing,
    /// The uplink already has this downlink.
    Again(&'a Downlink),
    /// This downlink, unless a concurrent request takes it first.
    First(&'a Downlink),
}

impl DeviceDownlinks {
    /// Skips invalid entries: what should be sent is unknown.
    fn read(entries: Vec<Entry>) -> Self {
        let mut items = Self { downlinks: Vec::new(), answered: BTreeMap::new() };
        for entry in entries {
            match entry {
                Entry::Downlink(downlink) => items.downlinks.push(downlink),
                Entry::Answered { uplink, downlink } => {
                    items.answered.insert(uplink, downlink);
                }
                Entry::Invalid { key, reason } => {
                    tracing::warn!(key, %reason, "invalid downlink is not sent");
                }
            }
        }
        items.downlinks.sort_by(|a, b| a.id.cmp(&b.id));
        items
    }

    fn choose(&self, uplink: &NaturalKey) -> Choice<'_> {
        let key = uplink.to_string();
        let marked = self.answered.get(&key);
        // Either item is enough: a query that runs during the transaction may see only one of the two.
        let is_answer = |downlink: &&Downlink| {
            downlink.uplink.as_ref() == Some(&key) || marked.is_some_and(|id| *id == downlink.id.to_string())
        };
        if let Some(downlink) = self.downlinks.iter().find(is_answer) {
            return Choice::Again(downlink);
        }
        if marked.is_some() {
            // The uplink's downlink has been deleted; another downlink would be a second answer.
            return Choice::Nothing;
        }
        let waiting = |downlink: &&Downlink| downlink.uplink.is_none() && downlink.is_valid_at(uplink.at());
        self.downlinks.iter().find(waiting).map_or(Choice::Nothing, Choice::First)
    }

    /// Returns the downlink that answered the latest uplink at or shortly before `at`.
    fn last_answered_before(&self, at: At) -> Option<&Downlink> {
        let answered = self.downlinks.iter().filter_map(|downlink| Some((downlink.answered_at()?, downlink)));
        let before = answered
            .filter(|(answered_at, _)| (0..=MAX_OUTCOME_DELAY_SECONDS).contains(&(at.unix() - answered_at.unix())));
        before.max_by_key(|(answered_at, _)| *answered_at).map(|(_, downlink)| downlink)
    }
}

impl DownlinkAnswer {
    fn new(downlink: &Downlink, uplink: &NaturalKey, now: At) -> Self {
        Self {
            downlink: downlink.clone(),
            uplink: uplink.to_string(),
            marker: format!("{ANSWERED}{uplink}"),
            expires_at: now.unix() + RETENTION_SECONDS,
        }
    }
}

#[cfg(test)]
mod tests;
