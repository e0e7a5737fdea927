//! Dragino's NB-IoT devices: SW3L-NB, a flow sensor, and CPN01-NB, a counter of a dry contact.
//!
//! One counting input; all integers big-endian; the same bytes over UDP, CoAP, MQTT and TCP.
//!
//! ```text
//!  0                   8                   16        18           20       21        31        35
//! +-------------------+- - - - - - - - - -+---------+------------+--------+---------+---------+-----------
//! | "f", IMEI, packed | "f", IMSI, packed | version | battery mV | signal | own     | time    | records...
//! | (8)               | (8)               | (2)     | (2)        | (1)    | (10)    | (4)     |
//! +-------------------+- - - - - - - - - -+---------+------------+--------+---------+---------+-----------
//!
//! own of a SW3L-NB:  PA4 (1), PB15 (1), alarm (1), mode (1), calculate flag (2), pulses (4)
//!     of a CPN01-NB: mode (1), calculate flag (1), contact (1), alarm (1), pulses (3), last open minutes (3)
//!
//! record of a SW3L-NB:  pulses (4), time (4)
//!        of a CPN01-NB: contact (1), pulses (3), last open minutes (3), time (4)
//!                       contact (1), pulses (3), calculate flag (1), last open minutes (3), time (4)
//! ```
//!
//! Only newer firmware sends the IMSI, and the format of a CPN01's record depends on its firmware too. The profile sets
//! both (`settings.imsi`, `settings.record_bytes`), and a frame that differs from it is rejected. Records are the log,
//! newest first. Times are seconds since 1970. The version's high byte is the model; 100 in its low byte is 1.0.0.
//!
//! The mode determines what a count is. A mode that no source describes is rejected.
//!
//! - SW3L-NB: in mode 0 counts are cumulative, in records too. In mode 1 the count is that of the pulses since the last
//!   uplink ([`Series::Counted`]). No source says from when on the counts of its records are, so they are details.
//! - CPN01-NB: in mode 1, that of all published frames, counts are cumulative, in records too.
//!
//! The calculate flag of an SW3L-NB is the number of pulses per litre; that of a CPN01-NB is a class that users assign to
//! their meters. Neither changes a count.
//!
//! The bytes may arrive as hex in ASCII. The first byte distinguishes the two: an ID in bytes begins with 0xF and a
//! digit, a byte that no text contains. A device can also be set to JSON, which is identified, but not read.
//!
//! Sources: the decoders for Datacake in <https://github.com/dragino/dragino-end-node-decoder>, `Datacake-Dragino_NB/` and
//! `Datacake-Dragino_NB_New_Version/`, commit e81cc58; for the modes `SW3L/` and `SW3L-LB/` there, decoders of the same
//! sensors for `LoRaWAN` (`Last_pulse` in mode 1, else `Total_pulse`); <https://wiki.dragino.com>, manuals of CPN01 and
//! SW3L-NB.

use std::borrow::Cow;

use super::cursor::Cursor;
use super::decoration::{self, HexText};
use super::{
    Acknowledgement, Channel, Codec, Context, Details, Flag, Head, Identify, Reading, Series, Undecodable, checksum,
};
use crate::at::At;
use crate::codec::CodecSettings;
use crate::device::DeviceId;

mod header;
mod json;
mod records;
#[cfg(test)]
mod tests;

use header::{Header, meter};
use records::Record;

/// The flow sensor.
pub static SW3L_NB: Codec = Codec {
    name: "dragino-sw3l-nb",
    version: 2,
    counter_bits: Some(32),
    identify: Some(Identify::Datagram(identify)),
    decode: |frame, context| decode(frame, context, sw3l),
};

/// The counter of a dry contact.
pub static CPN01_NB: Codec = Codec {
    name: "dragino-cpn01-nb",
    version: 2,
    counter_bits: Some(24),
    identify: Some(Identify::Datagram(identify)),
    decode: |frame, context| decode(frame, context, cpn01),
};

