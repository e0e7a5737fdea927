//! Adeunis PULSE over Sigfox, generations V2 to V4, and PULSE 4 over NB-IoT; all integers big-endian.
//!
//! ```text
//!  0      1        2               6
//! +------+--------+---------------+---------------+- - - - - -+
//! | 0x46 | status | index A (u32) | index B (u32) | clock     |   data: both counters, now
//! | 0x5A | status | index A (u32) | step (u16)... | clock     |   V3, V4: channel A now, and steps back in time
//! +------+--------+---------------+---------------+- - - - - -+
//!
//!  0      1        2    3               5               7               9
//! +------+--------+----+---------------+---------------+---------------+---------------+
//! | 0x48 | status | 0  | index A (u32)                 | index B (u32)                 |   V2: the first log of a series,
//! | 0x48 | status | i  | step A (u16)  | step B (u16)  | step A (u16)  | step B (u16)  |   and the steps to the next two
//! +------+--------+----+---------------+---------------+---------------+---------------+
//!
//! +------+--------+--------+----------------+----------------+----------------+----------------+
//! | 0x30 | status | alarms | max flow A     | max flow B     | min flow A     | min flow B     |   once a day
//! +------+--------+--------+-------+--------+-------+--------+----------------+----------------+
//! | 0x47 | status | flow A (u16)   | flow B (u16)   |   an alarm: flows above a limit, in pulses per hour
//! +------+--------+----------------+----------------+
//! ```
//!
//! Status: bits 7-5 count the frames, bit 1 low battery, bit 2 of NB-IoT: the clock is there, seconds since 2013-01-01. Alarms:
//! bit 4 a leak at A. In front of an NB-IoT frame: the IMEI in packed digits (8), the signal's quality (1), frames sent (4).
//!
//! Sources: Adeunis user guide "sigfox RC1 Pulse" V2.0.2, technical references "PULSE V3", "PULSE V4" and "PULSE V3 NB-IoT".

use super::{Log, Report, low32};
use crate::meters::input::Input;

const LOW_BATTERY: u8 = 1 << 1;
const CLOCK: u8 = 1 << 2;
const LEAK_A: u8 = 1 << 4;

/// 2013-01-01T00:00:00Z, the epoch of the devices' clock.
const CLOCK_EPOCH: i64 = 1_356_998_400;

/// 0x46: both counters.
pub(in crate::meters) fn data(report: &Report) -> Vec<Vec<u8>> {
    vec![data_frame(report, 0)]
}

/// 0x5A: the counter of channel A, with the steps between logs.
pub(in crate::meters) fn history(report: &Report) -> Vec<Vec<u8>> {
    vec![history_frame(report, 0)]
}

/// 0x46 of an NB-IoT meter with time stamps.
pub(in crate::meters) fn nbiot_data(report: &Report) -> Vec<Vec<u8>> {
    vec![with_head_and_clock(report, &data_frame(report, CLOCK))]
}

/// 0x5A of an NB-IoT meter with time stamps.
pub(in crate::meters) fn nbiot_history(report: &Report) -> Vec<Vec<u8>> {
    vec![with_head_and_clock(report, &history_frame(report, CLOCK))]
}

/// 0x48: a series: the first log, and then frames with the steps to the next two each.
pub(in crate::meters) fn series(report: &Report) -> Vec<Vec<u8>> {
    let logs: Vec<Log> = report.logs.iter().rev().copied().collect();
    let Some(first) = logs.first() else { return vec![] };
    let begin = [vec![0x48, status(report, 0), 0], indexes(first)].concat();
    let both = |pair: &[Log]| [Input::A, Input::B].into_iter().flat_map(|of| step(pair, of).to_be_bytes()).collect();
    let steps: Vec<Vec<u8>> = logs.windows(2).map(both).collect();
    let go_on = (1_u8..)
        .zip(steps.chunks(2))
        .map(|(place, steps)| [vec![0x48, status(report, place.into()), place], steps.concat()].concat());
    std::iter::once(begin).chain(go_on).collect()
}

/// 0x30: the largest and the smallest flow of a day, and the alarms.
pub(in crate::meters) fn keep_alive(report: &Report, place: usize, flows: &[[u16; 2]]) -> Vec<u8> {
    let of = |input: usize| flows.iter().map(move |flow| flow[input]);
    let [max_a, max_b] = [0, 1].map(|input| of(input).max().unwrap_or(0));
    let [min_a, min_b] = [0, 1].map(|input| of(input).min().unwrap_or(0));
    let mut frame = vec![0x30, status(report, place), if report.leaks { LEAK_A } else { 0 }];
    frame.extend([max_a, max_b, min_a, min_b].into_iter().flat_map(u16::to_be_bytes));
    frame
}

/// 0x47: the flows that exceed a limit.
pub(in crate::meters) fn flow_alarm(report: &Report, place: usize, now: [u16; 2]) -> Vec<u8> {
    let mut frame = vec![0x47, status(report, place)];
    frame.extend(now.into_iter().flat_map(u16::to_be_bytes));
    frame
}

fn data_frame(report: &Report, flags: u8) -> Vec<u8> {
    [vec![0x46, status(report, 0) | flags], indexes(&report.now())].concat()
}

fn history_frame(report: &Report, flags: u8) -> Vec<u8> {
    let mut frame = vec![0x5A, status(report, 0) | flags];
    frame.extend(low32(report.now().a).to_be_bytes());
    let steps = report.logs.windows(2).map(|pair| step(&[pair[1], pair[0]], Input::A));
    frame.extend(steps.flat_map(u16::to_be_bytes));
    frame
}

/// The head of an NB-IoT frame: the packed IMEI, the signal's quality, and the number of frames sent.
pub fn nbiot_head(imei: [u8; 8], signal: u8, sequence: u32) -> [u8; 13] {
    let mut head = [0; 13];
    head[..8].copy_from_slice(&imei);
    head[8] = signal;
    head[9..].copy_from_slice(&sequence.to_be_bytes());
    head
}

fn with_head_and_clock(report: &Report, frame: &[u8]) -> Vec<u8> {
    let clock = u32::try_from(report.at.unix() - CLOCK_EPOCH).unwrap_or(0);
    let head = nbiot_head(report.modem.packed(), report.signal, report.sequence);
    [&head[..], frame, &clock.to_be_bytes()].concat()
}

fn indexes(log: &Log) -> Vec<u8> {
    [low32(log.a).to_be_bytes(), low32(log.b).to_be_bytes()].concat()
}

/// The pulses between two logs.
fn step(pair: &[Log], input: Input) -> u16 {
    let counted = |nth: usize| pair.get(nth).map_or(0, |log| input.of(log.counted));
    u16::try_from(counted(1) - counted(0)).unwrap_or(u16::MAX)
}

/// The status of the frame at this position in its session.
fn status(report: &Report, place: usize) -> u8 {
    let [.., count] = report.sequence.wrapping_add(u32::try_from(place).unwrap_or(0)).to_be_bytes();
    count << 5 | if report.low_battery { LOW_BATTERY } else { 0 }
}
