//! The configuration of a device: 0x10, and 0x11 and 0x12 for the settings that do not fit into it over Sigfox.
//!
//! ```text
//!  0      1        2      3                     then one byte each, unless noted
//! +------+--------+------+---------------------+----------+------------------+----------+-------------------+
//! | 0x10 | status | mode | period (u8, 10 min) | channels | history          | debounce | flow period (u16) |   V2, 9 bytes
//! | 0x10 | status | mode | period (u16, min)   | channels | history          | debounce | flow period (u16) |   V2, 22 bytes (*)
//! | 0x10 | status | mode | logs (u16)          | channels | log period (u16) | debounce | flow period (u16) |   V3, V4, 11 or 28 (**)
//! +------+--------+------+---------------------+----------+------------------+----------+-------------------+
//!
//! +------+--------+------------------+------------------+-------------------+-------------------+
//! | 0x11 | status | flow limit A     | flow limit B     | leak limit A      | leak limit B      |   10 bytes: u16
//! | 0x12 | status | leak periods A   | leak periods B   |                                       |   6 bytes in V2: u16
//! | 0x12 | status | leak periods A   | leak periods B   | tamper A (u8, u8) | tamper B (u8, u8) |   10 or 11 bytes from V3 on
//! +------+--------+------------------+------------------+-------------------+-------------------+
//!
//!  (*)  then the fields of 0x11 and 0x12
//!  (**) then, with 28 bytes, the same and the redundant samples (u8)
//! ```
//!
//! Mode: 0 park, 1 production, 2 test, 3 dead; in test mode a period's unit is 20 s. Channels: the low nibble is A's, bit 0
//! counts, bit 1 pull-up for gas meters, bit 3 tamper detection. Debounce: the low nibble is A's, a code for milliseconds.
//! Log period: units of 2 s. Tamper: a period in units of 10 s, and a threshold. Flow and leak limits: pulses per hour.

use super::super::cursor::Cursor;
use super::super::{Channel, Details, Reading, Undecodable};
use super::{Generation, word};

/// Bytes of frame code and status, which have been read already.
const HEAD: usize = 2;

/// Settings of the whole device; in the long form (LoRaWAN, NB-IoT) all settings.
pub(super) fn general(mut body: Cursor<'_>, generation: Generation, reading: &mut Reading) -> Result<(), Undecodable> {
    let length = HEAD + body.left();
    generation.check_length(length, &[9, 22], &[11, 28])?;
    let details = &mut reading.details;
    match generation {
        Generation::V2 => general_v2(&mut body, length == 22, details)?,
        Generation::V3 | Generation::V4 => general_v3(&mut body, length == 28, details)?,
        Generation::V4Nbiot => general_v3(&mut body, true, details)?,
    }
    body.finish()
}

fn general_v2(body: &mut Cursor<'_>, long: bool, details: &mut Details) -> Result<(), Undecodable> {
    let test = mode(body.u8()?, details);
    let (period, unit) = if long { (body.u16_be()?, 60) } else { (body.u8()?.into(), 600) };
    details.insert("period_s", seconds(period, unit, test));
    channels(body.u8()?, details);
    details.insert("history", word(body.u8()?, &[(0, "none"), (1, "10min"), (2, "1h")]));
    debounce(body.u8()?, details);
    details.insert("flow_period_s", seconds(body.u16_be()?, 60, test));
    if long {
        limits(body, details)?;
        leak_periods(body, details)?;
    }
    Ok(())
}

fn general_v3(body: &mut Cursor<'_>, long: bool, details: &mut Details) -> Result<(), Undecodable> {
    let test = mode(body.u8()?, details);
    let logs = body.u16_be()?;
    channels(body.u8()?, details);
    let log_period = 2 * u32::from(body.u16_be()?);
    details.insert("logs_per_uplink", logs);
    details.insert("log_period_s", log_period);
    details.insert("period_s", i64::from(logs) * i64::from(log_period));
    debounce(body.u8()?, details);
    details.insert("flow_period_s", seconds(body.u16_be()?, 60, test));
    if long {
        limits(body, details)?;
        leak_periods(body, details)?;
        tamper(body, details)?;
        details.insert("redundant_samples", body.u8()?);
    }
    Ok(())
}

