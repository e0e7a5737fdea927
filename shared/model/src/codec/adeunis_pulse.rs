//! Adeunis PULSE: generation V2 over Sigfox (ARF8230 family, firmware before APP 2.0), V3 and V4 (APP 2.0 and later)
//! over Sigfox, and PULSE 4 over NB-IoT (ARF8335AA).
//!
//! Two inputs, A and B, that count pulses; all integers big-endian. The frame does not contain the value of a pulse.
//!
//! ```text
//!  0      1        2               6
//! +------+--------+---------------+---------------+ - - - - - - -+
//! | 0x46 | status | index A (u32) | index B (u32) | clock (u32)  |   both counters, now
//! +------+--------+---------------+---------------+ - - - - - - -+
//! | 0x5A | status | index A (u32) | step (u16)... | clock (u32)  |   V3, V4: channel A, now, then backward in time,
//! | 0x5B | status | index B (u32) |               |              |   index(t - 1) = index(t) - step; and channel B
//! +------+--------+---------------+---------------+ - - - - - - -+
//!
//!  0      1        2     3                5                7                9
//! +------+--------+-----+----------------+----------------+----------------+----------------+
//! | 0x48 | status | 0   | index A (u32)                   | index B (u32)                   |   V2: the first log of a series
//! | 0x48 | status | i   | step A (u16)   | step B (u16)   | step A (u16)   | step B (u16)   |   from log 2i - 1 to 2i and on to
//! +------+--------+-----+----------------+----------------+----------------+----------------+   2i + 1; the last frame is short
//!
//!  0      1        2        3                5                7                9                11
//! +------+--------+--------+----------------+----------------+----------------+----------------+ - - - -+
//! | 0x30 | status | alarms | max flow A     | max flow B     | min flow A     | min flow B     | clock  |   once a day
//! +------+--------+--------+-------+--------+-------+ - - - -+----------------+----------------+ - - - -+
//! | 0x47 | status | flow A (u16)   | flow B (u16)   | clock  |   a flow exceeds its limit; all flows in pulses per hour
//! +------+--------+----------------+----------------+ - - - -+
//! ```
//!
//! `configuration.rs` draws the configuration (0x10, 0x11, 0x12), `network.rs` radio settings (0x20) and answers to
//! downlinks (0x31, 0x33). The logs of a V2 series are 10 minutes apart (6 logs, frames 0 to 3) or an hour (24 logs,
//! frames 0 to 12).
//!
//! Status: bits 7-5 frame counter, bit 1 low battery, bit 0 configuration done. Bit 2 is a hardware error in V2 and V3.
//! In V4 it means that the frame ends with a clock (0x46, 0x5A, 0x5B, 0x30 and 0x47), in seconds since 2013-01-01. It
//! is ignored in a history of at most 12 bytes over Sigfox, whose last steps would be read as the clock: the clock is
//! documented for NB-IoT and LoRaWAN. Bit 3 is an inconsistent configuration in V3 only. **The frame does not contain
//! its generation**: the profile sets it. If a frame's length or code is that of another generation than the profile's,
//! the frame is rejected.
//!
//! PULSE 4 NB-IoT sends a header before a V4 frame:
//!
//! ```text
//!  0                      8                9                      13
//! +----------------------+----------------+----------------------+---- - -
//! | IMEI, packed (8)     | signal quality | frame counter (u32)  | V4 frame
//! +----------------------+----------------+----------------------+---- - -
//! ```
//!
//! The log period of a history is a setting of the device (register S321). Of these frames only the configuration
//! contains it, so points are given in log periods.
//!
//! Sources: Adeunis user guides "sigfox RC1 Pulse" V2.0.2, "sigfox RC2 Pulse" V1.0.0 and "LoRaWAN AS-923 Pulse" V1.0.0,
//! technical references "PULSE V3", "PULSE V4" and "PULSE V3 NB-IoT"; the vendor's decoders and tests in
//! `adeunis-codecs-lib` 1.3.0 and in TheThingsNetwork/lorawan-devices, `vendor/adeunis/` (`pulse_lib.js`,
//! `pulse_nbiot_lib.js`).

use super::cursor::Cursor;
use super::{Channel, Codec, Context, Identify, Reading, Undecodable, Value};
use crate::at::At;
use crate::codec::CodecSettings;

mod configuration;
mod counts;
mod flow;
mod nbiot;
mod network;
#[cfg(test)]
mod properties;
mod status;
#[cfg(test)]
mod tests;

pub use nbiot::{NBIOT_HEADER_LEN, NbiotHeader, split_nbiot};

/// Generation V2 over Sigfox.
pub static V2: Codec = Codec {
    name: "adeunis-pulse-v2",
    version: 1,
    counter_bits: Some(32),
    identify: None,
    decode: |frame, context| decode(frame, Generation::V2, context),
};

/// Generation V3 over Sigfox.
pub static V3: Codec = Codec {
    name: "adeunis-pulse-v3",
    version: 2,
    counter_bits: Some(32),
    identify: None,
    decode: |frame, context| decode(frame, Generation::V3, context),
};

/// Generation V4 over Sigfox.
pub static V4: Codec = Codec {
    name: "adeunis-pulse-v4",
    version: 4,
    counter_bits: Some(32),
    identify: None,
    decode: |frame, context| decode(frame, Generation::V4, context),
};

/// PULSE 4 NB-IoT: a header and a V4 frame.
pub static NBIOT: Codec = Codec {
    name: "adeunis-pulse4-nbiot",
    version: 3,
    counter_bits: Some(32),
    identify: Some(Identify::Datagram(nbiot::identify)),
    decode: nbiot::decode_datagram,
};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Generation {
    V2,
    V3,
    V4,
    /// V4 after a header.
    V4Nbiot,
}

