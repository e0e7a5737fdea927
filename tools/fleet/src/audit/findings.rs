//! Result of an audit: the content of `audit.json`.

use std::collections::BTreeMap;

use pulsegate_aws::items::{Item, item_size};
use pulsegate_model::device::Network;
use pulsegate_pipeline::ports::Waiting;
use serde::{Deserialize, Serialize};

/// Of what there may be millions of, so many are named.
pub(super) const MOST_NAMED: usize = 20;

/// What an audit has found. In the directory of a run as `audit.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// When it was done: RFC 3339.
    pub at: String,
    /// The runs that it was done of, by the names of their directories.
    pub runs: Vec<String>,
    /// Whether all is accounted for.
    pub ok: bool,
    /// If not, why not.
    pub wrong: Vec<String>,
    /// Counts, by network: `sigfox`, `nbiot`.
    pub networks: BTreeMap<String, NetworkCounts>,
    /// Meters whose points were compared with what they counted.
    pub meters: Meters,
    /// Items of the fleets' own devices that no session has sent, and some of them.
    pub strange: UnexpectedItems,
    /// Items of other devices; whatever they are, they are not of these runs.
    pub foreign: u64,
    /// How large items are, by network.
    pub sizes: BTreeMap<String, Sizes>,
    /// What was in the queues in the end, by their names.
    pub queues: BTreeMap<String, Waiting>,
    /// Records in quarantine that nobody can tell the uplink of.
    pub quarantined_unknown: u64,
    /// What was not looked at.
    pub not_looked_at: Vec<String>,
}

/// How large items are, as the tables count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// Of raw items.
    pub raw: Size,
    /// Of pulse items.
    pub pulses: Size,
    /// Bytes of the same uplinks in messages of the queues, without what is around them.
    pub message_bytes: u64,
}

/// Items of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// How many were looked at.
    pub items: u64,
    /// Their bytes, names of attributes included.
    pub bytes: u64,
    /// Write units: of each, one for each 1,024 bytes begun.
    pub units: u64,
}

impl Sizes {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.raw.add(&other.raw);
        self.pulses.add(&other.pulses);
        self.message_bytes += other.message_bytes;
    }
}

impl Size {
    fn add(&mut self, other: &Self) {
        self.items += other.items;
        self.bytes += other.bytes;
        self.units += other.units;
    }

    pub(super) fn take(&mut self, item: &Item) {
        let bytes = item_size(item);
        self.items += 1;
        self.bytes += bytes as u64;
        self.units += bytes.div_ceil(1_024) as u64;
    }
}

/// Counts of messages. One of a series is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkCounts {
    /// Given to a network.
    pub sent: u64,
    /// Of these, in sessions of which every message was acknowledged.
    pub acknowledged: u64,
    /// Given up by the meter or by the Sigfox cloud, or not acknowledged by the end of the run.
    pub given_up: u64,
    /// Of those, in the table of pulses all the same: only the acknowledgement was lost.
    pub given_up_stored: u64,
    /// In the raw table, to the byte.
    pub raw: u64,
    /// In the table of pulses.
    pub pulses: u64,
    /// In quarantine.
    pub quarantined: u64,
    /// Among dead letters.
    pub dead_letters: u64,
    /// Stored, but not as sent.
    pub altered: u64,
    /// Stored, and not noted as sent: the simulator was killed in between.
    pub unnoted: u64,
    /// Acknowledged or stored raw, and not in the table of pulses; or the other way round.
    pub lost: u64,
}

/// Meters, by how their points compare with what they counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meters {
    /// Every point and the total.
    pub right: u64,
    /// Not.
    pub wrong: u64,
    /// Not to be compared: part of a session is missing.
    pub in_part: u64,
    /// Some of those that are wrong.
    pub examples: Vec<String>,
}

/// What nobody has sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnexpectedItems {
    /// How many.
    pub items: u64,
    /// Some of them.
    pub examples: Vec<String>,
}

impl UnexpectedItems {
    pub(super) fn take(&mut self, what: String) {
        self.items += 1;
        if self.examples.len() < MOST_NAMED {
            self.examples.push(what);
        }
    }
}

impl Meters {
    /// Adds others.
    pub(super) fn add(&mut self, other: &Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.in_part += other.in_part;
        let room = MOST_NAMED.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.iter().take(room).cloned());
    }
}

impl NetworkCounts {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        self.given_up += other.given_up;
        self.given_up_stored += other.given_up_stored;
        self.raw += other.raw;
        self.pulses += other.pulses;
        self.quarantined += other.quarantined;
        self.dead_letters += other.dead_letters;
        self.altered += other.altered;
        self.unnoted += other.unnoted;
        self.lost += other.lost;
    }
}

/// The name of a network in counts.
pub(super) fn networks() -> [String; 2] {
    [Network::Sigfox, Network::Nbiot].map(|network| network.to_string())
}
