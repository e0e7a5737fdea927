//! The header before the frames of PULSE 4 NB-IoT.

use super::super::cursor::Cursor;
use super::super::{Acknowledgement, Context, Head, Reading, Undecodable};
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

/// The acknowledgement is the datagram's own header: the device compares it with what it sent. Adeunis documents none, and a
/// device that expects none may ignore it.
pub(super) fn identify(datagram: &[u8]) -> Result<Head, Undecodable> {
    let (header, frame) = split_nbiot(datagram)?;
    Ok(Head {
        device: DeviceId::Nbiot(header.imei),
        clock: v4_clock(frame),
        sequence: header.frame_counter,
        signal_quality: Some(header.signal_quality),
        acknowledgement: Acknowledgement::Echo(NBIOT_HEADER_LEN),
    })
}

/// Keeps the header's IMEI as a detail: in a sealed envelope or by CoAP, the device ID comes from elsewhere.
pub(super) fn decode_datagram(datagram: &[u8], context: &Context<'_>) -> Result<Reading, Undecodable> {
    let (header, frame) = split_nbiot(datagram)?;
    let mut reading = decode(frame, Generation::V4Nbiot, context)?;
    reading.details.insert("imei", header.imei.to_string());
    reading.details.insert("signal_quality", header.signal_quality);
    reading.details.insert("global_frame_counter", header.frame_counter);
    Ok(reading)
}
