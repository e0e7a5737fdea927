//! The sealed envelope from the meter's side: seals uplinks and checks acknowledgements as `docs/nbiot-protocol.md` asks of
//! firmware.
//!
//! This is written from that page and not with the bridge's code, so that the two can disagree.

use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use ring::hmac::{self, HMAC_SHA256};

/// The length of an acknowledgement without a downlink.
pub const ACKNOWLEDGEMENT_LEN: usize = HEADER_LEN + TAG_LEN;

/// The bytes that an envelope adds to its payload.
pub const OVERHEAD: usize = HEADER_LEN + TAG_LEN;

const UPLINK: u8 = 0x01;
const ACKNOWLEDGEMENT: u8 = 0x81;
const HEADER_LEN: usize = 18;
const TAG_LEN: usize = 8;
const SALT: &[u8] = b"pulsegate sealed envelope 1";

/// The ID of the master key of [`master_keys`].
const KEY_ID: u8 = 1;
const MASTER_KEY: &str = "the master key of meters that only exist in measurements";

/// The secret of master keys that a bridge under test reads.
pub fn master_keys() -> String {
    format!(r#"{{"{KEY_ID}": "{MASTER_KEY}"}}"#)
}

/// A master key. It derives device keys and keeps none: a derivation takes one or two microseconds.
#[derive(Debug)]
pub struct MasterKey {
    id: u8,
    prk: Prk,
}

/// The key of one meter, for both directions.
#[derive(Debug)]
pub struct DeviceKey {
    key_id: u8,
    imei: [u8; 8],
    key: hmac::Key,
}

/// The key of [`master_keys`].
impl Default for MasterKey {
    fn default() -> Self {
        Self::new(KEY_ID, MASTER_KEY)
    }
}

impl MasterKey {
    /// The key with this ID in a secret of master keys.
    pub fn new(id: u8, key: &str) -> Self {
        Self { id, prk: Salt::new(HKDF_SHA256, SALT).extract(key.as_bytes()) }
    }

    /// Derives the key of the meter with this packed IMEI; `None` if it is not an IMEI.
    pub fn device_key(&self, packed: [u8; 8]) -> Option<DeviceKey> {
        let imei = unpacked(packed)?;
        let info = format!("nbiot:{imei:015}");
        let key = self.prk.expand(&[info.as_bytes()], HMAC_SHA256).ok()?.into();
        Some(DeviceKey { key_id: self.id, imei: packed, key })
    }

    /// Returns IMEI and counter of an acknowledgement; `None` if it is not one, or its tag is wrong.
    pub fn acknowledged(&self, datagram: &[u8]) -> Option<([u8; 8], u32)> {
        let (key, header) = self.verified(ACKNOWLEDGEMENT, datagram)?;
        Some((key.imei, counter(header)))
    }

    /// True if a datagram is an uplink with the right tag.
    pub fn proves(&self, datagram: &[u8]) -> bool {
        self.verified(UPLINK, datagram).is_some()
    }

    /// Acknowledges an uplink; `None` if it is not one, or its tag is wrong.
    pub fn acknowledgement(&self, datagram: &[u8], time: u32) -> Option<[u8; ACKNOWLEDGEMENT_LEN]> {
        let (key, header) = self.verified(UPLINK, datagram)?;
        let mut answer = [0; ACKNOWLEDGEMENT_LEN];
        answer[..HEADER_LEN].copy_from_slice(header);
        answer[0] = ACKNOWLEDGEMENT;
        answer[14..HEADER_LEN].copy_from_slice(&time.to_be_bytes());
        key.fill_in_tag(&mut answer);
        Some(answer)
    }

    /// Key and header of a datagram of this kind, if its tag is right.
    fn verified<'a>(&self, kind: u8, datagram: &'a [u8]) -> Option<(DeviceKey, &'a [u8; HEADER_LEN])> {
        let header = header(kind, self.id, datagram)?;
        let key = self.device_key(imei(header))?;
        key.has_right_tag(datagram).then_some((key, header))
    }
}

impl DeviceKey {
    /// The packed IMEI of the meter.
    pub fn imei(&self) -> [u8; 8] {
        self.imei
    }

    /// Seals an uplink: the same bytes every time.
    pub fn seal(&self, counter: u32, time: u32, payload: &[u8]) -> Vec<u8> {
        let mut datagram = vec![0; OVERHEAD + payload.len()];
        self.seal_into(&mut datagram, (counter, time), payload);
        datagram
    }

    /// Seals an uplink into a buffer of its length, without an allocation.
    ///
    /// # Panics
    /// If the buffer is not [`OVERHEAD`] bytes longer than the payload.
    pub fn seal_into(&self, datagram: &mut [u8], (counter, time): (u32, u32), payload: &[u8]) {
        assert_eq!(datagram.len(), OVERHEAD + payload.len(), "the length of a sealed uplink");
        datagram[..2].copy_from_slice(&[UPLINK, self.key_id]);
        datagram[2..10].copy_from_slice(&self.imei);
        datagram[10..14].copy_from_slice(&counter.to_be_bytes());
        datagram[14..HEADER_LEN].copy_from_slice(&time.to_be_bytes());
        datagram[HEADER_LEN..][..payload.len()].copy_from_slice(payload);
        self.fill_in_tag(datagram);
    }

