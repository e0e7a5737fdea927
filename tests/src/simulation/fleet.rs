//! The messages of a run, all from the seed, and the expected result. Unlike the meters of `test_kit`, these also send frames that
//! no codec knows, histories of any length, and invalid messages, which is what the simulation is about.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use pulsegate_model::aggregate::StreamRecord;
use pulsegate_model::at::At;
use pulsegate_model::event::DeviceEvent;
use pulsegate_model::pulse;
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::archive::row::Row;
use serde_json::Value;
use sigfox_callback::request::Request;
use test_kit::meters::chance::mix;
use test_kit::sealed::master_keys;
use udp_bridge::protocol::sealed::MasterKeys;

use super::pipeline::RETENTION_DAYS;
use super::raw_objects::Rows;
use super::table::Items;

mod nbiot;
mod sigfox;

pub use sigfox::SECRET;

/// All first sendings are within this time.
const SENDING: Duration = Duration::from_mins(8);

/// Meters send together, at this many moments, which fills batches.
const MOMENTS: u64 = 30;

/// 2026-11-20T12:00:00Z.
const NOON: i64 = 1_795_176_000;

/// The epoch of the devices' clock: 2013-01-01T00:00:00Z.
const CLOCK_EPOCH: i64 = 1_356_998_400;

/// A frame code that no codec knows.
const UNKNOWN_FRAME: &str = "fe";

/// All messages of a run.
#[derive(Debug)]
pub struct Fleet {
    /// The master keys of the bridge.
    pub keys: MasterKeys,
    /// Callbacks of the Sigfox cloud, and unauthenticated ones.
    pub callbacks: Vec<Callback>,
    /// Datagrams of meters, and unauthenticated ones.
    pub datagrams: Vec<Datagram>,
    /// Messages put by hand into the queue behind the callback.
    pub raw_noise: Vec<String>,
    /// The same, into the queue in front of `pulse`.
    pub pulse_noise: Vec<String>,
    /// The same, into the stream.
    pub stream_noise: Vec<StreamRecord>,
    /// The expected result.
    pub expected: Expected,
}

/// A callback.
#[derive(Debug, Clone)]
pub struct Callback {
    /// When it is sent first.
    pub at: Duration,
    /// The request as API Gateway passes it on.
    pub request: Arc<Request>,
    /// The expected status of the last answer.
    pub status: u16,
}

/// A datagram.
#[derive(Debug, Clone)]
pub struct Datagram {
    /// When it is sent first.
    pub at: Duration,
    /// The listener of the bridge.
    pub listener: Listener,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// True if its device can be identified.
    pub known: bool,
}

/// A listener of the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// Vendors' datagrams in the clear.
    Trusted,
    /// The same, for meters that log every hour.
    Hourly,
    /// Sealed envelopes.
    Sealed,
}

/// The expected result: each message is in one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The archive: each uplink is one row.
    pub raw: Rows,
    /// The tables of pulses and events. The expiry of an item is not among the expectations: it depends on the run.
    pub tables: [Items; 2],
    /// The quarantine: the owner of an uplink, or the record itself.
    pub quarantined: BTreeSet<String>,
    /// The number of messages that callback or bridge reject.
    pub refused: usize,
}

/// A message of a device.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: i64,
    sequence: u32,
    index: u32,
    /// The number of steps of its history; 0 for none.
    steps: u8,
    /// True if a codec knows its frame.
    decodable: bool,
}

impl Fleet {
    /// A fleet that sends at least this many uplinks, and some noise.
    pub fn new(seed: u64, uplinks: usize) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut fleet = Self {
            keys: master_keys().parse().unwrap_or_else(|e| panic!("{e}")),
            callbacks: Vec::new(),
            datagrams: Vec::new(),
            raw_noise: Vec::new(),
            pulse_noise: Vec::new(),
            stream_noise: Vec::new(),
            expected: Expected::default(),
        };
        sigfox::add(&mut fleet, &mut rng, uplinks.div_ceil(2));
        nbiot::add(&mut fleet, &mut rng, uplinks / 2);
        fleet
    }

    /// The number of distinct messages.
    pub fn messages(&self) -> usize {
        let Expected { raw, quarantined, refused, .. } = &self.expected;
        // A message that only `pulse` cannot decode is in the archive too.
        let stored: BTreeSet<String> = raw.keys().map(|(device, key)| owner(device, &uplink_of(key))).collect();
        raw.len() + quarantined.difference(&stored).count() + refused
    }
}