/// The flow limits for an alarm and for a leak.
pub(super) fn thresholds(mut body: Cursor<'_>, reading: &mut Reading) -> Result<(), Undecodable> {
    limits(&mut body, &mut reading.details)?;
    body.finish()
}

/// Settings of leak detection, and from V3 on of tamper detection.
pub(super) fn detection(
    mut body: Cursor<'_>,
    generation: Generation,
    reading: &mut Reading,
) -> Result<(), Undecodable> {
    generation.check_length(HEAD + body.left(), &[6], &[10, 11])?;
    leak_periods(&mut body, &mut reading.details)?;
    if generation != Generation::V2 {
        tamper(&mut body, &mut reading.details)?;
        // The vendor's example has one byte more than its decoders read. (0x10 has the redundant samples there.)
        if body.left() > 0 {
            reading.details.insert_unknown("byte_10", body.u8()?);
        }
    }
    body.finish()
}

/// Adds the mode; returns whether it is the test mode, in which periods are short.
fn mode(code: u8, details: &mut Details) -> bool {
    const TEST: u8 = 2;
    details.insert("product_mode", word(code, &[(0, "park"), (1, "production"), (TEST, "test"), (3, "dead")]));
    code == TEST
}

fn seconds(period: u16, unit: u32, test: bool) -> u32 {
    u32::from(period) * if test { 20 } else { unit }
}

/// Four bits for each channel.
fn channels(byte: u8, details: &mut Details) {
    const UNKNOWN: u8 = 1 << 2;
    for (channel, bits) in nibbles(byte) {
        details.insert_of(&channel, "enabled", bits & 1 != 0);
        details.insert_of(&channel, "gas_pull_up", bits & 1 << 1 != 0);
        details.insert_of(&channel, "tamper_detection", bits & 1 << 3 != 0);
        details.insert_unknown(&format!("channel:{channel}"), bits & UNKNOWN);
    }
}

fn debounce(byte: u8, details: &mut Details) {
    const MILLISECONDS: [u16; 12] = [0, 1, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
    for (channel, code) in nibbles(byte) {
        match MILLISECONDS.get(usize::from(code)) {
            Some(&time) => details.insert_of(&channel, "debounce_ms", time),
            None => details.insert_unknown(&format!("debounce:{channel}"), code),
        }
    }
}

fn limits(body: &mut Cursor<'_>, details: &mut Details) -> Result<(), Undecodable> {
    for_both("high_flow_threshold_per_h", body, details)?;
    for_both("leak_threshold_per_h", body, details)
}

/// There is a leak if fewer periods of a day than this have a flow below the leak threshold.
fn leak_periods(body: &mut Cursor<'_>, details: &mut Details) -> Result<(), Undecodable> {
    for_both("leak_daily_periods", body, details)
}

fn tamper(body: &mut Cursor<'_>, details: &mut Details) -> Result<(), Undecodable> {
    for channel in [Channel::A, Channel::B] {
        details.insert_of(&channel, "tamper_period_s", 10 * u16::from(body.u8()?));
        details.insert_of(&channel, "tamper_threshold", body.u8()?);
    }
    Ok(())
}

/// Reads a field of channel A, then the same of B.
fn for_both(name: &str, body: &mut Cursor<'_>, details: &mut Details) -> Result<(), Undecodable> {
    for channel in [Channel::A, Channel::B] {
        details.insert_of(&channel, name, body.u16_be()?);
    }
    Ok(())
}

/// The two halves of a byte; the low one is channel A's.
fn nibbles(byte: u8) -> [(Channel, u8); 2] {
    [(Channel::A, byte & 0x0F), (Channel::B, byte >> 4)]
}
