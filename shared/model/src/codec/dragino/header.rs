//! The head of a frame.

use super::super::cursor::Cursor;
use super::super::{Flag, Reading, Undecodable};
use crate::clock::ClockCheck;
use crate::device::Imei;

/// Parses an ID: the nibble F, and fifteen digits.
pub(super) fn meter(mut id: [u8; 8]) -> Result<Imei, Undecodable> {
    if id[0] >> 4 != 0xF {
        return Err(Undecodable::Form("the frame does not begin with \"f\" and an IMEI"));
    }
    id[0] &= 0x0F;
    Ok(Imei::from_packed(id)?)
}

/// The fields that all these devices send before their records.
pub(super) struct Header {
    imei: Imei,
    pub(super) imsi: Option<[u8; 8]>,
    model: u8,
    version: u8,
    battery_mv: u16,
    pub(super) signal: u8,
    pub(super) own: [u8; 10],
    pub(super) time: u32,
}

impl Header {
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Undecodable> {
        let imei = meter(cursor.array()?)?;
        // No model has a number from 0xF0 on.
        let subscriber = if cursor.peek().is_some_and(|byte| byte >> 4 == 0xF) { Some(cursor.array()?) } else { None };
        Ok(Self {
            imei,
            imsi: subscriber,
            model: cursor.u8()?,
            version: cursor.u8()?,
            battery_mv: cursor.u16_be()?,
            signal: cursor.u8()?,
            own: cursor.array()?,
            time: cursor.u32_be()?,
        })
    }

    pub(super) fn tell(&self, clock: ClockCheck, reading: &mut Reading) {
        reading.battery_mv = Some(self.battery_mv);
        reading.clock = clock.time(self.time);
        if reading.clock.is_none() {
            reading.flags.insert(Flag::ClockNotSet.into());
        }
        let details = &mut reading.details;
        details.insert("imei", self.imei.to_string());
        if let Some(imsi) = self.imsi {
            details.insert("imsi", &hex::encode(imsi)[1..]);
        }
        details.insert("model", self.model);
        let (major, minor, patch) = (self.version / 100, self.version / 10 % 10, self.version % 10);
        details.insert("version", format!("{major}.{minor}.{patch}"));
        details.insert("version_raw", u16::from_be_bytes([self.model, self.version]));
        details.insert("signal", self.signal);
    }
}
