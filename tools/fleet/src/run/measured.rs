//! Measurements of a run: the field `measured` of `run.json`.

use std::collections::BTreeMap;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// Measurements of a run. Counts are of messages: a session with a series counts as several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measured {
    /// True if the run has reached its end.
    pub complete: bool,
    /// Duration of the run in seconds, without the pauses between a kill and `--resume`.
    pub seconds: f64,
    /// Uplinks handed to the Sigfox cloud or to a modem.
    pub sent: u64,
    /// Of these, acknowledged: by the bridge, or 2xx to the Sigfox cloud.
    pub acknowledged: u64,
    /// Given up after the last repetition.
    pub given_up: u64,
    /// Datagrams and requests sent for them, repetitions included.
    pub attempts: u64,
    /// Of the attempts, those whose request or answer was dropped on purpose.
    pub lost: u64,
    /// Sent twice on purpose.
    pub duplicated: u64,
    /// Delayed on purpose.
    pub reordered: u64,
    /// Of the delayed ones, those that arrive after the fleet's last hour.
    pub late: u64,
    /// Answers that match no outstanding message: to repetitions, to duplicates, or foreign.
    pub unexpected: u64,
    /// CoAP errors: 4.xx (rejected) and 5.xx (try later).
    pub refused: u64,
    /// Requests to the Sigfox callback, by status (0: no answer in time).
    pub callbacks: BTreeMap<u16, u64>,
    /// NB-IoT: milliseconds from the first transmission to the acknowledgement, at quantiles 0.5, 0.9, 0.99, 0.999, 1.
    /// After `--resume`, this and the latencies below cover the time since then.
    pub nbiot_ack_ms: Option<[f64; 5]>,
    /// The same from a callback's request to its answer 2xx, for each request.
    pub callback_ms: Option<[f64; 5]>,
    /// The same from transmission to the item in the pulses table, of a sample.
    pub to_pulses_ms: Option<[f64; 5]>,
    /// Size of that sample.
    pub to_pulses_samples: u64,
    /// Samples that were not found within five minutes, or by the end of the run.
    pub to_pulses_missed: u64,
    /// Most messages in a second.
    pub peak_rate: f64,
    /// Peak memory of the load generator, bytes.
    pub simulator_rss: u64,
    /// Seconds of processor time of the load generator, of the bridge, and of the local cloud with its functions; only
    /// of processes that run on this machine.
    pub cpu_seconds: BTreeMap<String, f64>,
    /// Peak memory of the bridge and of the local cloud, bytes.
    pub rss: BTreeMap<String, u64>,
    /// Increases of the bridge's counters (`/metrics`) during the run.
    pub bridge: BTreeMap<String, f64>,
    /// Bytes on the wire, without IP, UDP and TCP headers: of `datagrams`, of their `acknowledgements` (including
    /// CoAP's empty ones), of `uplinks` in callback bodies, and of `answers` to callbacks with their headers.
    pub traffic: BTreeMap<String, Volume>,
    /// Messages sent in each second, for charts.
    pub seconds_sent: Vec<u32>,
    /// Messages acknowledged in each second.
    pub seconds_acknowledged: Vec<u32>,
    /// Results behind the bridge, for a run against the stand-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<Burst>,
}

/// Number and total bytes of messages of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Number.
    pub count: u64,
    /// Total bytes.
    pub bytes: u64,
}

/// Results of a burst against the stand-in: durability and drain.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Burst {
    /// Acknowledged messages.
    pub acknowledged: u64,
    /// Of these, found in the stream as their meters sent them.
    pub durable: u64,
    /// Of these, missing from the stream. Must be 0.
    pub lost: u64,
    /// Found in the stream, but never acknowledged: the acknowledgement was lost.
    pub unacknowledged: u64,
    /// Redundant copies in the stream.
    pub duplicates: u64,
    /// Pieces of the stream that no meter has sent, or that are unreadable.
    pub strangers: u64,
    /// Distinct messages of the stream that were not stored by the time the stream was drained.
    pub unstored: u64,
    /// Distinct messages that the function on the stream has stored.
    pub stored: u64,
    /// Its invocations.
    pub invocations: u64,
    /// Objects that it has put into the archive.
    pub objects: u64,
    /// Bytes of these.
    pub object_bytes: u64,
    /// Shards of the stream.
    pub shards: u16,
    /// Seconds from the first message sent to the last one stored.
    pub drained_after: f64,
    /// Counts of each second; the last one may be shorter.
    pub seconds: Vec<Second>,
}

/// A second of a burst, in messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// Sent for the first time.
    pub sent: u64,
    /// Acknowledged.
    pub acknowledged: u64,
    /// Put to the stream, repetitions included.
    pub put: u64,
    /// Rows written to the archive, repetitions in other objects included.
    pub drained: u64,
    /// Sent and not acknowledged at the end of the second.
    pub in_bridge: u64,
    /// Put to the stream and not yet processed by the function at the end of the second.
    pub in_stream: u64,
}

impl Volume {
    /// Adds `count` messages with `bytes` in total.
    pub(crate) fn take(&mut self, count: usize, bytes: usize) {
        *self = *self + Self { count: count as u64, bytes: bytes as u64 };
    }

    /// Mean bytes; NaN if there are none.
    #[expect(clippy::cast_precision_loss, reason = "what passes in a run is far below 2^53")]
    pub fn mean(self) -> f64 {
        self.bytes as f64 / self.count as f64
    }
}

impl Add for Volume {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { count: self.count + other.count, bytes: self.bytes + other.bytes }
    }
}

impl Burst {
    /// Maximum of a count over all seconds.
    pub(crate) fn most(&self, of: fn(&Second) -> u64) -> u64 {
        self.seconds.iter().map(of).max().unwrap_or_default()
    }
}
