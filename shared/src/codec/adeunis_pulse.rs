//! Adeunis PULSE of generations V3 and V4 (APP 2.0 and later), over Sigfox and over NB-IoT.
//!
//! Two inputs, A and B, that count pulses; all integers big-endian. What a pulse is worth is not in the frame.
//!
//! ```text
//!  0      1        2               6
//! +------+--------+---------------+---------------+ - - - - - - -+
//! | 0x46 | status | index A (u32) | index B (u32) | clock (u32)  |   both counters, now
//! +------+--------+---------------+---------------+ - - - - - - -+
//! | 0x5A | status | index A (u32) | step (u16)... | clock (u32)  |   channel A: now, then backward in time,
//! | 0x5B | status | index B (u32) |               |              |   index(t - 1) = index(t) - step
//! +------+--------+---------------+---------------+ - - - - - - -+
//! ```
//!
//! Status: bits 7-5 frame counter, bit 1 low battery, bit 0 configuration done. Bit 2 is a hardware error in V3 and in V4
//! says that the clock is there, seconds since 2013-01-01; bit 3 is an inconsistent configuration in V3 only. **Which
//! generation it is the frame does not say**: that is the profile's to know.
//!
//! PULSE 4 NB-IoT (ARF8335AA) puts a header in front of a V4 frame:
//!
//! ```text
//!  0                      8                9                      13
//! +----------------------+----------------+----------------------+---- - -
//! | IMEI, packed (8)     | signal quality | frame counter (u32)  | V4 frame
//! +----------------------+----------------+----------------------+---- - -
//! ```
//!
//! How far apart the steps of a history frame are is a setting of the device (register S321) and not in the frame
//! either; points are therefore told in log periods.
//!
//! Sources: Adeunis technical references "PULSE V3/V4 Sigfox" and "PULSE V3 NB-IoT"; the vendor's decoders and tests in
//! `adeunis-codecs-lib` 1.3.0 and in TheThingsNetwork/lorawan-devices, `vendor/adeunis/` (`pulse_lib.js`,
//! `pulse_nbiot_lib.js`).

use std::collections::{BTreeMap, BTreeSet};

use super::cursor::Cursor;
use super::{Channel, Codec, Flag, Mark, Reading, Series, Undecodable};
use crate::at::At;
use crate::device::Imei;

/// Generation V3, as it comes over Sigfox.
pub static V3: Codec = Codec {
    name: "adeunis-pulse-v3",
    version: 2,
    counter_bits: Some(32),
    decode: |frame, _| decode(frame, Generation::V3),
};

/// Generation V4, as it comes over Sigfox.
pub static V4: Codec = Codec {
    name: "adeunis-pulse-v4",
    version: 2,
    counter_bits: Some(32),
    decode: |frame, _| decode(frame, Generation::V4),
};

/// PULSE 4 NB-IoT: a header and a V4 frame.
pub static NBIOT: Codec = Codec {
    name: "adeunis-pulse4-nbiot",
    version: 2,
    counter_bits: Some(32),
    decode: |datagram, _| decode(split_nbiot(datagram)?.1, Generation::V4),
};

/// Bytes in front of the frame in a PULSE 4 NB-IoT datagram.
pub const NBIOT_HEADER_LEN: usize = 13;

/// 2013-01-01T00:00:00Z, where the devices' clock starts.
const CLOCK_EPOCH: i64 = 1_356_998_400;

/// 2020-01-01T00:00:00Z, before any device of these generations was made: an earlier time is a clock nobody has set.
const CLOCK_SET: i64 = 1_577_836_800;

const LOW_BATTERY: u8 = 1 << 1;
const CONFIGURATION_DONE: u8 = 1;
const V3_HARDWARE_ERROR: u8 = 1 << 2;
const V3_INCONSISTENT: u8 = 1 << 3;
const V4_CLOCK: u8 = 1 << 2;

#[derive(Clone, Copy, PartialEq)]
enum Generation {
    V3,
    V4,
}

