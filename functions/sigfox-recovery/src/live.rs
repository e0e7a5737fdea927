//! The way of the live callbacks: read as they are, and sent where they are sent.

use std::fmt;
use std::str::FromStr;

use shared::envelope;
use shared::ports::Queue;
use shared::profile::Profile;
use shared::quarantine::Quarantined;
use shared::telemetry::Counts;
use shared::uplink::Uplink;
use sigfox_callback::uplink::{Unreadable, from_variables};
use sigfox_callback::variables::Variables;
use tokio::time::Instant;

/// What a callback tells: the last segment of its URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackKind {
    /// DATA, UPLINK.
    Uplink,
}

/// What a callback said, in whichever of its parts.
#[derive(Debug)]
pub struct Content<'a> {
    /// The body.
    pub body: &'a [u8],
    /// The query of its URL.
    pub query: &'a str,
    /// Names and values that came some other way.
    pub also: Vec<(String, String)>,
}

/// What a callback held.
#[derive(Debug, Default)]
pub struct Messages {
    /// Uplinks.
    pub uplinks: Vec<Uplink>,
    /// What could not be read.
    pub unreadable: Vec<Quarantined>,
}

impl FromStr for CallbackKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "uplink" { Ok(Self::Uplink) } else { Err(()) }
    }
}

impl fmt::Display for CallbackKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("uplink")
    }
}

/// Reads a callback.
pub fn read(stage: &'static str, _: CallbackKind, profile: &Profile, content: &Content<'_>) -> Messages {
    let variables = Variables::from_json(content.body).map_err(Unreadable::from);
    match variables.and_then(|variables| from_variables(&variables, profile)) {
        Ok(uplink) => Messages { uplinks: vec![uplink], unreadable: Vec::new() },
        Err(reason) => {
            let record = Quarantined::new(stage, &reason, content.body).under(profile.name);
            Messages { uplinks: Vec::new(), unreadable: vec![record] }
        }
    }
}

/// Enqueues what was read.
pub async fn enqueue(messages: &Messages, raw: &impl Queue, quarantine: &impl Queue, deadline: Instant) -> Counts {
    let packed = envelope::pack(&messages.uplinks);
    let (bodies, members): (Vec<_>, Vec<_>) = packed.into_iter().map(|m| (m.body, m.members)).unzip();
    let records: Vec<String> = messages.unreadable.iter().map(Quarantined::to_message).collect();
    let (unsent, unquarantined) = tokio::join!(raw.send(&bodies, deadline), quarantine.send(&records, deadline));
    let unsent = unsent.iter().map(|&message| members[message].len()).sum::<usize>();
    Counts {
        received: messages.uplinks.len() + records.len(),
        stored: messages.uplinks.len() - unsent,
        quarantined: records.len() - unquarantined.len(),
        given_back: unsent + unquarantined.len(),
        refused: 0,
    }
}