/// The identity of a quarantined uplink.
pub fn owner(device: &str, uplink: &str) -> String {
    format!("{device} {uplink}")
}

/// The pulse key of a raw key.
pub fn uplink_of(raw_key: &str) -> String {
    raw_key.rsplit_once('#').map_or_else(String::new, |(uplink, _)| uplink.to_owned())
}

impl Expected {
    /// Adds the expected items of an uplink. `message` is the uplink as the queues carry it.
    fn uplink(&mut self, reading: &Reading, message: Value) {
        let uplink: Uplink = serde_json::from_value(message).unwrap_or_else(|e| panic!("{e}"));
        let (device, key) = (uplink.device.to_string(), uplink.key().to_string());
        let [pulses, _] = &mut self.tables;
        let raw_key = (device.clone(), format!("{key}#{}", uplink.kind));
        self.raw.entry(raw_key).or_default().insert(Row::from(&uplink));
        if reading.decodable {
            let item = pulse::decode(&uplink).unwrap_or_else(|e| panic!("{e}"));
            let item = pulsegate_aws::items::expiring_pulse_item(&item, uplink.at, RETENTION_DAYS);
            pulses.insert((device, key), Arc::new(item));
        } else {
            self.quarantined.insert(owner(&device, &key));
        }
    }

    /// The same for a device event.
    fn event(&mut self, message: Value) {
        let event: DeviceEvent = serde_json::from_value(message).unwrap_or_else(|e| panic!("{e}"));
        if let Some(row) = event.numbered() {
            let key = (row.device.to_string(), format!("{}#{}", row.key(), row.kind));
            self.raw.entry(key).or_default().insert(Row::from(&row));
        }
        let item = Arc::new(pulsegate_aws::items::event_item(&event, event.at, RETENTION_DAYS));
        self.tables[1].insert((event.source.as_str().to_owned(), event.key()), item);
    }
}

impl Reading {
    /// The readings of one device, in order. Some reset the sequence, so sequences repeat; times do not.
    fn series(rng: &mut Rng, count: usize) -> Vec<Self> {
        let (mut sequence, mut index) = (rng.u32(..4096), rng.u32(..));
        let mut at = NOON + rng.i64(0..3_600);
        let mut next = |_| {
            at += rng.i64(1..7_200);
            sequence = if rng.u8(..) < 8 { 0 } else { (sequence + 1) % 4096 };
            index = index.wrapping_add(rng.u32(..500));
            let steps = if rng.u8(..) < 90 { rng.u8(1..=3) } else { 0 };
            Self { at, sequence, index, steps, decodable: rng.u8(..) >= 4 }
        };
        (0..count).map(&mut next).collect()
    }

    /// A frame, with a clock or without. The clock has the uplink's time.
    fn frame(&self, clock: bool) -> String {
        let (code, status) = match (self.decodable, self.steps) {
            (false, _) => (UNKNOWN_FRAME, 0x80),
            (true, 0) => ("46", if clock { 0x84 } else { 0x80 }),
            (true, _) => ("5a", if clock { 0x24 } else { 0x20 }),
        };
        let rest = match self.steps {
            0 => format!("{:08x}", self.index / 3),
            steps => (0..steps).map(|step| ["0000", "0001", "0002"][usize::from(step)]).collect(),
        };
        let clock = if clock && self.decodable { format!("{:08x}", self.at - CLOCK_EPOCH) } else { String::new() };
        format!("{code}{status:02x}{:08x}{rest}{clock}", self.index)
    }

    fn when(&self) -> At {
        At::from_unix(self.at).unwrap_or_else(|e| panic!("{e}"))
    }
}

/// When the network receives a datagram first: in the twelve hours from noon, and the same at each bridge and after a kill. The
/// real bridge forgets the first arrival then, and stores a repetition of a datagram in the clear whose clock is wrong again
/// (docs/decisions/0005-whose-time-dates-an-uplink.md). Here the final state must not depend on that.
pub fn arrival(datagram: &[u8]) -> At {
    let hash = datagram.iter().fold(0, |hash, &byte| mix(hash ^ u64::from(byte)));
    At::from_unix(NOON + (hash % (12 * 3_600)).cast_signed()).unwrap_or_else(|e| panic!("{e}"))
}

/// The time of a first sending, shared with many others.
fn moment(rng: &mut Rng) -> Duration {
    SENDING.mul_f64(1.0 / 30.0) * u32::try_from(rng.u64(..MOMENTS)).unwrap_or(0)
        + Duration::from_millis(rng.u64(..1_500))
}