    /// True if the last bytes of a datagram are its tag under this key.
    pub fn has_right_tag(&self, datagram: &[u8]) -> bool {
        datagram.split_last_chunk::<TAG_LEN>().is_some_and(|(sealed, tag)| self.tag(sealed) == *tag)
    }

    fn tag(&self, sealed: &[u8]) -> [u8; TAG_LEN] {
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&hmac::sign(&self.key, sealed).as_ref()[..TAG_LEN]);
        tag
    }

    fn fill_in_tag(&self, datagram: &mut [u8]) {
        let (sealed, tag) = datagram.split_at_mut(datagram.len() - TAG_LEN);
        tag.copy_from_slice(&self.tag(sealed));
    }
}

/// IMEI and counter of an acknowledgement under the key of [`master_keys`], without a check of its tag:
/// [`DeviceKey::has_right_tag`] is that check. `None` if it is not an acknowledgement.
pub fn unverified_acknowledgement(datagram: &[u8]) -> Option<(u64, u32)> {
    let header = header(ACKNOWLEDGEMENT, KEY_ID, datagram)?;
    Some((unpacked(imei(header))?, counter(header)))
}

/// The time in an acknowledgement, by which a meter sets its clock, without a check of its tag. `None` if it is too short.
pub fn time(acknowledgement: &[u8]) -> Option<u32> {
    let header = acknowledgement.first_chunk::<HEADER_LEN>()?;
    header.last_chunk().map(|time| u32::from_be_bytes(*time))
}

/// The header of a datagram of this kind that names this master key and is long enough for a tag.
fn header(kind: u8, key_id: u8, datagram: &[u8]) -> Option<&[u8; HEADER_LEN]> {
    let (sealed, _) = datagram.split_last_chunk::<TAG_LEN>()?;
    sealed.first_chunk::<HEADER_LEN>().filter(|header| header[..2] == [kind, key_id])
}

fn imei(header: &[u8; HEADER_LEN]) -> [u8; 8] {
    let [_, _, imei @ .., _, _, _, _, _, _, _, _] = *header;
    imei
}

fn counter(header: &[u8; HEADER_LEN]) -> u32 {
    let [.., c0, c1, c2, c3, _, _, _, _] = *header;
    u32::from_be_bytes([c0, c1, c2, c3])
}

/// An IMEI as two decimal digits per byte.
pub fn packed(mut imei: u64) -> [u8; 8] {
    let mut bytes = [0; 8];
    for byte in bytes.iter_mut().rev() {
        let two_digits = (imei % 100) as u8;
        *byte = ((two_digits / 10) << 4) | (two_digits % 10);
        imei /= 100;
    }
    bytes
}

fn unpacked(bytes: [u8; 8]) -> Option<u64> {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
    digits.map(u64::from).try_fold(0, |number, digit| (digit < 10).then_some(number * 10 + digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of `docs/nbiot-protocol.md`.
    #[test]
    fn it_seals_as_the_worked_example_does() {
        let master = MasterKey::new(1, "correct horse battery staple, and then some");
        let key = master.device_key(packed(490_154_203_237_518)).unwrap();
        let payload = b"\x04\x90\x15\x42\x03\x23\x75\x18\x02\x00\x00\x00\x07\x46\x80\x00\x00\x00\x9f\x00\x00\x00\x02";
        let datagram = key.seal(7, 0x6B00_3640, payload);
        assert_eq!(datagram[..18], *b"\x01\x01\x04\x90\x15\x42\x03\x23\x75\x18\x00\x00\x00\x07\x6b\x00\x36\x40");
        assert_eq!((&datagram[18..41], &datagram[41..]), (&payload[..], &b"\x3f\x38\xe8\x4b\x05\xe4\x68\x57"[..]));
    }

    #[test]
    fn an_acknowledgement_is_read_alike_with_and_without_the_check_of_its_tag() {
        let (master, imei) = (MasterKey::default(), 350_000_000_000_007);
        let key = master.device_key(packed(imei)).unwrap();
        let mut answer = master.acknowledgement(&key.seal(42, 7, b"payload"), 8).unwrap();
        assert_eq!(master.acknowledged(&answer), Some((packed(imei), 42)));
        assert_eq!(unverified_acknowledgement(&answer), Some((imei, 42)));
        assert!(key.has_right_tag(&answer));
        answer[17] ^= 1;
        assert_eq!((master.acknowledged(&answer), key.has_right_tag(&answer)), (None, false));
        assert_eq!(unverified_acknowledgement(&answer), Some((imei, 42)));
    }
}
