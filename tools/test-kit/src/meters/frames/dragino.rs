//! Dragino SW3L-NB, a flow sensor, and CPN01-NB, a counter of a dry contact; all integers big-endian.
//!
//! ```text
//!  0                   8         10           12       13        23         27
//! +-------------------+---------+------------+--------+---------+----------+-----------
//! | "f", IMEI, packed | version | battery mV | signal | own     | time     | records...
//! | (8)               | (2)     | (2)        | (1)    | (10)    | (4)      |
//! +-------------------+---------+------------+--------+---------+----------+-----------
//!
//! own of a SW3L-NB:  PA4 (1), PB15 (1), alarm (1), mode (1), calculate flag (2), pulses (4)
//!     of a CPN01-NB: mode (1), calculate flag (1), contact (1), alarm (1), pulses (3), last open minutes (3)
//!
//! record of a SW3L-NB:  pulses (4), time (4)
//!        of a CPN01-NB: contact (1), pulses (3), last open minutes (3), time (4)
//! ```
//!
//! Records are the log, the newest first; unused records are zeros. Times are seconds since 1970. An alarm of 1 is a leak.
//!
//! Sources: <https://github.com/dragino/dragino-end-node-decoder>, `Datacake-Dragino_NB/`, commit e81cc58;
//! <https://wiki.dragino.com>, manuals of CPN01-NB and SW3L-NB.

use super::{Report, Setting, low32};

/// The number of records behind the head, a setting of the device.
const RECORDS: usize = 8;

/// Firmware 1.2.1 of either model. The high byte is the model, by the decoders' frames.
const SW3L: [u8; 2] = [1, 121];
const CPN01: [u8; 2] = [0, 121];

/// The modes in which counts are cumulative, and the one in which a SW3L-NB sends the pulses since its last uplink.
const SW3L_MODE: u8 = 0;
const SW3L_MODE_OF_PULSES: u8 = 1;
const CPN01_MODE: u8 = 1;

/// A flow sensor's frame.
pub(in crate::meters) fn flow_sensor(report: &Report) -> Vec<Vec<u8>> {
    let count = |pulses: u64| low32(pulses).to_be_bytes();
    let (mode, counted) = match report.setting {
        Setting::PulsesSinceUplink => (SW3L_MODE_OF_PULSES, report.pulses.into()),
        _ => (SW3L_MODE, report.now().a),
    };
    let mut own = vec![0, 0, u8::from(report.leaks), mode, 0, 0];
    own.extend(count(counted));
    let record = |pulses: u64, time: [u8; 4]| [count(pulses), time].concat();
    vec![frame(report, SW3L, &own, record)]
}

/// A contact counter's frame, of the firmware whose records have 11 bytes. Its contact is open between pulses.
pub(in crate::meters) fn contact_counter(report: &Report) -> Vec<Vec<u8>> {
    let count = |pulses: u64| {
        let [_, count @ ..] = low32(pulses).to_be_bytes();
        count
    };
    let own = [&[CPN01_MODE, 0, 0, 0], &count(report.now().a)[..], &[0; 3]].concat();
    let record = |pulses: u64, time: [u8; 4]| [&[0], &count(pulses)[..], &[0; 3], &time].concat();
    vec![frame(report, CPN01, &own, record)]
}

fn frame(report: &Report, version: [u8; 2], own: &[u8], record: impl Fn(u64, [u8; 4]) -> Vec<u8>) -> Vec<u8> {
    let time = |at: pulsegate_model::at::At| u32::try_from(at.unix()).unwrap_or(0).to_be_bytes();
    let mut frame = report.modem.packed().to_vec();
    frame[0] |= 0xF0;
    frame.extend(version);
    frame.extend(report.battery_mv.to_be_bytes());
    frame.push(report.signal);
    frame.extend(own);
    frame.extend(time(report.at));
    let log = report.logs.iter().skip(1).map(|log| record(log.a, time(log.at)));
    let empty = std::iter::repeat_with(|| record(0, [0; 4]));
    frame.extend(log.chain(empty).take(RECORDS).flatten());
    frame
}
