//! The uplinks of a run: few devices, days and times, so that batches and files have rows in common.

use std::collections::BTreeSet;

use fastrand::Rng;
use pulsegate_model::at::At;
use pulsegate_model::device::{DeviceId, Network};
use pulsegate_model::uplink::{Kind, Payload, Radio, TimeSource, Uplink};
use pulsegate_pipeline::archive::place::PartitionBits;
use pulsegate_pipeline::archive::row::Row;

/// 2026-11-20T12:00:00Z.
const NOON: i64 = 1_795_176_000;

const DAY: i64 = 86_400;

/// A day with one partition, then days with two.
const BITS: &str = "2026-01-01=0,2026-11-21=1";

const DEVICES: [&str; 4] = ["sigfox:1", "sigfox:2A", "nbiot:490154203924649", "nbiot:490154203340103"];

/// The uplinks of a run.
#[derive(Debug)]
pub struct Messages {
    /// The uplinks. Some have the same key and other contents.
    pub uplinks: Vec<Uplink>,
    /// The number of partitions.
    pub bits: PartitionBits,
}

impl Messages {
    /// Draws the uplinks of a run.
    pub fn drawn(rng: &mut Rng) -> Self {
        let count = rng.usize(6..30);
        let uplinks = (0..count).map(|_| uplink(rng)).collect();
        Self { uplinks, bits: BITS.parse().unwrap_or_else(|e| panic!("{e}")) }
    }

    /// The distinct rows.
    pub fn rows(&self) -> BTreeSet<Row> {
        self.uplinks.iter().map(Row::from).collect()
    }
}

/// Draws a device.
pub fn device(rng: &mut Rng) -> DeviceId {
    let drawn = DEVICES[rng.usize(..DEVICES.len())];
    drawn.parse().unwrap_or_else(|e| panic!("{drawn}: {e}"))
}

/// Draws a span to read: all days, a part of them, or the time of clocks that are not set.
pub fn span(rng: &mut Rng) -> (At, At) {
    let (from, to) = match rng.u8(..8) {
        0 => (0, DAY),
        1..4 => (NOON - DAY, NOON + 4 * DAY),
        _ => {
            let from = NOON + rng.i64(-DAY..3 * DAY);
            (from, from + rng.i64(0..3 * DAY))
        }
    };
    (at(from), at(to))
}

fn uplink(rng: &mut Rng) -> Uplink {
    // A clock that is not set shows a time of its own, or one that others have as well.
    let unset = rng.u8(..8) == 0;
    let time = if unset && rng.bool() { 37 } else { NOON + rng.i64(0..3) * DAY + rng.i64(0..3) };
    let device = device(rng);
    let (profile, payload) = content(rng, device, time);
    Uplink {
        device,
        kind: [Kind::DataAdvanced, Kind::Event, Kind::Data, Kind::Data][rng.usize(..4)],
        at: at(time),
        time_source: if unset { TimeSource::Unset } else { TimeSource::Device },
        sequence: rng.bool().then(|| rng.u32(..3)),
        profile: profile.parse().unwrap_or_else(|e| panic!("{e}")),
        payload: Payload::from_bytes(&payload).unwrap_or_else(|e| panic!("{e}")),
        radio: Radio::default(),
    }
}

/// Draws one of four contents: a frame that no codec reads, a count, or a count with a history that reaches back for hours
/// or days. There are so few, so that uplinks are alike and have points in common.
fn content(rng: &mut Rng, device: DeviceId, time: i64) -> (&'static str, Vec<u8>) {
    let drawn = rng.u8(..4);
    match device.network() {
        Network::Sigfox => {
            let steps: &[u8] = if drawn == 1 { &[] } else { &[0, 1].repeat(14) };
            let history = [&[0x5A, 0, 0, 0, 1, drawn], steps].concat();
            ("adeunis-pulse-v3-1h", if drawn == 0 { vec![0] } else { history })
        }
        Network::Nbiot => {
            let count = |days, index| format!(r#"{{"n":"A","u":"count","v":{index},"t":{}}}"#, time - days * DAY);
            let pack = match drawn {
                0 => String::new(),
                1 => format!("[{}]", count(0, 9)),
                2 => format!("[{},{}]", count(0, 9), count(1, 8)),
                _ => format!("[{},{}]", count(0, 8), count(3, 7)),
            };
            ("senml-json", pack.into_bytes())
        }
    }
}

fn at(time: i64) -> At {
    At::from_unix(time).unwrap_or_else(|e| panic!("{e}"))
}
