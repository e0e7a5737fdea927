//! Device IDs, one spelling per device.
//!
//! A device's ID is the partition key of all its messages, so two spellings would be two meters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

/// The radio network of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Sigfox: uplinks arrive as HTTP callbacks.
    Sigfox,
    /// NB-IoT: uplinks arrive as UDP datagrams.
    Nbiot,
}

/// A device on its network, written `sigfox:1A2345`, `nbiot:490154203237518` or `nbiot:282C02424EED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum DeviceId {
    /// A Sigfox device.
    Sigfox(SigfoxId),
    /// An NB-IoT device, identified by its modem.
    Nbiot(Imei),
    /// An NB-IoT device whose frames contain a serial number instead.
    NbiotSerial(Serial),
}

/// A Sigfox device ID: 32 bits, written in upper-case hex without leading zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SigfoxId(u32);

/// An International Mobile Equipment Identity (3GPP TS 23.003, section 6): 15 decimal digits, or 16 where the maker
/// sends the form with a software version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Imei(u64);

/// A serial number of 48 bits, written as 12 upper-case hex digits: three fewer than an IMEI has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(u64);

/// Not a device ID.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum DeviceIdError {
    /// Not `network:id`.
    #[error("{0:?} is not a device ID of the form sigfox:1A2345, nbiot:490154203237518 or nbiot:282C02424EED")]
    Form(String),
    /// Not a Sigfox ID.
    #[error("{0:?} is not a Sigfox device ID (one to eight hex digits)")]
    Sigfox(String),
    /// Not an IMEI.
    #[error("{0:?} is not an IMEI (15 or 16 decimal digits, not all of them zero)")]
    Imei(String),
    /// Not a serial number.
    #[error("{0:?} is not a serial number (12 hex digits, not all of them zero)")]
    Serial(String),
}

impl DeviceId {
    /// The network before the colon.
    pub fn network(self) -> Network {
        match self {
            Self::Sigfox(_) => Network::Sigfox,
            Self::Nbiot(_) | Self::NbiotSerial(_) => Network::Nbiot,
        }
    }
}

impl Imei {
    /// From packed digits, two per byte, high nibble first, as meters send them before their frames. An IMEI of 15
    /// digits has a leading zero, which is dropped.
    ///
    /// # Errors
    /// [`DeviceIdError::Imei`] if a nibble is not a decimal digit or all are zero.
    pub fn from_packed(bytes: [u8; 8]) -> Result<Self, DeviceIdError> {
        let mut number = 0;
        for nibble in bytes.into_iter().flat_map(|byte| [byte >> 4, byte & 0x0F]) {
            if nibble > 9 {
                return Err(DeviceIdError::Imei(hex::encode(bytes)));
            }
            number = number * 10 + u64::from(nibble);
        }
        Self::try_from(number)
    }

    /// The digits as one number.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The packed digits, with a leading zero for an IMEI of 15 digits.
    pub fn packed(self) -> [u8; 8] {
        let mut rest = self.0;
        let mut bytes = [0; 8];
        for byte in bytes.iter_mut().rev() {
            let two_digits = (rest % 100) as u8;
            *byte = ((two_digits / 10) << 4) | (two_digits % 10);
            rest /= 100;
        }
        bytes
    }
}

impl Serial {
    /// The number of hex digits.
    const DIGITS: usize = 12;

    /// The digits as one number.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for Serial {
    type Error = DeviceIdError;

    fn try_from(number: u64) -> Result<Self, DeviceIdError> {
        // No maker gives a device the number zero.
        if (1..1 << 48).contains(&number) {
            Ok(Self(number))
        } else {
            Err(DeviceIdError::Serial(format!("{number:012X}")))
        }
    }
}

impl TryFrom<[u8; 6]> for Serial {
    type Error = DeviceIdError;

    fn try_from(bytes: [u8; 6]) -> Result<Self, DeviceIdError> {
        bytes.into_iter().fold(0, |number, byte| number << 8 | u64::from(byte)).try_into()
    }
}

impl FromStr for Serial {
    type Err = DeviceIdError;

    fn from_str(text: &str) -> Result<Self, DeviceIdError> {
        let digits = text.len() == Self::DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = digits.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.ok_or_else(|| DeviceIdError::Serial(text.to_owned()))?.try_into()
    }
}

impl FromStr for SigfoxId {
    type Err = DeviceIdError;

    fn from_str(text: &str) -> Result<Self, DeviceIdError> {
        let digits = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        let id = digits.then(|| u32::from_str_radix(text, 16).ok()).flatten();
        id.map(Self).ok_or_else(|| DeviceIdError::Sigfox(text.to_owned()))
    }
}

impl FromStr for Imei {
    type Err = DeviceIdError;

