//! The directory of a run: `run.json` (the spec, how it was sent, and what was measured) and `sessions` (two bits of each
//! session: sent, acknowledged). A run that was killed is gone on with from here, and the audit begins here.
//!
//! `sessions` is written every few seconds, so what a kill takes with it is sent once more: the same bytes under the same keys.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::ops::Add;
use std::path::Path;

use fixedbitset::FixedBitSet;
use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::spec::Spec;

/// What `run.json` holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// The fleet.
    pub spec: Spec,
    /// How it was sent: the options of the simulator that are not the fleet's, by name, for the report.
    pub options: serde_json::Map<String, serde_json::Value>,
    /// What has been measured so far; renewed as the run goes on.
    pub measured: Measured,
}

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
    /// Bytes on the wire, without heads of IP, UDP and TCP: of `datagrams`, of the `acknowledgements` that answer them, of `uplinks` in the
    /// bodies of callbacks, and of `answers` to callbacks with their headers.
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

/// Two bits of each session, and how far the fleet has come.
#[derive(Debug)]
pub struct Sessions {
    /// As of these bits.
    pub progress: Progress,
    devices: usize,
    sent: Vec<FixedBitSet>,
    acknowledged: Vec<FixedBitSet>,
}

/// How far a fleet has come: what is written with the bits, so that both are of the same moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Virtual milliseconds since the fleet's start.
    pub virtual_ms: u64,
    /// Uplinks of the sessions that were sent.
    pub sent: u64,
    /// Uplinks of the sessions of which all were acknowledged.
    pub acknowledged: u64,
}

/// What the file begins with. The last digit is its version.
const MAGIC: &[u8; 8] = b"sessns 1";
const SESSIONS: &str = "sessions";
const RUN: &str = "run.json";
const WORD: usize = size_of::<u64>();

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

impl Sessions {
    /// None sent.
    pub fn new(devices: u32, hours: u32) -> Self {
        let (devices, hours) = (devices as usize, hours as usize);
        let none = || vec![FixedBitSet::with_capacity(devices); hours];
        Self { progress: Progress::default(), devices, sent: none(), acknowledged: none() }
    }

    /// Whether the session was given to the network.
    pub fn is_sent(&self, meter: u32, hour: u32) -> bool {
        self.sent[hour as usize].contains(meter as usize)
    }

    /// Whether all its uplinks were acknowledged.
    pub fn is_acknowledged(&self, meter: u32, hour: u32) -> bool {
        self.acknowledged[hour as usize].contains(meter as usize)
    }

    /// It is given to the network now.
    pub fn send(&mut self, meter: u32, hour: u32) {
        self.sent[hour as usize].insert(meter as usize);
    }

    /// All its uplinks are acknowledged.
    pub fn acknowledge(&mut self, meter: u32, hour: u32) {
        self.acknowledged[hour as usize].insert(meter as usize);
    }

    /// How many meters each hour has.
    pub fn devices(&self) -> usize {
        self.devices
    }

    /// How many were sent.
    pub fn sent(&self) -> u64 {
        self.sent.iter().map(|hour| hour.count_ones(..) as u64).sum()
    }

