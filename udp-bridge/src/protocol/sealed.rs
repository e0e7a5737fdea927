//! The sealed envelope: authenticates the sender of a datagram, around any vendor's payload. `docs/nbiot-protocol.md`
//! specifies it byte by byte, with worked examples that are tests here.
//!
//! ```text
//!  0      1        2                  10              14           18            18+n      26+n
//! +------+--------+------------------+---------------+------------+-------------+---------+
//! | 0x01 | key ID | IMEI, packed (8) | counter (u32) | time (u32) | payload (n) | tag (8) |
//! +------+--------+------------------+---------------+------------+-------------+---------+
//! ```
//!
//! The tag is HMAC-SHA-256 with the device's key over everything before it, truncated to 8 bytes. The bridge stores no
//! device keys: a device's key is HKDF-SHA-256 of a master key and the device's ID. The acknowledgement has the same
//! form and begins with 0x81, so that an uplink cannot be replayed as an acknowledgement, nor the reverse.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use pulsegate_model::at::At;
use pulsegate_model::device::{DeviceId, Imei};
use pulsegate_model::uplink::{Payload, Radio};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use ring::hmac::{self, HMAC_SHA256};
use subtle::ConstantTimeEq as _;

use super::{IdentifiedUplink, Refusal};

const UPLINK: u8 = 0x01;
const ACKNOWLEDGEMENT: u8 = 0x81;
const HEADER_LEN: usize = 18;
const TAG_LEN: usize = 8;

/// HKDF salt: binds device keys to this format.
const SALT: &[u8] = b"pulsegate sealed envelope 1";

/// Minimum length of a master key, in characters. A key of 256 bits in hex is longer; a shorter text could be guessed.
const MIN_MASTER_KEY: usize = 32;

/// The master keys by ID. A meter names the master key that its own key was derived from, so several are valid at a
/// time and can be replaced one by one.
#[derive(Clone)]
pub struct MasterKeys(Arc<BTreeMap<u8, Prk>>);

/// Invalid set of master keys. The messages never contain a key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MasterKeysError {
    /// Not a JSON object with string values.
    #[error("the master keys are not a JSON object of the form {{\"1\": \"KEY\"}}")]
    Form,
    /// No key.
    #[error("there is no master key, so no meter could be authenticated")]
    Empty,
    /// An ID that does not fit into a byte.
    #[error("{0:?} is not a key ID (0 to 255)")]
    Id(String),
    /// A key of too few characters.
    #[error("master key {0} is shorter than {MIN_MASTER_KEY} characters")]
    Short(u8),
}

impl FromStr for MasterKeys {
    type Err = MasterKeysError;

    /// Parses the text of the secret: a JSON object of key IDs and keys. The bytes of a key's text are the key.
    fn from_str(text: &str) -> Result<Self, MasterKeysError> {
        let keys: BTreeMap<String, String> = serde_json::from_str(text).map_err(|_| MasterKeysError::Form)?;
        let prk = |(id, key): (String, String)| {
            let id: u8 = id.parse().map_err(|_| MasterKeysError::Id(id))?;
            if key.len() < MIN_MASTER_KEY {
                return Err(MasterKeysError::Short(id));
            }
            Ok((id, Salt::new(HKDF_SHA256, SALT).extract(key.as_bytes())))
        };
        let keys = keys.into_iter().map(prk).collect::<Result<BTreeMap<_, _>, _>>()?;
        if keys.is_empty() { Err(MasterKeysError::Empty) } else { Ok(Self(Arc::new(keys))) }
    }
}

impl std::fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKeys({:?})", self.0.keys())
    }
}

/// The key of one device, shared only with the bridge.
pub struct DeviceKey(hmac::Key);

/// The fields between version and payload, in uplinks and acknowledgements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// ID of the master key that the device's key was derived from.
    pub key_id: u8,
    /// The meter.
    pub imei: Imei,
    /// The meter's uplink counter; the acknowledgement repeats it.
    pub counter: u32,
    /// Seconds since 1970, by the sender's clock.
    pub time: u32,
}