/// Identifies the meter of a datagram, whatever follows its ID.
///
/// A message in hex and the same one in bytes are two uplinks with the same points: the datagram is stored unchanged,
/// and must be a function of its key. Dragino documents no acknowledgement over UDP.
fn identify(datagram: &[u8]) -> Result<Head, Undecodable> {
    let (imei, header) = if let Some(imei) = json::imei(datagram) {
        (imei, None)
    } else {
        let frame = bytes(datagram)?;
        (meter(Cursor::new(&frame).array()?)?, Header::read(&mut Cursor::new(&frame)).ok())
    };
    Ok(Head {
        device: DeviceId::Nbiot(imei),
        clock: header.as_ref().and_then(|header| At::from_unix(header.time.into()).ok()),
        sequence: checksum(&[datagram]),
        signal_quality: header.map(|header| header.signal),
        acknowledgement: Acknowledgement::None,
    })
}

/// The bytes of a datagram, which may be sent as hex in ASCII.
///
/// # Errors
/// [`Undecodable::Form`] if it begins like hex, but is not hex, and for JSON.
fn bytes(datagram: &[u8]) -> Result<Cow<'_, [u8]>, Undecodable> {
    const NOT_HEX: Undecodable = Undecodable::Form("the frame begins like hex in ASCII and goes on otherwise");

    let begun = decoration::without_start(datagram);
    match (begun, HexText::of(datagram)) {
        ([first, ..], _) if first >> 4 == 0xF => Ok(Cow::Borrowed(begun)),
        ([b'{', ..], _) => Err(Undecodable::Form(json::REASON)),
        (_, Some(text)) => text.bytes().map(Cow::Owned),
        ([b'f' | b'F', ..], None) => Err(NOT_HEX),
        _ => Ok(Cow::Borrowed(datagram)),
    }
}

/// Reads the fields of a head that only one of the devices has; returns the count and the layout of the records.
type Device = fn(&[u8; 10], &CodecSettings, &mut Reading) -> Result<(Count, Layout), Undecodable>;

/// The count of a head.
#[derive(Clone, Copy)]
enum Count {
    /// Of all pulses.
    Cumulative(u32),
    /// Of the pulses since the last uplink.
    SinceUplink(u32),
}

/// Reads a record, after a head with these own fields.
type ReadRecord = fn(&mut Cursor<'_>, &[u8; 10]) -> Result<Record, Undecodable>;

/// The layout of a record.
struct Layout {
    len: RecordLen,
    read: ReadRecord,
}

/// The length of a record in bytes.
#[derive(Clone, Copy)]
enum RecordLen {
    /// That of all devices of the model.
    Fixed(u8),
    /// That of the profile; `None` if the profile does not set it.
    Profile(Option<u8>),
}

fn decode(frame: &[u8], context: &Context<'_>, device: Device) -> Result<Reading, Undecodable> {
    let frame = bytes(frame)?;
    let mut cursor = Cursor::new(&frame);
    let head = Header::read(&mut cursor)?;
    let Context { settings, clock, .. } = *context;
    match (head.imsi.is_some(), settings.imsi) {
        (true, false) => return Err(Undecodable::Form("the frame has an IMSI, and the profile does not set imsi")),
        (false, true) => return Err(Undecodable::Form("the frame has no IMSI, although the profile sets imsi")),
        _ => {}
    }
    let mut reading = Reading { frame: "uplink", ..Reading::default() };
    head.tell(clock, &mut reading);
    let (count, layout) = device(&head.own, settings, &mut reading)?;
    let records = layout.records(cursor.rest(), &head.own)?;
    let series = match count {
        Count::Cumulative(count) => records::series(head.time, count, &records, clock, &mut reading),
        Count::SinceUplink(count) => records::counted(head.time, count, &records, clock, &mut reading),
    };
    reading.channels.insert(Channel::A, series);
    Ok(reading)
}

impl Layout {
    fn records(&self, rest: &[u8], own: &[u8; 10]) -> Result<Vec<Record>, Undecodable> {
        let rest = self.without_end(rest);
        if rest.is_empty() {
            return Ok(vec![]);
        }
        let len = self.len.bytes().ok_or(Undecodable::Setting("record_bytes"))?;
        if !rest.len().is_multiple_of(len) {
            return Err(Undecodable::Form("no whole records follow the head: the profile's record_bytes is another"));
        }
        let mut cursor = Cursor::new(rest);
        let mut records = Vec::new();
        while cursor.left() > 0 {
            records.push((self.read)(&mut cursor, own)?);
        }
        Ok(records)
    }

    /// The records without a line end or a NUL behind them. Removes nothing behind records whose length the profile sets:
    /// a byte too many can also mean that they have another length.
    fn without_end<'a>(&self, rest: &'a [u8]) -> &'a [u8] {
        let records = match self.len {
            RecordLen::Fixed(len) => rest.len() - rest.len() % usize::from(len),
            RecordLen::Profile(_) => 0,
        };
        let (records, end) = rest.split_at(records);
        if decoration::is_end(end) { records } else { rest }
    }
}

