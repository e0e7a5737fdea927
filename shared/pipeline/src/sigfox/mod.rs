//! What Sigfox sends: callbacks of every kind, in whatever shape the customer's template gives them.
//!
//! Two parts read them, and must read them alike: the function that callbacks arrive at, and the one that fetches back
//! what never arrived.
//!
//! # Layout
//!
//! In the order in which a callback meets them:
//!
//! - [`variables`]: the names and values it carries, out of JSON, form and query.
//! - `lines`: the messages of a batch, one a line.
//! - `uplink`: the uplink they describe.
//! - `event`: what else the network says about a device.

use std::fmt;
use std::str::FromStr;

use pulsegate_model::at::AtError;
use pulsegate_model::envelope;
use pulsegate_model::envelope::Packed;
use pulsegate_model::event::{DeviceEvent, EventError};
use pulsegate_model::profile::Profile;
use pulsegate_model::quarantine::Quarantined;
use pulsegate_model::uplink::{NaturalKey, Uplink, UplinkError};
use tokio::time::Instant;

use crate::ports::Queue;
use crate::telemetry::OutcomeCounts;

mod event;
mod lines;
#[cfg(test)]
mod tests;
mod uplink;
pub mod variables;

use variables::{VariableError, Variables};

/// Bad lines of one batch that are quarantined each alone. What is beyond that is no batch with a bad line in it but
/// noise, and one record holds the rest.
const MAX_LINES_ALONE: usize = 100;

/// What a callback tells: the last segment of its URL. Sigfox's codes for type and subtype are those of its API v2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallbackKind {
    /// DATA, UPLINK: a message (<https://support.sigfox.com/docs/uplink>).
    Uplink,
    /// DATA, BIDIR: a message that may ask for a downlink (<https://support.sigfox.com/docs/bidir>).
    Bidir,
    /// SERVICE, STATUS: battery and temperature, sent by the device's own stack. To end in April 2027.
    Status,
    /// SERVICE, GEOLOC: a computed position. Superseded by `DataAdvanced`; old ones still call.
    Geoloc,
    /// SERVICE, ACKNOWLEDGE: what became of a downlink (<https://support.sigfox.com/docs/acknowledge>).
    Acknowledge,
    /// SERVICE, REPEATER: how a repeater fares (<https://support.sigfox.com/docs/repeater>).
    Repeater,
    /// SERVICE, `DATA_ADVANCED`: the message again, half a minute later, with all who received it and the position
    /// (<https://support.sigfox.com/docs/data-advanced>).
    DataAdvanced,
    /// ERROR: a device has not been heard for too long (<https://support.sigfox.com/docs/error-callback>).
    Error,
    /// EVENT: a sequence break and the like (<https://support.sigfox.com/docs/event-type>).
    Event,
}

/// No kind of callback.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no kind of callback")]
pub struct UnknownKind(String);

/// Everything a callback said, in whichever of its parts. What it means counts in this order.
#[derive(Debug, Clone, Default)]
pub struct Content<'a> {
    /// The body: JSON, a form, or the lines of a batch.
    pub body: &'a [u8],
    /// The query of its URL, without the question mark.
    pub query: &'a str,
    /// Names and values that came some other way.
    pub also: Vec<(String, String)>,
}

/// What a callback held.
#[derive(Debug, Default)]
pub struct Messages {
    /// Uplinks.
    pub uplinks: Vec<Uplink>,
    /// What else the network said.
    pub events: Vec<DeviceEvent>,
    /// Which of the uplinks want a downlink.
    pub asking: Vec<Asking>,
    /// What could not be read.
    pub unreadable: Vec<Quarantined>,
}

/// A device that waits for a downlink, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// Its ID as the callback spelled it, which the answer has to repeat.
    pub device: String,
    /// The uplink it asked with.
    pub uplink: NaturalKey,
}

/// Why a callback, or a line of one, is neither an uplink nor an event. It goes to quarantine with this reason.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// A variable is missing or not what it should be.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// `time` is out of range.
    #[error("the variable time: {0}")]
    Time(#[from] AtError),
    /// `data` is not an uplink's.
    #[error("the variable data: {0}")]
    Data(#[from] UplinkError),
    /// What Sigfox made of the payload, without the payload: nothing of ours could decode it later.
    #[error("there is customData but no data; add {{data}} to the template")]
    OnlyCustomData,
    /// Taken for an uplink without bytes, it would replace what another callback brought of the same uplink.
    #[error("there is no data; add {{data}} to the template")]
    NoData,
    /// No event that could be stored.
    #[error(transparent)]
    Event(#[from] EventError),
    /// A line of a batch that is not as the profile says.
    #[error("the line does not fit the profile's pattern {0}")]
    Line(&'static str),
}

impl CallbackError {
    /// The same for the log, with nothing of what was sent.
    fn without_quotes(&self) -> String {
        match self {
            Self::Variable(reason) => reason.without_quotes(),
            other => other.to_string(),
        }
    }
}

impl CallbackKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Uplink,
        Self::Bidir,
        Self::Status,
        Self::Geoloc,
        Self::Acknowledge,
        Self::Repeater,
        Self::DataAdvanced,
        Self::Error,
        Self::Event,
    ];

    /// Its name in a URL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uplink => "uplink",
            Self::Bidir => "bidir",
            Self::Status => "status",
            Self::Geoloc => "geoloc",
            Self::Acknowledge => "acknowledge",
            Self::Repeater => "repeater",
            Self::DataAdvanced => "data-advanced",
            Self::Error => "error",
            Self::Event => "event",
        }
    }
}