impl MasterKeys {
    /// Derives the key of one device; `None` if there is no master key of this ID.
    pub fn device_key(&self, id: u8, imei: Imei) -> Option<DeviceKey> {
        let info = DeviceId::Nbiot(imei).to_string();
        let info = [info.as_bytes()];
        Some(DeviceKey(self.0.get(&id)?.expand(&info, HMAC_SHA256).ok()?.into()))
    }
}

impl DeviceKey {
    /// Seals an uplink, as the meter does.
    pub fn seal_uplink(&self, header: Header, payload: &[u8]) -> Vec<u8> {
        self.seal(UPLINK, header, payload)
    }

    fn seal(&self, version: u8, header: Header, payload: &[u8]) -> Vec<u8> {
        let Header { key_id, imei, counter, time } = header;
        let mut sealed = Vec::with_capacity(HEADER_LEN + payload.len() + TAG_LEN);
        sealed.extend_from_slice(&[version, key_id]);
        sealed.extend_from_slice(&imei.packed());
        sealed.extend_from_slice(&counter.to_be_bytes());
        sealed.extend_from_slice(&time.to_be_bytes());
        sealed.extend_from_slice(payload);
        let tag = self.tag(&sealed);
        sealed.extend_from_slice(&tag);
        sealed
    }

    fn tag(&self, sealed: &[u8]) -> [u8; TAG_LEN] {
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&hmac::sign(&self.0, sealed).as_ref()[..TAG_LEN]);
        tag
    }
}

/// A datagram whose tag is valid.
pub(super) struct Sealed<'a> {
    header: Header,
    payload: &'a [u8],
    key: DeviceKey,
}

/// Authenticates a datagram's sender.
pub(super) fn open<'a>(datagram: &'a [u8], keys: &MasterKeys) -> Result<Sealed<'a>, Refusal> {
    let (sealed, tag) = datagram.split_last_chunk::<TAG_LEN>().ok_or(Refusal::TooShort)?;
    let (header, payload) = sealed.split_first_chunk::<HEADER_LEN>().ok_or(Refusal::TooShort)?;
    let [version, key_id, imei @ .., c0, c1, c2, c3, t0, t1, t2, t3] = *header;
    if version != UPLINK {
        return Err(Refusal::Version(version));
    }
    let imei = Imei::from_packed(imei).map_err(|_| Refusal::Unproven)?;
    let key = keys.device_key(key_id, imei).ok_or(Refusal::Unproven)?;
    if !bool::from(key.tag(sealed).ct_eq(tag)) {
        return Err(Refusal::Unproven);
    }
    let (counter, time) = (u32::from_be_bytes([c0, c1, c2, c3]), u32::from_be_bytes([t0, t1, t2, t3]));
    Ok(Sealed { header: Header { key_id, imei, counter, time }, payload, key })
}

impl Sealed<'_> {
    /// Builds the acknowledgement, with the time of the bridge's clock.
    pub(super) fn acknowledgement(&self) -> Vec<u8> {
        self.key.seal(ACKNOWLEDGEMENT, Header { time: now(), ..self.header }, &[])
    }

    /// Returns the uplink, with this acknowledgement.
    pub(super) fn opened(&self, acknowledgement: Vec<u8>) -> Result<IdentifiedUplink, Refusal> {
        Ok(IdentifiedUplink {
            device: DeviceId::Nbiot(self.header.imei),
            // Also if the clock is not set. The time is part of the uplink's key in the table: with the bridge's time, a
            // recorded and replayed datagram would be another uplink.
            clock: At::from_unix(self.header.time.into()).ok(),
            sealed: true,
            sequence: Some(self.header.counter),
            radio: Radio::default(),
            payload: Payload::from_bytes(self.payload)?,
            others: vec![],
            acknowledgement,
        })
    }
}

