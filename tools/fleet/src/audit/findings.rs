//! Result of an audit: the content of `audit.json`.

use std::collections::BTreeMap;

use pulsegate_aws::items::{Item, item_size};
use pulsegate_model::device::Network;
use pulsegate_pipeline::ports::Waiting;
use serde::{Deserialize, Serialize};

/// Examples that are listed: there may be millions of items.
pub(super) const MOST_NAMED: usize = 20;

/// Result of an audit. Written as `audit.json` into the directory of each run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// Time of the audit: RFC 3339.
    pub at: String,
    /// Audited runs, by the names of their directories.
    pub runs: Vec<String>,
    /// True if all is accounted for.
    pub ok: bool,
    /// Reasons why not.
    pub wrong: Vec<String>,
    /// Counts, by network: `sigfox`, `nbiot`.
    pub networks: BTreeMap<String, NetworkCounts>,
    /// Comparison of the points of meters with what they counted.
    pub meters: Meters,
    /// Comparison of consumption and ledger with what meters have counted and what was lost, if it was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumption: Option<ConsumptionFindings>,
    /// Items of the fleets' devices that no session has sent.
    pub strange: UnexpectedItems,
    /// Items of other devices, which do not belong to these runs.
    pub foreign: u64,
    /// The sources of the audit.
    #[serde(default)]
    pub sources: Sources,
    /// Sizes of uplinks and items, by network.
    pub sizes: BTreeMap<String, Sizes>,
    /// Depths of the queues at the end, by name.
    pub queues: BTreeMap<String, Waiting>,
    /// Records in quarantine whose uplink is unknown.
    pub quarantined_unknown: u64,
    /// What the audit has not examined.
    pub not_looked_at: Vec<String>,
}

/// The sources of the audit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// Objects in the archive's `new/`.
    pub objects: u64,
    /// Their bytes.
    pub object_bytes: u64,
    /// Files of the archive.
    pub files: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// Distinct rows in both.
    pub rows: u64,
    /// True if pulses were read from a table; false if they were decoded from the archive.
    pub pulses_table: bool,
}

/// Sizes of uplinks and items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sizes {
    /// Uplinks in the archive.
    pub uplinks: u64,
    /// Their bytes in queue messages, without the envelope.
    pub message_bytes: u64,
    /// Pulse items, as DynamoDB counts them.
    pub pulses: Size,
}

/// Items of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Number of items.
    pub items: u64,
    /// Bytes, attribute names included.
    pub bytes: u64,
    /// Write units: one per item and started 1,024 bytes.
    pub units: u64,
}

impl Sizes {
    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.uplinks += other.uplinks;
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

/// Counts of messages. Each message of a series counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkCounts {
    /// Handed to the network.
    pub sent: u64,
    /// Of these, in fully acknowledged sessions.
    pub acknowledged: u64,
    /// Given up by the meter or by the Sigfox cloud, or not acknowledged by the end of the run.
    pub given_up: u64,
    /// Of those, stored as pulses: only the acknowledgement was lost.
    pub given_up_stored: u64,
    /// In the archive, to the byte.
    pub raw: u64,
    /// In the pulses table. Without one: in the archive, and read by its codec.
    pub pulses: u64,
    /// In quarantine.
    pub quarantined: u64,
    /// Among dead letters.
    pub dead_letters: u64,
    /// Stored, but not as sent.
    pub altered: u64,
    /// Stored, but not recorded as sent: the load generator was killed in between.
    pub unnoted: u64,
    /// Acknowledged or stored, and not both raw and as pulses.
    pub lost: u64,
}

/// Numbers of meters, by the comparison of their points with what they counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meters {
    /// Every point and the total match.
    pub right: u64,
    /// Some point or the total differs.
    pub wrong: u64,
    /// Not comparable: part of a session is missing.
    pub in_part: u64,
    /// Examples of wrong meters.
    pub examples: Vec<String>,
}

/// Comparison of consumption and ledger with what meters have counted and what was lost on purpose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsumptionFindings {
    /// Meters that are right in every hour, day and column of the ledger.
    pub right: u64,
    /// Meters that are not.
    pub wrong: u64,
    /// Meters without a comparison: part of a session is missing, or the arrival dates their uplinks.
    pub skipped: u64,
    /// Channels that were compared.
    pub channels: u64,
    /// Days of channels that were compared.
    pub days: u64,
    /// Rows of days in the archive that were compared; none if the daily pass has not run.
    pub stored_days: u64,
    /// Hours of channels that were compared, by their quality.
    pub hours: BTreeMap<String, u64>,
    /// Uplinks whose loss the ledger proves: those lost on purpose between two that have arrived.
    pub lost: u64,
    /// Those of them whose readings other uplinks have, by the ledger.
    pub covered: u64,
    /// Meters or channels with each fault.
    pub happened: BTreeMap<String, u64>,
    /// Faults that were to happen, and have not.
    pub not_happened: Vec<String>,
    /// Examples of wrong meters, with the first difference.
    pub examples: Vec<String>,
}

/// Items that no session has sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnexpectedItems {
    /// Number.
    pub items: u64,
    /// Examples.
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
    /// Adds another.
    pub(super) fn add(&mut self, other: &Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.in_part += other.in_part;
        let room = MOST_NAMED.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.iter().take(room).cloned());
    }
}

impl NetworkCounts {
    /// Adds another.
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

/// Names of the networks, as in `Audit::networks`.
pub(super) fn networks() -> [String; 2] {
    [Network::Sigfox, Network::Nbiot].map(|network| network.to_string())
}
