//! What is sent in a run, all of it out of the seed, and what has to become of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use pulsegate_model::aggregate::StreamRecord;
use pulsegate_model::at::At;
use pulsegate_model::event::DeviceEvent;
use pulsegate_model::pulse;
use pulsegate_model::uplink::Uplink;
use serde_json::Value;
use sigfox_callback::request::Request;
use test_kit::sealed::master_keys;
use udp_bridge::protocol::sealed::MasterKeys;

use super::pipeline::RETENTION_DAYS;
use super::table::Items;

mod nbiot;
mod sigfox;

pub use sigfox::SECRET;

/// Everything is sent within this time, but for repetitions.
const SENDING: Duration = Duration::from_mins(8);

/// Meters report together, at so many moments: that is what fills batches.
const MOMENTS: u64 = 30;

/// 2026-11-20T12:00:00Z.
const NOON: i64 = 1_795_176_000;

/// No codec of either network knows a frame of this code.
const UNKNOWN_FRAME: &str = "fe";

/// Everything that is sent.
#[derive(Debug)]
pub struct Fleet {
    /// What the bridge's meters were given their keys from.
    pub keys: MasterKeys,
    /// From the Sigfox cloud, and from strangers.
    pub callbacks: Vec<Callback>,
    /// From meters, and from strangers.
    pub datagrams: Vec<Datagram>,
    /// Put by hand into the queue behind the callback.
    pub raw_noise: Vec<String>,
    /// The same, into the queue in front of `pulse`.
    pub pulse_noise: Vec<String>,
    /// The same, into the stream.
    pub stream_noise: Vec<StreamRecord>,
    /// What has to become of it.
    pub expected: Expected,
}

/// A callback of Sigfox's.
#[derive(Debug, Clone)]
pub struct Callback {
    /// When it is made first.
    pub at: Duration,
    /// What API Gateway makes of it.
    pub request: Arc<Request>,
    /// How it has to be answered in the end.
    pub status: u16,
}

/// A datagram of a meter's.
#[derive(Debug, Clone)]
pub struct Datagram {
    /// When it is sent first.
    pub at: Duration,
    /// Where to.
    pub listener: Listener,
    /// What.
    pub bytes: Arc<[u8]>,
    /// Whether it says whose it is.
    pub known: bool,
}

/// A listener of the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// Vendors' datagrams, in the clear.
    Trusted,
    /// The same of meters that log every hour.
    Hourly,
    /// Sealed envelopes.
    Sealed,
}

/// What has to become of a fleet's messages: each is one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The tables of raw uplinks, of pulses, and of events.
    pub tables: [Items; 3],
    /// What waits in quarantine: whose uplink it is, or the record itself.
    pub quarantined: BTreeSet<String>,
    /// Turned away at the door.
    pub refused: usize,
}

/// A message of a device.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: i64,
    sequence: u32,
    index: u32,
    /// With a history of so many steps, if any.
    steps: u8,
    /// Whether it is a frame that a codec knows.
    decodable: bool,
}

impl Fleet {
    /// One that sends so many uplinks at least, and some noise.
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

    /// How many messages it sends that differ from each other.
    pub fn messages(&self) -> usize {
        let Expected { tables: [raw, ..], quarantined, refused } = &self.expected;
        // What only `pulse` cannot read is in the raw table already.
        let stored: BTreeSet<String> = raw.keys().map(|(device, key)| owner(device, &uplink_of(key))).collect();
        raw.len() + quarantined.difference(&stored).count() + refused
    }
}

/// How quarantined uplinks are told apart.
pub fn owner(device: &str, uplink: &str) -> String {
    format!("{device} {uplink}")
}

/// The pulse key of a raw key.
pub fn uplink_of(raw_key: &str) -> String {
    raw_key.rsplit_once('#').map_or_else(String::new, |(uplink, _)| uplink.to_owned())
}

impl Expected {
    /// What has to become of an uplink, `message` as the queues carry it: its items as a table holds them that nothing went
    /// wrong with.
    fn uplink(&mut self, reading: &Reading, message: Value) {
        let uplink: Uplink = serde_json::from_value(message).unwrap_or_else(|e| panic!("{e}"));
        let (device, key) = (uplink.device.to_string(), reading.key());
        let [raw, pulses, _] = &mut self.tables;
        raw.insert(
            (device.clone(), format!("{key}#{}", uplink.kind)),
            Arc::new(pulsegate_aws::items::raw_item(&uplink, RETENTION_DAYS)),
        );
        if reading.decodable {
            let item = pulse::decode(&uplink)
                .map(|item| pulsegate_aws::items::pulse_item(&item))
                .unwrap_or_else(|e| panic!("{e}"));
            pulses.insert((device, key), Arc::new(item));
        } else {
            self.quarantined.insert(owner(&device, &key));
        }
    }

    /// The same of a device event.
    fn event(&mut self, message: Value) {
        let event: DeviceEvent = serde_json::from_value(message).unwrap_or_else(|e| panic!("{e}"));
        let item = Arc::new(pulsegate_aws::items::event_item(&event, RETENTION_DAYS));
        self.tables[2].insert((event.source.as_str().to_owned(), event.key()), item);
    }
}

impl Reading {
    /// The readings of one device, in their order. Counters are set back now and then, so numbers repeat; times do not.
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

    /// A frame, with a clock or without. What the clock says is the uplink's time.
    fn frame(&self, clock: bool) -> String {
        /// Where the devices' clock starts: 2013-01-01T00:00:00Z.
        const CLOCK_EPOCH: i64 = 1_356_998_400;
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

    fn key(&self) -> String {
        let at = self.when();
        format!("{at}#{:05}", self.sequence)
    }
}

/// When something is sent: with much else.
fn moment(rng: &mut Rng) -> Duration {
    SENDING.mul_f64(1.0 / 30.0) * u32::try_from(rng.u64(..MOMENTS)).unwrap_or(0)
        + Duration::from_millis(rng.u64(..1_500))
}
