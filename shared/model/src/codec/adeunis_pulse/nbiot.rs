//! The header before the frames of PULSE 4 NB-IoT.

use std::borrow::Cow;

use super::super::cursor::Cursor;
use super::super::decoration::{self, HexText};
use super::super::{Acknowledgement, Context, Head, Reading, Undecodable};
use super::status::{CLOCK, CLOCK_LEN};
use super::{Generation, decode, v4_clock};
use crate::device::{DeviceId, Imei};

/// Bytes before the frame in a PULSE 4 NB-IoT datagram.
pub const NBIOT_HEADER_LEN: usize = 13;

/// The header of a PULSE 4 NB-IoT datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NbiotHeader {
    /// IMEI of the meter.
    pub imei: Imei,
    /// Signal quality as the modem reports it, without a unit.
    pub signal_quality: u8,
    /// Counts every frame that the meter sent.
    pub frame_counter: u32,
}

/// Splits a datagram into its header and the V4 frame after it, which is not checked.
///
/// # Errors
/// [`Undecodable::TooShort`] without a whole header and at least a frame code and status after it,
/// [`Undecodable::Device`] if the header has no valid IMEI.
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

/// The bytes of a datagram, which may be sent as hex in ASCII, and the length of its header as it was sent.
///
/// # Errors
/// [`Undecodable::Form`] for any other text: its first characters can look like a packed IMEI, which would be another
/// meter's. A binary datagram is no text, because a packed IMEI of 15 digits begins with a byte below 0x10.
fn bytes(datagram: &[u8]) -> Result<(Cow<'_, [u8]>, usize), Undecodable> {
    match HexText::of(datagram) {
        Some(text) => Ok((Cow::Owned(text.bytes()?), text.len_of(NBIOT_HEADER_LEN))),
        None if decoration::is_text(datagram) => Err(Undecodable::Form("the datagram is a text, but not hex")),
        None => Ok((Cow::Borrowed(datagram), NBIOT_HEADER_LEN)),
    }
}

/// The frame without a line end or a NUL behind it, if its kind has one length. A history has none, but a byte too many
/// cannot be a step of two bytes; CR and LF behind it can.
fn without_end(frame: &[u8]) -> &[u8] {
    let &[code, status, ..] = frame else { return frame };
    let clock = if status & CLOCK == 0 { 0 } else { CLOCK_LEN };
    let len = match code {
        0x10 => 28,
        0x30 => 11 + clock,
        0x33 => 5,
        0x46 => 10 + clock,
        0x47 => 6 + clock,
        0x5A | 0x5B => frame.len() / 2 * 2,
        _ => return frame,
    };
    match frame.split_at_checked(len) {
        Some((whole, end)) if decoration::is_end(end) => whole,
        _ => frame,
    }
}

/// The acknowledgement is the datagram's own header: the device compares it with what it sent. Adeunis documents none, and a
/// device that expects none may ignore it.
pub(super) fn identify(datagram: &[u8]) -> Result<Head, Undecodable> {
    let (bytes, header_len) = bytes(datagram)?;
    let (header, frame) = split_nbiot(&bytes)?;
    let frame = without_end(frame);
    Ok(Head {
        device: DeviceId::Nbiot(header.imei),
        clock: v4_clock(frame),
        sequence: header.frame_counter,
        signal_quality: Some(header.signal_quality),
        acknowledgement: Acknowledgement::Echo(header_len),
    })
}

/// Keeps the header's IMEI as a detail: in a sealed envelope or by CoAP, the device ID comes from elsewhere.
pub(super) fn decode_datagram(datagram: &[u8], context: &Context<'_>) -> Result<Reading, Undecodable> {
    let (bytes, _) = bytes(datagram)?;
    let (header, frame) = split_nbiot(&bytes)?;
    let mut reading = decode(without_end(frame), Generation::V4Nbiot, context)?;
    reading.details.insert("imei", header.imei.to_string());
    reading.details.insert("signal_quality", header.signal_quality);
    reading.details.insert("global_frame_counter", header.frame_counter);
    Ok(reading)
}