impl RecordLen {
    fn bytes(self) -> Option<usize> {
        match self {
            Self::Fixed(len) => Some(len.into()),
            Self::Profile(len) => len.map(usize::from),
        }
    }
}

fn sw3l(own: &[u8; 10], _: &CodecSettings, reading: &mut Reading) -> Result<(Count, Layout), Undecodable> {
    let [pa4, pb15, alarm, mode, f0, f1, count @ ..] = *own;
    let count = match mode {
        0 => Count::Cumulative(u32::from_be_bytes(count)),
        1 => Count::SinceUplink(u32::from_be_bytes(count)),
        _ => return Err(unknown_mode(mode)),
    };
    for (name, value) in [("pa4", pa4), ("pb15", pb15), ("mod", mode)] {
        reading.details.insert(name, value);
    }
    reading.details.insert("calculate_flag", u16::from_be_bytes([f0, f1]));
    tell_alarm(alarm, Flag::Leak, reading);
    let read = |cursor: &mut Cursor<'_>, _: &[u8; 10]| {
        Ok(Record { count: cursor.u32_be()?, own: vec![], time: cursor.u32_be()? })
    };
    Ok((count, Layout { len: RecordLen::Fixed(8), read }))
}

fn cpn01(own: &[u8; 10], settings: &CodecSettings, reading: &mut Reading) -> Result<(Count, Layout), Undecodable> {
    let [mode, flag, contact, alarm, p0, p1, p2, open @ ..] = *own;
    if mode != 1 {
        return Err(unknown_mode(mode));
    }
    for (name, value) in [("mod", mode), ("calculate_flag", flag), ("contact_status", contact)] {
        reading.details.insert(name, value);
    }
    reading.details.insert("last_open_min", u24(open));
    tell_alarm(alarm, Flag::ContactOpen, reading);
    let read: ReadRecord = if settings.record_bytes == Some(12) { cpn01_record_with_flag } else { cpn01_record };
    Ok((Count::Cumulative(u24([p0, p1, p2])), Layout { len: RecordLen::Profile(settings.record_bytes), read }))
}

/// The counts of a mode that no source describes may start at zero with each uplink.
fn unknown_mode(mode: u8) -> Undecodable {
    Undecodable::UnknownValue { field: "the device's mode (mod)", value: mode.into() }
}

fn cpn01_record(cursor: &mut Cursor<'_>, _: &[u8; 10]) -> Result<Record, Undecodable> {
    let (contact, count, open) = (cursor.u8()?, u24(cursor.array()?), u24(cursor.array()?));
    Ok(Record { count, own: vec![contact.into(), open], time: cursor.u32_be()? })
}

fn cpn01_record_with_flag(cursor: &mut Cursor<'_>, own: &[u8; 10]) -> Result<Record, Undecodable> {
    let [_, flag_of_head, ..] = *own;
    let (contact, count, flag, open) = (cursor.u8()?, u24(cursor.array()?), cursor.u8()?, u24(cursor.array()?));
    let other_flag = Some(flag.into()).filter(|_| flag != flag_of_head);
    let own = [contact.into(), open].into_iter().chain(other_flag).collect();
    Ok(Record { count, own, time: cursor.u32_be()? })
}

/// 1 means an alarm; other values are not documented.
fn tell_alarm(alarm: u8, flag: Flag, reading: &mut Reading) {
    match alarm {
        1 => {
            reading.flags.insert(flag.into());
        }
        other => reading.details.insert_unknown("alarm", other),
    }
}

fn u24([a, b, c]: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, a, b, c])
}
