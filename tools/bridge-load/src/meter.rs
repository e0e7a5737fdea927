//! The meters: whose reading is which, sealed and checked as `docs/nbiot-protocol.md` asks of firmware.
//!
//! This is written from that page and not with the bridge's code, so that the two can disagree. It is the one place among
//! the tools that knows the envelope: `fleet` seals with it, too.
//!
//! Readings are numbered through. With D meters, reading `n` is the one with counter `n / D` of meter `n % D`; all its
//! bytes follow from that, so a repetition needs no memory of the first.

use pulsegate_model::at::At;
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use ring::hmac::{self, HMAC_SHA256};

/// An uplink with a data frame of a pulse meter: header, 23 bytes, tag.
pub const UPLINK_LEN: usize = HEADER_LEN + PAYLOAD_LEN + TAG_LEN;

/// An acknowledgement without a downlink, which is what there is so far.
pub const ACKNOWLEDGEMENT_LEN: usize = HEADER_LEN + TAG_LEN;

const UPLINK: u8 = 0x01;
const ACKNOWLEDGEMENT: u8 = 0x81;
const HEADER_LEN: usize = 18;
const PAYLOAD_LEN: usize = 23;
const TAG_LEN: usize = 8;

const KEY_ID: u8 = 1;
const MASTER_KEY: &str = "the master key of meters that only exist in measurements";
const SALT: &[u8] = b"pulsegate sealed envelope 1";

const FIRST_IMEI: u64 = 350_000_000_000_000;

/// 2026-11-20T12:00:00Z, and an hour between readings.
const FIRST_TIME: u32 = 1_795_176_000;
const PERIOD: u32 = 3_600;

/// The secret that the bridge is to read.
pub fn master_keys() -> String {
    format!(r#"{{"{KEY_ID}": "{MASTER_KEY}"}}"#)
}

/// What proves a meter, in either direction.
#[derive(Debug)]
pub struct Meter {
    key_id: u8,
    imei: [u8; 8],
    key: hmac::Key,
}

/// A fleet's meters, their keys at hand.
#[derive(Debug)]
pub struct Meters(Vec<Meter>);

/// Device keys, for who does not keep them: a receiver that has to derive them from what a datagram says, or a fleet of
/// millions. That takes a microsecond or two.
#[derive(Debug)]
pub struct MasterKey {
    id: u8,
    prk: Prk,
}

/// That of [`master_keys`].
impl Default for MasterKey {
    fn default() -> Self {
        Self::new(KEY_ID, MASTER_KEY)
    }
}

impl MasterKey {
    /// The key of this ID in a secret of master keys.
    pub fn new(id: u8, key: &str) -> Self {
        Self { id, prk: Salt::new(HKDF_SHA256, SALT).extract(key.as_bytes()) }
    }

    /// The meter with this IMEI; `None` if it is none.
    pub fn meter(&self, packed: [u8; 8]) -> Option<Meter> {
        let imei = unpacked(packed)?;
        let info = format!("nbiot:{imei:015}");
        let key = self.prk.expand(&[info.as_bytes()], HMAC_SHA256).ok()?.into();
        Some(Meter { key_id: self.id, imei: packed, key })
    }

    /// IMEI and counter that a datagram acknowledges; `None` for anything that is no acknowledgement to the meter that it names.
    pub fn acknowledged(&self, datagram: &[u8]) -> Option<([u8; 8], u32)> {
        let (meter, header) = self.proven(ACKNOWLEDGEMENT, datagram)?;
        Some((meter.imei, u32::from_be_bytes(*header[10..].first_chunk()?)))
    }

    /// Whether a datagram is an uplink of the meter that it names.
    pub fn proves(&self, datagram: &[u8]) -> bool {
        self.proven(UPLINK, datagram).is_some()
    }

    /// The acknowledgement of an uplink; `None` for anything that proves nothing.
    pub fn acknowledgement(&self, datagram: &[u8], time: u32) -> Option<[u8; ACKNOWLEDGEMENT_LEN]> {
        let (meter, header) = self.proven(UPLINK, datagram)?;
        let mut answer = [0; ACKNOWLEDGEMENT_LEN];
        answer[..HEADER_LEN].copy_from_slice(header);
        answer[0] = ACKNOWLEDGEMENT;
        answer[14..HEADER_LEN].copy_from_slice(&time.to_be_bytes());
        meter.fill_in_tag(&mut answer);
        Some(answer)
    }

    /// Header and meter of a datagram of this kind, if its tag is right.
    fn proven<'a>(&self, kind: u8, datagram: &'a [u8]) -> Option<(Meter, &'a [u8; HEADER_LEN])> {
        let (sealed, tag) = datagram.split_last_chunk::<TAG_LEN>()?;
        let header = sealed.first_chunk::<HEADER_LEN>().filter(|header| header[..2] == [kind, self.id])?;
        let [_, _, imei @ .., _, _, _, _, _, _, _, _] = *header;
        let meter = self.meter(imei)?;
        (meter.tag(sealed) == *tag).then_some((meter, header))
    }
}