/// A kind of frame.
struct Kind {
    code: u8,
    name: &'static str,
    of: &'static [Generation],
    /// True if a V4 frame of this kind ends with a clock if its status says so. In other kinds that bit has no meaning.
    clock: bool,
    read: Read,
}

/// Reads the fields of a frame after its status.
type Read = fn(Cursor<'_>, Device<'_>, &mut Reading) -> Result<(), Undecodable>;

/// The device that sent the frame.
struct Device<'a> {
    generation: Generation,
    settings: &'a CodecSettings,
}

impl Kind {
    const fn new(code: u8, name: &'static str, of: &'static [Generation], read: Read) -> Self {
        Self { code, name, of, clock: false, read }
    }

    const fn with_clock(self) -> Self {
        Self { clock: true, ..self }
    }

    fn of(code: u8, generation: Generation) -> Result<&'static Self, Undecodable> {
        let kind = KINDS.iter().find(|kind| kind.code == code && kind.of.contains(&generation));
        kind.ok_or(match (code, generation) {
            (0x48, _) => Undecodable::Form(OF_V2),
            (0x5A | 0x5B, _) => Undecodable::Form(OF_LATER),
            _ => Undecodable::UnknownFrame(code),
        })
    }
}

static KINDS: [Kind; 13] = {
    use Generation::{V2, V3, V4, V4Nbiot};
    const ALL: &[Generation] = &[V2, V3, V4, V4Nbiot];
    const SIGFOX: &[Generation] = &[V2, V3, V4];
    const LATER: &[Generation] = &[V3, V4, V4Nbiot];
    [
        Kind::new(0x10, "0x10", ALL, |body, of, reading| configuration::general(body, of.generation, reading)),
        Kind::new(0x11, "0x11", SIGFOX, |body, _, reading| configuration::thresholds(body, reading)),
        Kind::new(0x12, "0x12", SIGFOX, |body, of, reading| configuration::detection(body, of.generation, reading)),
        Kind::new(0x20, "0x20", SIGFOX, |body, of, reading| network::radio(body, of.generation, reading)),
        Kind::new(0x20, "0x20", &[V4Nbiot], |body, _, reading| {
            network::server(body, reading);
            Ok(())
        }),
        Kind::new(0x30, "0x30", ALL, |body, _, reading| flow::keep_alive(body, reading)).with_clock(),
        Kind::new(0x31, "0x31", SIGFOX, |body, _, reading| {
            network::registers(body, reading);
            Ok(())
        }),
        Kind::new(0x33, "0x33", LATER, |body, _, reading| network::set_registers(body, reading)),
        Kind::new(0x46, "0x46", ALL, |body, _, reading| counts::data(body, reading)).with_clock(),
        Kind::new(0x47, "0x47", ALL, |body, _, reading| flow::alarm(body, reading)).with_clock(),
        Kind::new(0x48, "0x48", &[V2], |body, of, reading| counts::series(body, of.settings, reading)),
        Kind::new(0x5A, "0x5a", LATER, |body, _, reading| counts::history(body, Channel::A, reading)).with_clock(),
        Kind::new(0x5B, "0x5b", LATER, |body, _, reading| counts::history(body, Channel::B, reading)).with_clock(),
    ]
};

const OF_V2: &str =
    "this is a frame of generation V2, and the profile is of a later one (adeunis-pulse-v2 would be right)";
const OF_LATER: &str = "this is a frame of generation V3 or V4, and the profile is of V2 (adeunis-pulse-v3 or adeunis-pulse-v4 would be right)";

impl Generation {
    fn is_v4(self) -> bool {
        matches!(self, Self::V4 | Self::V4Nbiot)
    }

    /// Rejects a frame whose length is that of another generation.
    fn check_length(self, length: usize, v2: &[usize], later: &[usize]) -> Result<(), Undecodable> {
        match self {
            Self::V2 if later.contains(&length) => Err(Undecodable::Form(OF_LATER)),
            Self::V3 | Self::V4 | Self::V4Nbiot if v2.contains(&length) => Err(Undecodable::Form(OF_V2)),
            _ => Ok(()),
        }
    }
}

/// The time that the clock at the end of a V4 frame over NB-IoT shows, if the frame has one.
pub fn v4_clock(frame: &[u8]) -> Option<At> {
    let &[code, status, _, _, _, _, ..] = frame else { return None };
    let kind = Kind::of(code, Generation::V4).ok().filter(|kind| kind.clock);
    kind.and_then(|_| status::cut_clock(frame, status, Generation::V4Nbiot).ok()?.1?.time())
}

fn decode(frame: &[u8], generation: Generation, context: &Context<'_>) -> Result<Reading, Undecodable> {
    let mut head = Cursor::new(frame);
    let kind = Kind::of(head.u8()?, generation)?;
    let status = head.u8()?;
    let (rest, clock) = if kind.clock { status::cut_clock(frame, status, generation)? } else { (frame, None) };
    let mut body = Cursor::new(rest);
    body.array::<2>()?;

    let mut reading = Reading { frame: kind.name, ..Reading::default() };
    status::read(status, generation, clock, &mut reading);
    (kind.read)(body, Device { generation, settings: context.settings }, &mut reading)?;
    if let Some(clock) = clock {
        clock.date(context.clock, &mut reading);
    }
    Ok(reading)
}

/// The word for a code; for an undocumented one, the number.
fn word(code: u8, words: &[(u8, &'static str)]) -> Value {
    words.iter().find(|(known, _)| *known == code).map_or_else(|| code.into(), |(_, word)| (*word).into())
}