/// The header of a PULSE 4 NB-IoT datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NbiotHeader {
    /// The meter.
    pub imei: Imei,
    /// As the modem reports it, without a unit.
    pub signal_quality: u8,
    /// Counts every frame the meter sent.
    pub frame_counter: u32,
}

/// Parts a datagram into its header and the V4 frame behind it, which is not looked at.
///
/// # Errors
/// [`Undecodable::TooShort`] without a whole header and at least a frame code and status behind it,
/// [`Undecodable::Device`] when the header names no device.
pub fn split_nbiot(datagram: &[u8]) -> Result<(NbiotHeader, &[u8]), Undecodable> {
    let mut cursor = Cursor::new(datagram);
    let header = NbiotHeader {
        imei: Imei::from_packed(cursor.array()?)?,
        signal_quality: cursor.u8()?,
        frame_counter: cursor.u32_be()?,
    };
    if cursor.left() < 2 {
        return Err(Undecodable::TooShort(datagram.len()));
    }
    Ok((header, cursor.rest()))
}

/// The time a V4 frame ends with, where it has one and its clock was set. Read by the bridge too: it is the time of
/// the uplink.
pub fn v4_clock(frame: &[u8]) -> Option<At> {
    // Codes of the frames that end with one; in any other the bit says nothing.
    let &[0x30 | 0x46 | 0x47 | 0x5A | 0x5B, status, _, _, _, _, ..] = frame else { return None };
    cut_clock(frame, status, Generation::V4).ok()?.1?.time()
}

fn decode(frame: &[u8], generation: Generation) -> Result<Reading, Undecodable> {
    let mut head = Cursor::new(frame);
    let kind = Frame::of(head.u8()?)?;
    let status = head.u8()?;
    let (body, clock) = cut_clock(frame, status, generation)?;
    let mut reading = Reading { frame: kind.code(), flags: flags(status, generation), ..Reading::default() };
    reading.clock = clock.and_then(Clock::time);
    if clock.is_some() && reading.clock.is_none() {
        reading.flags.insert(Flag::ClockNotSet.into());
    }

    let mut cursor = Cursor::new(body);
    cursor.array::<2>()?;
    match kind {
        Frame::Data => {
            let (a, b) = (cursor.u32_be()?, cursor.u32_be()?);
            cursor.finish()?;
            reading.channels = BTreeMap::from([(Channel::A, now(a)), (Channel::B, now(b))]);
        }
        Frame::History(channel) => history(cursor, channel, &mut reading)?,
    }
    Ok(reading)
}

/// What a frame is, by its code.
enum Frame {
    Data,
    History(Channel),
}

impl Frame {
    fn of(code: u8) -> Result<Self, Undecodable> {
        match code {
            0x46 => Ok(Self::Data),
            0x5A => Ok(Self::History(Channel::A)),
            0x5B => Ok(Self::History(Channel::B)),
            unknown => Err(Undecodable::UnknownFrame(unknown)),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Data => "0x46",
            Self::History(channel) if *channel == Channel::A => "0x5a",
            Self::History(_) => "0x5b",
        }
    }
}

/// Cuts the clock off the frame's end when the status says that it is there.
fn cut_clock(frame: &[u8], status: u8, generation: Generation) -> Result<(&[u8], Option<Clock>), Undecodable> {
    if generation == Generation::V3 || status & V4_CLOCK == 0 {
        return Ok((frame, None));
    }
    let (body, clock) = frame.split_last_chunk().ok_or(Undecodable::TooShort(frame.len()))?;
    Ok((body, Some(Clock(u32::from_be_bytes(*clock)))))
}

/// A device's clock: seconds since 2013.
#[derive(Clone, Copy)]
struct Clock(u32);

impl Clock {
    fn time(self) -> Option<At> {
        let seconds = CLOCK_EPOCH + i64::from(self.0);
        if seconds < CLOCK_SET { None } else { At::from_unix(seconds).ok() }
    }
}