    /// How many were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.iter().map(|hour| hour.count_ones(..) as u64).sum()
    }

    /// Reads them; none sent if there is no file.
    ///
    /// # Errors
    /// [`Problem`] if the file is not of such a fleet.
    pub fn read(directory: &Path, devices: u32, hours: u32) -> Result<Self, Problem> {
        let file = directory.join(SESSIONS);
        let bytes = match std::fs::read(&file) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::new(devices, hours)),
            read => read.map_err(|e| Problem::File(file.display().to_string(), e))?,
        };
        Self::from_bytes(&bytes, devices, hours).ok_or_else(|| {
            Problem::Wrong(format!(
                "{} does not hold the sessions of {devices} meters over {hours} hours; it belongs to another run, or is \
                 damaged",
                file.display()
            ))
        })
    }

    /// Writes them, whole or not at all.
    ///
    /// # Errors
    /// [`Problem::File`].
    pub fn write(&self, directory: &Path) -> Result<(), Problem> {
        write_whole(&directory.join(SESSIONS), &self.to_bytes())
    }

    /// ```text
    ///  0          8             16          24               32         40                  48
    /// +----------+-------------+-----------+----------------+----------+-------------------+-------------------+------
    /// | sessns 1 | devices u64 | hours u64 | virtual ms u64 | sent u64 | acknowledged u64  | sent, hour 0 ...  | acknowledged ...
    /// +----------+-------------+-----------+----------------+----------+-------------------+-------------------+------
    /// ```
    /// Little-endian; of each hour one bit for each meter, filled up to words of 64.
    fn to_bytes(&self) -> Vec<u8> {
        let Progress { virtual_ms, sent, acknowledged } = self.progress;
        let head = [self.devices as u64, self.sent.len() as u64, virtual_ms, sent, acknowledged];
        let mut bytes = Vec::with_capacity(MAGIC.len() + WORD * (head.len() + 2 * self.sent.len() * self.words()));
        bytes.extend_from_slice(MAGIC);
        bytes.extend(head.iter().flat_map(|word| word.to_le_bytes()));
        for hour in self.sent.iter().chain(&self.acknowledged) {
            let words = hour.as_slice().iter().copied().chain(std::iter::repeat(0)).take(self.words());
            bytes.extend(words.flat_map(|word| (word as u64).to_le_bytes()));
        }
        bytes
    }

    fn from_bytes(bytes: &[u8], devices: u32, hours: u32) -> Option<Self> {
        let (words, []) = bytes.strip_prefix(MAGIC)?.as_chunks::<WORD>() else { return None };
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let mut all = Self::new(devices, hours);
        if (words.next()?, words.next()?) != (u64::from(devices), u64::from(hours)) {
            return None;
        }
        all.progress = Progress { virtual_ms: words.next()?, sent: words.next()?, acknowledged: words.next()? };
        let (devices, per_hour) = (all.devices, all.words());
        for hour in all.sent.iter_mut().chain(&mut all.acknowledged) {
            let blocks: Option<Vec<usize>> =
                (0..per_hour).map(|_| words.next().and_then(|word| usize::try_from(word).ok())).collect();
            *hour = FixedBitSet::with_capacity_and_blocks(devices, blocks?);
        }
        words.next().is_none().then_some(all)
    }

    fn words(&self) -> usize {
        self.devices.div_ceil(u64::BITS as usize)
    }
}

impl Run {
    /// Whether there is a run in a directory.
    pub fn is_in(directory: &Path) -> bool {
        directory.join(RUN).exists()
    }

    /// Reads `run.json`.
    ///
    /// # Errors
    /// [`Problem`], naming the file.
    pub fn read(directory: &Path) -> Result<Self, Problem> {
        let file = directory.join(RUN);
        let bytes = std::fs::read(&file).map_err(|e| Problem::File(file.display().to_string(), e))?;
        serde_json::from_slice(&bytes)
            .map_err(|e| Problem::Wrong(format!("{} is not what a run writes: {e}", file.display())))
    }

    /// Writes `run.json`, whole or not at all.
    ///
    /// # Errors
    /// [`Problem::File`].
    pub fn write(&self, directory: &Path) -> Result<(), Problem> {
        let file = directory.join(RUN);
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|e| Problem::Wrong(format!("{} cannot be written: {e}", file.display())))?;
        bytes.push(b'\n');
        write_whole(&file, &bytes)
    }
}

/// Under another name first, so that who is killed meanwhile leaves the file as it was. Not synced: it is the process that is killed,
/// not the machine, and the fleet must not wait for a disk.
fn write_whole(file: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let new = file.with_extension("new");
    let write = || {
        let mut new_file = std::fs::File::create(&new)?;
        new_file.write_all(bytes)?;
        std::fs::rename(&new, file)
    };
    write().map_err(|e| Problem::File(file.display().to_string(), e))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_sessions_are_read_back_as_they_were_written(
            devices in 1_u32..300,
            hours in 1_u32..4,
            which in prop::collection::vec((any::<u32>(), any::<u32>(), any::<bool>()), 0..50),
            progress: [u64; 3],
        ) {
            let mut sessions = Sessions::new(devices, hours);
            let [virtual_ms, sent, acknowledged] = progress;
            sessions.progress = Progress { virtual_ms, sent, acknowledged };
            for (meter, hour, acknowledged) in which {
                sessions.send(meter % devices, hour % hours);
                if acknowledged {
                    sessions.acknowledge(meter % devices, hour % hours);
                }
            }
            let read = Sessions::from_bytes(&sessions.to_bytes(), devices, hours).unwrap();
            prop_assert_eq!(read.progress, sessions.progress);
            prop_assert_eq!(&read.sent, &sessions.sent);
            prop_assert_eq!(&read.acknowledged, &sessions.acknowledged);
        }

        #[test]
        fn a_file_that_is_cut_short_or_of_another_fleet_is_refused(cut in 0_usize..200) {
            let bytes = Sessions::new(100, 3).to_bytes();
            prop_assume!(cut < bytes.len());
            prop_assert!(Sessions::from_bytes(&bytes[..cut], 100, 3).is_none());
            prop_assert!(Sessions::from_bytes(&bytes, 101, 3).is_none());
            prop_assert!(Sessions::from_bytes(&bytes, 100, 2).is_none());
        }
    }
}