    fn from_str(text: &str) -> Result<Self, DeviceIdError> {
        let digits = (15..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let number: Option<u64> = digits.then(|| text.parse().ok()).flatten();
        number.ok_or_else(|| DeviceIdError::Imei(text.to_owned()))?.try_into()
    }
}

impl TryFrom<u64> for Imei {
    type Error = DeviceIdError;

    fn try_from(number: u64) -> Result<Self, DeviceIdError> {
        // A module reports zeros until it gets its number, so zero would be one "device" for a whole fleet.
        if (1..10_u64.pow(16)).contains(&number) {
            Ok(Self(number))
        } else {
            Err(DeviceIdError::Imei(format!("{number:015}")))
        }
    }
}

impl SigfoxId {
    /// The ID as a number.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl From<u32> for SigfoxId {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl FromStr for DeviceId {
    type Err = DeviceIdError;

    fn from_str(text: &str) -> Result<Self, DeviceIdError> {
        match text.split_once(':') {
            Some(("sigfox", id)) => Ok(Self::Sigfox(id.parse()?)),
            Some(("nbiot", id)) if id.len() == Serial::DIGITS => Ok(Self::NbiotSerial(id.parse()?)),
            Some(("nbiot", id)) => Ok(Self::Nbiot(id.parse()?)),
            _ => Err(DeviceIdError::Form(text.to_owned())),
        }
    }
}

impl fmt::Display for SigfoxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}", self.0)
    }
}

impl fmt::Display for Imei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:015}", self.0)
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012X}", self.0)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sigfox => "sigfox",
            Self::Nbiot => "nbiot",
        })
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.network())?;
        match self {
            Self::Sigfox(id) => id.fmt(f),
            Self::Nbiot(id) => id.fmt(f),
            Self::NbiotSerial(id) => id.fmt(f),
        }
    }
}

impl TryFrom<String> for DeviceId {
    type Error = DeviceIdError;

    fn try_from(text: String) -> Result<Self, DeviceIdError> {
        text.parse()
    }
}

impl Serialize for DeviceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(text.parse::<DeviceId>().map(|id| id.to_string()), Ok(expected.to_owned()));
    }

    #[test]
    fn padded_and_lower_case_sigfox_ids_are_the_same_device() {
        check("sigfox:1A2345", "sigfox:1A2345");
        check("sigfox:001a2345", "sigfox:1A2345");
        check("sigfox:00A0", "sigfox:A0");
    }

    #[test]
    fn an_imei_keeps_its_own_leading_zero_and_loses_the_packing_one() {
        check("nbiot:490154203237518", "nbiot:490154203237518");
        check("nbiot:0490154203237518", "nbiot:490154203237518");
        check("nbiot:0013550000000000", "nbiot:013550000000000");
        check("nbiot:1122334455667788", "nbiot:1122334455667788");
    }

    #[test]
    fn twelve_digits_are_a_serial_number_and_no_imei() {
        check("nbiot:282C02424EED", "nbiot:282C02424EED");
        check("nbiot:282c02424eed", "nbiot:282C02424EED");
        check("nbiot:000000000001", "nbiot:000000000001");
        assert_eq!("nbiot:123456789012".parse(), Ok(DeviceId::NbiotSerial(Serial(0x1234_5678_9012))));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "sigfox:", "sigfox:+1A", "sigfox:123456789", "sigfox:G", "lora:1", "nbiot:12345678901234"] {
            assert!(text.parse::<DeviceId>().is_err(), "{text}");
        }
        for text in ["nbiot:000000000000000", "nbiot:000000000000", "nbiot:282C02424EEG", "nbiot:+82C02424EED"] {
            assert!(text.parse::<DeviceId>().is_err(), "{text}");
        }
        assert!(Serial::try_from([0; 6]).is_err());
        assert!(Imei::from_packed([0xFF; 8]).is_err());
    }

    proptest! {
        #[test]
        fn every_id_is_read_back_as_it_was_written(
            sigfox: u32,
            imei in 1..10_000_000_000_000_000_u64,
            serial in 1..1_u64 << 48,
        ) {
            let ids = [DeviceId::Sigfox(SigfoxId(sigfox)), DeviceId::Nbiot(Imei(imei)), DeviceId::NbiotSerial(Serial(serial))];
            for id in ids {
                prop_assert_eq!(id.to_string().parse::<DeviceId>(), Ok(id));
            }
            prop_assert_eq!(Imei::from_packed(Imei(imei).packed()), Ok(Imei(imei)));
        }

        #[test]
        fn a_device_has_one_spelling(text in "nbiot:[0-9A-Fa-f]{10,17}") {
            if let Ok(id) = text.parse::<DeviceId>() {
                let spelled = id.to_string();
                prop_assert_eq!(spelled.to_uppercase(), spelled.replace("nbiot", "NBIOT"));
                prop_assert_eq!(spelled.parse(), Ok(id));
            }
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<DeviceId>();
        }
    }
}