/// The bridge's time, in seconds since 1970. A meter can set its clock by it.
pub(super) fn now() -> u32 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since_1970.as_secs().try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEYS: &str =
        r#"{"1": "correct horse battery staple, and then some", "7": "another master key for the rotation"}"#;

    // The worked examples of docs/nbiot-protocol.md, made with Python's hmac as shown there.
    const DEVICE_KEY: &str = "1eb1a27ead008da0193887b69bff1bb9a9964d60320df84dbb984b250126585c";
    const EXAMPLE: &str =
        "01010490154203237518000000076b0036400490154203237518020000000746800000009f000000023f38e84b05e46857";
    const EXAMPLE_ACKNOWLEDGEMENT: &str = "81010490154203237518000000076b00364225f4626fc82c2fda";

    fn keys() -> MasterKeys {
        KEYS.parse().unwrap()
    }

    /// Opens a datagram as a listener does.
    fn open(datagram: &[u8], keys: &MasterKeys) -> Result<IdentifiedUplink, Refusal> {
        let sealed = super::open(datagram, keys)?;
        sealed.opened(sealed.acknowledgement())
    }

    fn example() -> Vec<u8> {
        hex::decode(EXAMPLE).unwrap()
    }

    #[test]
    fn the_worked_example_opens() {
        let opened = open(&example(), &keys()).unwrap();
        assert_eq!(opened.device.to_string(), "nbiot:490154203237518");
        assert_eq!((opened.sequence, opened.clock), (Some(7), "2026-11-20T12:00:00Z".parse().ok()));
        assert_eq!(hex::encode(opened.payload.bytes()), "0490154203237518020000000746800000009f00000002");
    }

    /// The header of the example.
    fn header() -> Header {
        Header { key_id: 1, imei: "490154203237518".parse().unwrap(), counter: 7, time: 1_795_176_000 }
    }

    fn device_key() -> DeviceKey {
        keys().device_key(1, header().imei).unwrap()
    }

    #[test]
    fn the_worked_example_is_sealed_with_the_worked_device_key() {
        let key = DeviceKey(hmac::Key::new(HMAC_SHA256, &hex::decode(DEVICE_KEY).unwrap()));
        let payload = open(&example(), &keys()).unwrap().payload;
        assert_eq!(key.seal_uplink(header(), payload.bytes()), example());
        assert_eq!(device_key().seal_uplink(header(), payload.bytes()), example());
        let acknowledgement = key.seal(ACKNOWLEDGEMENT, Header { time: 1_795_176_002, ..header() }, &[]);
        assert_eq!(hex::encode(acknowledgement), EXAMPLE_ACKNOWLEDGEMENT);
    }

    #[test]
    fn an_acknowledgement_is_never_longer_than_its_datagram_and_is_no_uplink() {
        let shortest = device_key().seal_uplink(header(), &[]);
        let opened = open(&shortest, &keys()).unwrap();
        assert!(opened.acknowledgement.len() <= shortest.len());
        assert_eq!(open(&opened.acknowledgement, &keys()), Err(Refusal::Version(ACKNOWLEDGEMENT)));
    }

    #[test]
    fn an_uplink_has_the_time_of_its_envelope_whatever_it_is() {
        for time in [0, 1_577_836_799, u32::MAX] {
            let datagram = device_key().seal_uplink(Header { time, ..header() }, b"x");
            let opened = open(&datagram, &keys()).unwrap();
            assert_eq!((opened.clock, opened.sealed), (At::from_unix(time.into()).ok(), true));
        }
    }

    #[test]
    fn a_key_of_another_master_or_of_none_proves_nothing() {
        for id in [7, 2] {
            let mut datagram = example();
            datagram[1] = id;
            assert_eq!(open(&datagram, &keys()), Err(Refusal::Unproven));
        }
    }

    #[test]
    fn wrong_master_keys_are_refused_without_saying_what_they_are() {
        let reason = |text: &str| text.parse::<MasterKeys>().unwrap_err().to_string();
        assert!(reason("hunter2").contains("not a JSON object"));
        assert!(reason("{}").contains("no master key"));
        assert_eq!(reason(r#"{"one": "x"}"#), "\"one\" is not a key ID (0 to 255)");
        assert_eq!(reason(r#"{"1": "hunter2"}"#), "master key 1 is shorter than 32 characters");
        assert!(!format!("{:?}", keys()).contains("horse"));
    }

    proptest! {
        #[test]
        fn any_change_of_any_bit_proves_nothing(bit in 0..8_usize, byte: prop::sample::Index) {
            let mut datagram = example();
            let byte = byte.index(datagram.len());
            datagram[byte] ^= 1 << bit;
            prop_assert!(open(&datagram, &keys()).is_err());
        }

        #[test]
        fn no_bytes_panic(datagram: Vec<u8>) {
            let _ = open(&datagram, &keys());
        }
    }
}
