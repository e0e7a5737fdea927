//! Parses Sigfox callbacks of every kind, in any shape that the customer's template gives them.
//!
//! Two functions use this and must parse alike: the one that receives callbacks, and the one that fetches undelivered
//! callbacks.
//!
//! # Layout
//!
//! In the order in which a callback meets the modules:
//!
//! - `route`: the path of a callback, which names profile and kind.
//! - `body`: opens the body: byte order marks, JSON in a string, several objects.
//! - `repair`: makes JSON of what is almost JSON.
//! - [`variables`]: the names and values of a callback, from JSON, text, form and query.
//! - `value`, `number`: one rule for each type of value.
//! - [`error`]: why a body or a variable cannot be parsed.
//! - `names`: the names that templates give to variables.
//! - `pieces`: the messages of a body that has several.
//! - `lines`: the messages of a batch, one per line.
//! - `uplink`: builds the uplink.
//! - `event`: builds the device event.

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

mod body;
pub mod error;
mod event;
mod lines;
mod names;
mod number;
mod pieces;
mod repair;
mod route;
#[cfg(test)]
mod tests;
mod uplink;
mod value;
pub mod variables;

use body::Body;
use error::VariableError;
pub use route::{Route, RouteError};
use variables::Variables;

/// The kind of a callback: the last segment of its URL. The type and subtype below are the codes of Sigfox's API v2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallbackKind {
    /// DATA, UPLINK: a message (<https://support.sigfox.com/docs/uplink>).
    Uplink,
    /// DATA, BIDIR: a message that may ask for a downlink (<https://support.sigfox.com/docs/bidir>).
    Bidir,
    /// SERVICE, STATUS: battery and temperature, sent by the device's own stack. Ends in April 2027.
    Status,
    /// SERVICE, GEOLOC: a computed position. Superseded by `DataAdvanced`, but old configurations still send it.
    Geoloc,
    /// SERVICE, ACKNOWLEDGE: the outcome of a downlink (<https://support.sigfox.com/docs/acknowledge>).
    Acknowledge,
    /// SERVICE, REPEATER: the state of a repeater (<https://support.sigfox.com/docs/repeater>).
    Repeater,
    /// SERVICE, `DATA_ADVANCED`: the message again, half a minute later, with all receiving stations and the position
    /// (<https://support.sigfox.com/docs/data-advanced>).
    DataAdvanced,
    /// ERROR: the network has received nothing from a device for too long
    /// (<https://support.sigfox.com/docs/error-callback>).
    Error,
    /// EVENT: for example a sequence break (<https://support.sigfox.com/docs/event-type>).
    Event,
}

/// The text is not a callback kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no kind of callback")]
pub struct UnknownKind(String);

/// The content of a callback. Of two values with the same name, the one in the earlier part counts.
#[derive(Debug, Clone, Default)]
pub struct Content<'a> {
    /// The body: JSON, a form, or the lines of a batch.
    pub body: &'a [u8],
    /// The query of its URL, without the question mark.
    pub query: &'a str,
    /// Names and values from other sources.
    pub extra: Vec<(String, String)>,
}

/// The parsed content of a callback.
#[derive(Debug, Default)]
pub struct Messages {
    /// Uplinks.
    pub uplinks: Vec<Uplink>,
    /// Device events.
    pub events: Vec<DeviceEvent>,
    /// The downlink requests among the uplinks.
    pub downlink_requests: Vec<DownlinkRequest>,
    /// Pieces that could not be parsed.
    pub unreadable: Vec<Quarantined>,
}

/// A device's request for a downlink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownlinkRequest {
    /// The device ID as spelled in the callback; the response must repeat it.
    pub device: String,
    /// The uplink that requests the downlink.
    pub uplink: NaturalKey,
}

/// Why a callback, or one of its lines, is neither an uplink nor an event. It is quarantined with this reason.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// A variable is missing or invalid.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// `time` is out of range.
    #[error("the variable time: {0}")]
    Time(#[from] AtError),
    /// The time is a date, and another time is there too.
    #[error("the variable time is a date, and there is another time; keep only Sigfox's {{time}}")]
    TwoTimes,
    /// `data` is not a valid payload.
    #[error("the variable data: {0}; send Sigfox's {{data}} unchanged")]
    Data(#[from] UplinkError),
    /// The callback has Sigfox's decoding of the payload, but not the payload itself, so no codec could decode it
    /// later.
    #[error("there is customData but no data; add {{data}} to the template")]
    OnlyCustomData,
    /// Rejected, because an uplink without bytes would replace the same uplink from another callback.
    #[error("there is no data; add {{data}} to the template")]
    NoData,
    /// The event cannot be stored.
    #[error(transparent)]
    Event(#[from] EventError),
    /// A line of a batch does not fit the profile's pattern.
    #[error("the line does not fit the profile's pattern {0}")]
    Line(&'static str),
}

impl CallbackError {
    /// The same message for the log, without any content of the callback.
    fn without_quotes(&self) -> String {
        match self {
            Self::Variable(reason) => reason.without_quotes(),
            other => other.to_string(),
        }
    }
}

impl CallbackKind {
    /// All kinds.
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

/// Parses a callback. Returns all of its content; what cannot be parsed is in `unreadable`, with `stage` as its stage.
pub fn read(stage: &'static str, kind: CallbackKind, profile: &'static Profile, content: &Content<'_>) -> Messages {
    let mut messages = Messages::default();
    let whole = |reason: CallbackError| {
        let whole = Quarantined::new(stage, &reason, content.body).logged_as(reason.without_quotes());
        whole.under(profile.name).of_callback(kind.name(), content.query)
    };
    let opened =
        Body::open(content.body).and_then(|body| Ok((Variables::read(&body, content, &profile.callbacks)?, body)));
    let (variables, body) = match opened {
        Ok(opened) => opened,
        Err(reason) => {
            messages.unreadable.push(whole(reason.into()));
            return messages;
        }
    };
    pieces::read_each(stage, kind, profile, pieces::of(kind, profile, content, &body, &variables), &mut messages);
    // Without a single good message this is not a batch, but may be another callback that looks like one.
    if messages.uplinks.is_empty() && messages.events.is_empty() {
        let first = messages.unreadable.drain(..).next().filter(|_| matches!(body, Body::Objects(_)));
        if let Err(reason) = messages.take(kind, profile, &variables) {
            messages.unreadable.push(first.map_or_else(|| whole(reason), |first| first.holding(content.body)));
        }
    }
    messages
}

impl Messages {
    /// Adds the content of one message.
    fn take(&mut self, kind: CallbackKind, profile: &Profile, variables: &Variables) -> Result<(), CallbackError> {
        match kind {
            CallbackKind::Uplink | CallbackKind::Bidir => {
                let uplink = uplink::of(kind, variables, profile)?;
                if kind == CallbackKind::Bidir && uplink::requests_downlink(variables) {
                    let device = variables.text("device").unwrap_or_default().to_owned();
                    self.downlink_requests.push(DownlinkRequest { device, uplink: uplink.key() });
                }
                self.uplinks.push(uplink);
            }
            CallbackKind::DataAdvanced => {
                // Both or neither: a quarantined callback must not be stored in part.
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

/// Makes everything durable: sends uplinks and events to the next stage, in as few messages as possible, and unreadable
/// pieces to quarantine. `given_back` is zero if and only if everything is durable; otherwise the whole callback must
/// be repeated, which is idempotent.
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
    // Quarantine nothing now if the callback will be repeated: the repetition contains the unreadable pieces again.
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
        erased: 0,
    }
}