impl fmt::Display for CallbackKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CallbackKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let kind = Self::ALL.into_iter().find(|kind| kind.name() == text);
        kind.ok_or_else(|| UnknownKind(text.chars().take(40).collect()))
    }
}

/// Reads a callback. Whatever it holds comes out, if only as unreadable: `stage` is who says so in quarantine.
pub fn read(stage: &'static str, kind: CallbackKind, profile: &'static Profile, content: &Content<'_>) -> Messages {
    let mut messages = Messages::default();
    let whole = |reason: CallbackError| {
        let whole = Quarantined::new(stage, &reason, content.body).logged_as(reason.without_quotes());
        whole.under(profile.name).of_callback(kind.name(), content.query)
    };
    let variables = match Variables::read(content, &profile.callbacks) {
        Ok(variables) => variables,
        Err(reason) => {
            messages.unreadable.push(whole(reason.into()));
            return messages;
        }
    };
    for batch in lines::find(kind, profile, &variables, content.body) {
        read_lines(stage, kind, profile, &batch, &mut messages);
    }
    // Lines of which none is any good are no batch: it may be something else that looks like one.
    if messages.uplinks.is_empty() {
        messages.unreadable.clear();
        if let Err(reason) = messages.take(kind, profile, &variables) {
            messages.unreadable.push(whole(reason));
        }
    }
    messages
}

/// Each line by itself: a bad one leaves its neighbours as they are.
fn read_lines(
    stage: &'static str,
    kind: CallbackKind,
    profile: &'static Profile,
    batch: &lines::Batch<'_>,
    into: &mut Messages,
) {
    let quarantined = |reason: &CallbackError, text: &str| {
        let line = Quarantined::new(stage, reason, text.as_bytes()).logged_as(reason.without_quotes());
        line.under(profile.name).of_callback(kind.name(), "")
    };
    let mut rest: Option<(CallbackError, String)> = None;
    for line in batch.lines() {
        let values = batch.pattern.values(line).ok_or(CallbackError::Line(batch.pattern.text()));
        let taken = values.and_then(|values| into.take(kind, profile, &Variables::of_line(values, &profile.callbacks)));
        match (taken, &mut rest) {
            (Ok(()), _) => {}
            (Err(reason), _) if into.unreadable.len() < MAX_LINES_ALONE => {
                into.unreadable.push(quarantined(&reason, line));
            }
            (Err(_), Some((_, rest))) => {
                rest.push('\n');
                rest.push_str(line);
            }
            (Err(reason), None) => rest = Some((reason, line.to_owned())),
        }
    }
    into.unreadable.extend(rest.map(|(reason, lines)| quarantined(&reason, &lines)));
}

impl Messages {
    /// Takes what the variables of one message say.
    fn take(&mut self, kind: CallbackKind, profile: &Profile, variables: &Variables) -> Result<(), CallbackError> {
        match kind {
            CallbackKind::Uplink | CallbackKind::Bidir => {
                let uplink = uplink::of(kind, variables, profile)?;
                if kind == CallbackKind::Bidir && uplink::asks(variables) {
                    let device = variables.text("device").unwrap_or_default().to_owned();
                    self.asking.push(Asking { device, uplink: uplink.key() });
                }
                self.uplinks.push(uplink);
            }
            CallbackKind::DataAdvanced => {
                // Both or neither: what is quarantined must not have been taken in part.
                let event = event::of(kind, variables, profile)?;
                if variables.mentions("data") {
                    self.uplinks.push(uplink::of(kind, variables, profile)?);
                }
                self.events.push(event);
            }
            _ => self.events.push(event::of(kind, variables, profile)?),
        }
        Ok(())
    }
}

/// Makes everything durable: what could be read in as few messages as hold it, for the next stage, and what could not in
/// quarantine. Nothing is `given_back` if and only if all of it is; else the whole of it has to come again, to the same
/// effect.
pub async fn enqueue(
    messages: &Messages,
    raw: &impl Queue,
    quarantine: &impl Queue,
    deadline: Instant,
) -> OutcomeCounts {
    let packed = envelope::pack(&messages.uplinks).into_iter().chain(envelope::pack_events(&messages.events));
    let (bodies, members): (Vec<String>, Vec<_>) = packed.map(|Packed { body, members }| (body, members)).unzip();
    let refused: usize = raw.send(&bodies, deadline).await.iter().map(|&message| members[message].len()).sum();

    let readable = messages.uplinks.len() + messages.events.len();
    let unreadable = messages.unreadable.len();
    // If the callback comes again, so does what is to be quarantined: once is enough.
    let unquarantined = if refused > 0 {
        unreadable
    } else {
        crate::quarantine::send(quarantine, &messages.unreadable, deadline).await.len()
    };
    OutcomeCounts {
        received: readable + unreadable,
        stored: readable - refused,
        quarantined: unreadable - unquarantined,
        given_back: refused + unquarantined,
        refused: 0,
    }
}
