//! The readings of a run: numbered through, so that millions of them need no memory.
//!
//! With D meters, reading `n` is the one with counter `n / D` of meter `n % D`; all its bytes follow from that and from the
//! time of the first reading, so a repetition needs no memory of the first. The meters of `test_kit::meters` have a history and are too slow for ten million
//! datagrams a run.

use std::time::{SystemTime, UNIX_EPOCH};

use pulsegate_model::at::At;
use test_kit::meters::adeunis_nbiot_head;
use test_kit::sealed::{DeviceKey, MasterKey, OVERHEAD, packed, unverified_acknowledgement};

/// The length of an uplink: a data frame of a pulse meter in a sealed envelope.
pub const UPLINK_LEN: usize = OVERHEAD + PAYLOAD_LEN;

const PAYLOAD_LEN: usize = 23;

const FIRST_IMEI: u64 = 350_000_000_000_000;

/// Seconds between two readings of a meter, by its clock.
const PERIOD: u32 = 60;

/// The first reading is this many seconds old: 300 days. The bridge accepts the times of 430,000 readings of each meter.
const FIRST_AGE: u32 = 300 * 86_400;

/// The meters of a run, with their keys.
#[derive(Debug)]
pub struct Meters {
    keys: Vec<DeviceKey>,
    first_time: u32,
}

impl Meters {
    /// This many meters, which send the readings that they have kept.
    pub fn new(count: u32) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self::since(count, u32::try_from(now).unwrap_or(u32::MAX) - FIRST_AGE)
    }

    /// This many meters, with the time of their first reading.
    fn since(count: u32, first_time: u32) -> Self {
        let master = MasterKey::default();
        let key = |device| master.device_key(packed(FIRST_IMEI + u64::from(device)));
        Self { keys: (0..count).filter_map(key).collect(), first_time }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.keys.len() as u64
    }

    /// Which meter sends a reading.
    pub fn device(&self, number: u64) -> usize {
        usize::try_from(number % self.count()).unwrap_or_default()
    }

    /// The datagram of a reading: the same bytes every time.
    pub fn uplink(&self, number: u64) -> [u8; UPLINK_LEN] {
        let (key, counter) = (&self.keys[self.device(number)], self.counter(number));
        let mut datagram = [0; UPLINK_LEN];
        key.seal_into(&mut datagram, (counter, self.time(counter)), &payload(key.imei(), counter));
        datagram
    }

    /// The reading that a datagram acknowledges; `None` if it is not an acknowledgement to one of these meters.
    pub fn acknowledged(&self, datagram: &[u8], tag_is_checked: impl Fn(u64) -> bool) -> Option<u64> {
        let (imei, counter) = unverified_acknowledgement(datagram)?;
        let number = self.number(imei, counter)?;
        (!tag_is_checked(number) || self.keys[self.device(number)].has_right_tag(datagram)).then_some(number)
    }

    /// The reading that is stored under this key with this payload; `None` if no meter of these has sent it.
    /// `docs/data-model.md` has the form of the keys.
    pub fn stored(&self, device: &str, uplink: &str, stored: &[u8]) -> Option<u64> {
        let (at, sequence) = uplink.strip_suffix("#data")?.split_once('#')?;
        let counter = sequence.parse().ok()?;
        let number = self.number(device.strip_prefix("nbiot:")?.parse().ok()?, counter)?;
        let its_own = at == At::from_unix(self.time(counter).into()).ok()?.to_string()
            && sequence == format!("{counter:05}")
            && stored == payload(self.keys[self.device(number)].imei(), counter);
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

    fn time(&self, counter: u32) -> u32 {
        self.first_time.wrapping_add(counter.wrapping_mul(PERIOD))
    }
}

/// A data frame of Adeunis PULSE 4 NB-IoT, with the indexes of its published example.
fn payload(imei: [u8; 8], counter: u32) -> [u8; PAYLOAD_LEN] {
    const FRAME: [u8; 10] = [0x46, 0x80, 0x00, 0x00, 0x00, 0x9F, 0x00, 0x00, 0x00, 0x02];
    const SIGNAL_QUALITY: u8 = 3;
    let mut payload = [0; PAYLOAD_LEN];
    payload[..13].copy_from_slice(&adeunis_nbiot_head(imei, SIGNAL_QUALITY, counter));
    payload[13..].copy_from_slice(&FRAME);
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    const METERS: u32 = 10;

    /// 2026-11-20T12:00:00Z.
    const FIRST_TIME: u32 = 1_795_176_000;

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
        let meters = Meters::since(METERS, FIRST_TIME);
        let payload = payload(packed(FIRST_IMEI + 2), 4);
        let (device, key) = ("nbiot:350000000000002", "2026-11-20T12:04:00Z#00004#data");
        assert_eq!(meters.stored(device, key, &payload), Some(42));
        assert_eq!(meters.stored(device, "2026-11-20T12:05:00Z#00004#data", &payload), None);
        assert_eq!(meters.stored("nbiot:350000000000003", key, &payload), None);
        assert_eq!(meters.stored("nbiot:350000000000010", key, &payload), None);
        assert_eq!(meters.stored(device, key, &payload[1..]), None);
    }
}
