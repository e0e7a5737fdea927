//! What a run has measured: `measured` of `run.json`.

use std::collections::BTreeMap;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// What a run has measured. Counts are of messages: a session with a series is several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measured {
    /// Whether the fleet has lived its time.
    pub complete: bool,
    /// Seconds that it has sent for, without pauses between a kill and going on.
    pub seconds: f64,
    /// Uplinks given to the Sigfox cloud or to a modem.
    pub sent: u64,
    /// Of these, acknowledged: by the bridge, or 2xx to the Sigfox cloud.
    pub acknowledged: u64,
    /// Given up after all repetitions.
    pub given_up: u64,
    /// Datagrams and requests sent for them, repetitions included.
    pub attempts: u64,
    /// Of the attempts, lost on the way on purpose, there or back.
    pub lost: u64,
    /// Doubled on purpose.
    pub duplicated: u64,
    /// Delayed on purpose.
    pub reordered: u64,
    /// Answers that acknowledge nothing which was still waited for: of repetitions and of what was doubled, and others'.
    pub unexpected: u64,
    /// Answers of CoAP that refuse (4.xx) or put off (5.xx).
    pub refused: u64,
    /// Requests to the Sigfox callback, by status (0: no answer in time).
    pub callbacks: BTreeMap<u16, u64>,
    /// Milliseconds from the first sending to the acknowledgement, at quantiles 0.5, 0.9, 0.99, 0.999 and 1, of NB-IoT.
    /// Of a run that was gone on with, these and the ones below are of the time since then.
    pub nbiot_ack_ms: Option<[f64; 5]>,
    /// The same from a callback's request to its answer 2xx, of each request by itself.
    pub callback_ms: Option<[f64; 5]>,
    /// The same from sending to the item in the table of pulses, of a sample.
    pub to_pulses_ms: Option<[f64; 5]>,
    /// How many were sampled for that.
    pub to_pulses_samples: u64,
    /// Of these, not there within five minutes, or when the run ended.
    pub to_pulses_missed: u64,
    /// Highest rate of a second, in messages.
    pub peak_rate: f64,
    /// Most memory of the simulator, bytes.
    pub simulator_rss: u64,
    /// Seconds of processor time of the simulator, of the bridge, and of the local cloud with its functions; where they can be
    /// seen.
    pub cpu_seconds: BTreeMap<String, f64>,
    /// Most memory of the bridge and of the local cloud, bytes.
    pub rss: BTreeMap<String, u64>,
    /// The bridge's own counters (`/metrics`), what was added to them during the run.
    pub bridge: BTreeMap<String, f64>,
    /// Bytes on the wire, without heads of IP, UDP and TCP: of `datagrams`, of the `acknowledgements` that answer them (with CoAP's
    /// empty ones before them), of `uplinks` in the bodies of callbacks, and of `answers` to callbacks with their headers.
    pub traffic: BTreeMap<String, Volume>,
    /// Rates over time: of each second, messages sent and acknowledged, for charts.
    pub seconds_sent: Vec<u32>,
    /// See `seconds_sent`.
    pub seconds_acknowledged: Vec<u32>,
    /// Of a run against the stand-in, what was behind the bridge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<Burst>,
}

/// How many of something there were, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// How many.
    pub count: u64,
    /// Of all of them.
    pub bytes: u64,
}

/// A burst against the stand-in: what of it was durable, and how it drained.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Burst {
    /// Acknowledged messages.
    pub acknowledged: u64,
    /// Of these, in the stream, as their meters sent them.
    pub durable: u64,
    /// Of these, not there: what must never be.
    pub lost: u64,
    /// Never acknowledged, and in the stream nevertheless: the acknowledgement got lost.
    pub unacknowledged: u64,
    /// In the stream once more than needed.
    pub duplicates: u64,
    /// In the stream, and not as any meter sent it, or unreadable.
    pub strangers: u64,
    /// Distinct messages in the stream that were not stored behind it when it was empty.
    pub unstored: u64,
    /// Distinct messages that the function behind the stream has stored.
    pub stored: u64,
    /// Its invocations.
    pub invocations: u64,
    /// Write units that the table took for them, repeated writes included.
    pub units: u64,
    /// Write units a second that it had.
    pub drain: u32,
    /// Shards of the stream.
    pub shards: u16,
    /// Seconds from the first message sent to the last one stored.
    pub drained_after: f64,
    /// Each of them, the last one cut short.
    pub seconds: Vec<Second>,
}

/// A second of a burst, in messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// Sent for the first time.
    pub sent: u64,
    /// Acknowledged.
    pub acknowledged: u64,
    /// Put to the stream, repeated ones included.
    pub put: u64,
    /// Written to the table, repeated ones included.
    pub drained: u64,
    /// At its end: sent, and not acknowledged.
    pub in_bridge: u64,
    /// At its end: put to the stream, in records that the function behind it is not done with.
    pub in_stream: u64,
}

impl Volume {
    /// So many more, of so many bytes together.
    pub(crate) fn take(&mut self, count: usize, bytes: usize) {
        *self = *self + Self { count: count as u64, bytes: bytes as u64 };
    }

    /// Bytes of each; not a number of none.
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
    /// The most of any second.
    pub(crate) fn most(&self, of: fn(&Second) -> u64) -> u64 {
        self.seconds.iter().map(of).max().unwrap_or_default()
    }
}