impl Meter {
    /// The datagram of an uplink: the same bytes every time.
    pub fn seal(&self, counter: u32, time: u32, payload: &[u8]) -> Vec<u8> {
        let mut datagram = vec![0; HEADER_LEN + payload.len() + TAG_LEN];
        self.write(&mut datagram, (counter, time), payload);
        datagram
    }

    /// Into a buffer of just its length.
    fn write(&self, datagram: &mut [u8], (counter, time): (u32, u32), payload: &[u8]) {
        datagram[..2].copy_from_slice(&[UPLINK, self.key_id]);
        datagram[2..10].copy_from_slice(&self.imei);
        datagram[10..14].copy_from_slice(&counter.to_be_bytes());
        datagram[14..HEADER_LEN].copy_from_slice(&time.to_be_bytes());
        datagram[HEADER_LEN..][..payload.len()].copy_from_slice(payload);
        self.fill_in_tag(datagram);
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

impl Meters {
    /// So many of them.
    pub fn new(count: u32) -> Self {
        let master = MasterKey::default();
        Self((0..count).filter_map(|device| master.meter(packed(FIRST_IMEI + u64::from(device)))).collect())
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// Which meter sends a reading.
    pub fn device(&self, number: u64) -> usize {
        usize::try_from(number % self.count()).unwrap_or_default()
    }

    /// The datagram of a reading: the same bytes every time.
    pub fn uplink(&self, number: u64) -> [u8; UPLINK_LEN] {
        let (meter, counter) = (&self.0[self.device(number)], self.counter(number));
        let mut datagram = [0; UPLINK_LEN];
        meter.write(&mut datagram, (counter, time(counter)), &payload(meter.imei, counter));
        datagram
    }

    /// The reading that a datagram acknowledges; `None` for anything that is no acknowledgement to one of these meters.
    pub fn acknowledged(&self, datagram: &[u8], tag_is_checked: impl Fn(u64) -> bool) -> Option<u64> {
        let (sealed, tag) = datagram.split_last_chunk::<TAG_LEN>()?;
        let header = sealed.first_chunk::<HEADER_LEN>().filter(|header| header[..2] == [ACKNOWLEDGEMENT, KEY_ID])?;
        let [_, _, imei @ .., c0, c1, c2, c3, _, _, _, _] = *header;
        let number = self.number(unpacked(imei)?, u32::from_be_bytes([c0, c1, c2, c3]))?;
        (!tag_is_checked(number) || self.0[self.device(number)].tag(sealed) == *tag).then_some(number)
    }

    /// The reading that is stored under this key with this payload; `None` if no meter of these has sent such a one.
    /// `docs/data-model.md` has the form of the keys.
    pub fn stored(&self, device: &str, uplink: &str, stored: &[u8]) -> Option<u64> {
        let (at, sequence) = uplink.strip_suffix("#data")?.split_once('#')?;
        let counter = sequence.parse().ok()?;
        let number = self.number(device.strip_prefix("nbiot:")?.parse().ok()?, counter)?;
        let its_own = at == At::from_unix(time(counter).into()).ok()?.to_string()
            && sequence == format!("{counter:05}")
            && stored == payload(self.0[self.device(number)].imei, counter);
        its_own.then_some(number)
    }

    fn number(&self, imei: u64, counter: u32) -> Option<u64> {
        let device = imei.checked_sub(FIRST_IMEI).filter(|&device| device < self.count())?;
        Some(u64::from(counter) * self.count() + device)
    }

    /// Two readings of a meter have the same counter after 2^32 of them.
    #[expect(clippy::cast_possible_truncation, reason = "a counter starts again at zero")]
    fn counter(&self, number: u64) -> u32 {
        (number / self.count()) as u32
    }
}

fn time(counter: u32) -> u32 {
    FIRST_TIME.wrapping_add(counter.wrapping_mul(PERIOD))
}

/// A data frame of Adeunis PULSE 4 NB-IoT, with the indexes of its published example.
fn payload(imei: [u8; 8], counter: u32) -> [u8; PAYLOAD_LEN] {
    const FRAME: [u8; 10] = [0x46, 0x80, 0x00, 0x00, 0x00, 0x9F, 0x00, 0x00, 0x00, 0x02];
    const SIGNAL_QUALITY: u8 = 3;
    let mut payload = [0; PAYLOAD_LEN];
    payload[..8].copy_from_slice(&imei);
    payload[8] = SIGNAL_QUALITY;
    payload[9..13].copy_from_slice(&counter.to_be_bytes());
    payload[13..].copy_from_slice(&FRAME);
    payload
}

fn packed(mut imei: u64) -> [u8; 8] {
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

    const METERS: u32 = 10;

    #[test]
    fn a_reading_is_acknowledged_by_its_own_acknowledgement_and_by_no_other() {
        let meters = Meters::new(METERS);
        let answer = MasterKey::default().acknowledgement(&meters.uplink(42), FIRST_TIME).unwrap();
        assert_eq!(meters.acknowledged(&answer, |_| true), Some(42));
        for byte in 0..answer.len() {
            let mut forged = answer;
            forged[byte] ^= 1;
            assert_eq!(meters.acknowledged(&forged, |_| true), None, "byte {byte}");
        }
        assert_eq!(meters.acknowledged(&meters.uplink(42), |_| true), None);
    }

    #[test]
    fn a_forged_reading_is_not_acknowledged() {
        let uplink = Meters::new(METERS).uplink(42);
        for byte in 0..uplink.len() {
            let mut forged = uplink;
            forged[byte] ^= 1;
            assert_eq!(MasterKey::default().acknowledgement(&forged, FIRST_TIME), None, "byte {byte}");
        }
    }

    #[test]
    fn a_stored_reading_is_known_by_all_that_it_is_stored_with() {
        let meters = Meters::new(METERS);
        let payload = payload(packed(FIRST_IMEI + 2), 4);
        let (device, key) = ("nbiot:350000000000002", "2026-11-20T16:00:00Z#00004#data");
        assert_eq!(meters.stored(device, key, &payload), Some(42));
        assert_eq!(meters.stored(device, "2026-11-20T17:00:00Z#00004#data", &payload), None);
        assert_eq!(meters.stored("nbiot:350000000000003", key, &payload), None);
        assert_eq!(meters.stored("nbiot:350000000000010", key, &payload), None);
        assert_eq!(meters.stored(device, key, &payload[1..]), None);
    }

    /// The worked example of `docs/nbiot-protocol.md`.
    #[test]
    fn it_seals_as_the_worked_example_does() {
        let master = MasterKey::new(1, "correct horse battery staple, and then some");
        let meter = master.meter(packed(490_154_203_237_518)).unwrap();
        let payload = b"\x04\x90\x15\x42\x03\x23\x75\x18\x02\x00\x00\x00\x07\x46\x80\x00\x00\x00\x9f\x00\x00\x00\x02";
        let datagram = meter.seal(7, 0x6B00_3640, payload);
        assert_eq!(datagram[..18], *b"\x01\x01\x04\x90\x15\x42\x03\x23\x75\x18\x00\x00\x00\x07\x6b\x00\x36\x40");
        assert_eq!((&datagram[18..41], &datagram[41..]), (&payload[..], &b"\x3f\x38\xe8\x4b\x05\xe4\x68\x57"[..]));
    }
}