fn flags(status: u8, generation: Generation) -> BTreeSet<Mark> {
    let v3 = |bit| if generation == Generation::V3 { bit } else { 0 };
    [
        (LOW_BATTERY, Flag::LowBattery),
        (CONFIGURATION_DONE, Flag::ConfigurationDone),
        (v3(V3_HARDWARE_ERROR), Flag::HardwareError),
        (v3(V3_INCONSISTENT), Flag::InconsistentConfiguration),
    ]
    .into_iter()
    .filter(|(bit, _)| status & bit != 0)
    .map(|(_, flag)| flag.into())
    .collect()
}

fn now(count: u32) -> Series {
    Series::Logs(vec![count.into()])
}

/// An index and then steps back in time. The counter may have wrapped in between, so the steps do too.
fn history(mut cursor: Cursor<'_>, channel: Channel, reading: &mut Reading) -> Result<(), Undecodable> {
    /// Above this the vendor's V3 decoder reads a step as negative.
    const LARGE_STEP: u16 = 0x7FFF;

    let mut count = cursor.u32_be()?;
    let mut counts = vec![u64::from(count)];
    while cursor.left() > 0 {
        let step = cursor.u16_be()?;
        if step > LARGE_STEP {
            reading.flags.insert(Flag::LargeStep.into());
        }
        count = count.wrapping_sub(u32::from(step));
        counts.push(count.into());
    }
    reading.channels.insert(channel, Series::Logs(counts));
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::profile::Settings;

    use super::*;

    fn indexes(codec: &Codec, frame: &str, channel: &Channel) -> Vec<u64> {
        let reading = read(codec, frame).unwrap();
        match &reading.channels[channel] {
            Series::Logs(counts) => counts.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn read(codec: &Codec, frame: &str) -> Result<Reading, Undecodable> {
        (codec.decode)(&hex::decode(frame).unwrap(), &Settings::default())
    }

    fn refused(codec: &Codec, frame: &str) -> Undecodable {
        read(codec, frame).unwrap_err()
    }

    // The vectors are the vendor's: adeunis-codecs-lib 1.3.0, src/products/pulse_v3/*.parser.spec.ts; with the NB-IoT
    // header of the example in pulse-nb-iot-codec.yaml in front for PULSE 4.

    #[test]
    fn both_counters_of_a_data_frame_are_read() {
        for codec in [&V3, &V4] {
            assert_eq!(indexes(codec, "46800000009f00000002", &Channel::A), [159]);
            assert_eq!(indexes(codec, "46800000009f00000002", &Channel::B), [2]);
        }
    }

    #[test]
    fn a_history_frame_counts_backward_from_now() {
        for codec in [&V3, &V4] {
            assert_eq!(indexes(codec, "5a20000001270001000200030004", &Channel::A), [295, 294, 292, 289, 285]);
        }
    }

    #[test]
    fn a_datagram_is_a_header_and_a_v4_frame() {
        let datagram = "112233445566778803000000265b20000001270001000200030004";
        assert_eq!(indexes(&NBIOT, datagram, &Channel::B), [295, 294, 292, 289, 285]);
        let datagram = hex::decode(datagram).unwrap();
        let (header, frame) = split_nbiot(&datagram).unwrap();
        assert_eq!(header.imei.to_string(), "1122334455667788");
        assert_eq!((header.signal_quality, header.frame_counter), (3, 38));
        assert_eq!(frame.len(), datagram.len() - NBIOT_HEADER_LEN);
    }

    #[test]
    fn a_v4_frame_ends_with_its_clock_when_the_status_says_so() {
        let frame = hex::decode("46840000009f000000021a2b3c4d").unwrap();
        let reading = (V4.decode)(&frame, &Settings::default()).unwrap();
        let clock = At::from_unix(1_356_998_400 + 0x1a2b_3c4d).unwrap();
        assert_eq!(reading.clock, Some(clock));
        assert_eq!(v4_clock(&frame), Some(clock));
        assert_eq!(reading.channels[&Channel::B], now(2));
        assert_eq!(reading.flags, [].into());
    }

    #[test]
    fn a_frame_that_ends_with_something_else_has_no_clock() {
        for frame in ["3384010141", "20840102030405060708", "4684", ""] {
            assert_eq!(v4_clock(&hex::decode(frame).unwrap()), None, "{frame}");
        }
    }

    #[test]
    fn a_clock_that_nobody_set_tells_no_time() {
        let reading = read(&V4, "46840000009f000000020000003c").unwrap();
        assert_eq!(reading.clock, None);
        assert_eq!(reading.flags, [Flag::ClockNotSet.into()].into());
    }

    #[test]
    fn the_same_status_bit_is_a_hardware_error_in_v3() {
        let reading = read(&V3, "468e0000009f00000002").unwrap();
        assert_eq!(
            reading.flags,
            [Flag::LowBattery, Flag::HardwareError, Flag::InconsistentConfiguration].map(Mark::from).into()
        );
        assert_eq!(reading.clock, None);
    }

    #[test]
    fn a_step_that_others_read_as_negative_is_counted_as_it_stands_and_flagged() {
        let reading = read(&V4, "5a2000010000ffff").unwrap();
        assert_eq!(reading.channels[&Channel::A], Series::Logs(vec![0x1_0000, 1]));
        assert_eq!(reading.flags, [Flag::LargeStep.into()].into());
    }

    #[test]
    fn a_counter_that_wrapped_between_two_logs_is_followed_back() {
        assert_eq!(indexes(&V4, "5a20000000020005", &Channel::A), [2, u64::from(u32::MAX) - 2]);
    }

    #[test]
    fn what_is_not_a_whole_known_frame_is_refused_with_the_reason() {
        assert_eq!(refused(&V4, ""), Undecodable::TooShort(0));
        assert_eq!(refused(&V4, "4680"), Undecodable::TooShort(2));
        assert_eq!(refused(&V4, "46800000009f0000000200"), Undecodable::TooLong(1));
        assert_eq!(refused(&V4, "5a200000012700"), Undecodable::TooShort(7));
        assert_eq!(refused(&V4, "3fe0150400030002000100"), Undecodable::UnknownFrame(0x3f));
        assert_eq!(refused(&V4, "3384010141"), Undecodable::UnknownFrame(0x33));
        assert_eq!(refused(&NBIOT, "11223344556677880300000026"), Undecodable::TooShort(13));
        assert_eq!(Undecodable::UnknownFrame(0x3f).to_string(), "frame code 0x3f is not known to this codec");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            header in prop_oneof![Just(""), Just("11223344556677880300000026")],
            code in prop_oneof![Just(0x46), Just(0x5A), Just(0x5B), any::<u8>()],
            tail: Vec<u8>,
        ) {
            let mut bytes = hex::decode(header)?;
            bytes.push(code);
            bytes.extend(tail);
            for codec in [&V3, &V4, &NBIOT] {
                let _ = (codec.decode)(&bytes, &Settings::default());
            }
            let _ = v4_clock(&bytes);
        }

        #[test]
        fn every_step_is_the_difference_of_the_counts_around_it(newest: u32, steps: Vec<u16>) {
            let mut frame = vec![0x5A, 0x20];
            frame.extend(newest.to_be_bytes());
            frame.extend(steps.iter().flat_map(|step| step.to_be_bytes()));
            let reading = (V4.decode)(&frame, &Settings::default())?;
            let Series::Logs(counts) = &reading.channels[&Channel::A] else { panic!() };
            prop_assert_eq!(counts[0], u64::from(newest));
            for (pair, step) in counts.windows(2).zip(&steps) {
                prop_assert_eq!(pair[0].wrapping_sub(pair[1]) & u64::from(u32::MAX), u64::from(*step));
            }
            prop_assert_eq!(counts.len(), steps.len() + 1);
        }
    }
}
