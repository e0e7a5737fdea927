//! The sealed envelope from the meter's side, under the master keys of a stack.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pulsegate_model::device::Imei;
use test_kit::sealed;

use crate::Problem;

/// Derives device keys, and stores none.
#[derive(Debug)]
pub(super) struct MasterKey(sealed::MasterKey);

/// Content of an authenticated acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Acknowledged {
    /// Device of the uplink.
    pub(super) imei: Imei,
    /// Counter of the uplink.
    pub(super) counter: u32,
    /// The time by which the meter sets its clock.
    pub(super) time: u32,
}

impl Acknowledged {
    /// True if its time is that of now, by two clocks that may differ by an hour.
    pub(super) fn is_of(self, now: Timestamp) -> bool {
        const TOLERANCE: u64 = 3_600;
        now.as_second().abs_diff(self.time.into()) <= TOLERANCE
    }
}

impl MasterKey {
    /// Reads the key of an ID from the stack's secret: `{"1": "KEY"}`.
    ///
    /// # Errors
    /// [`Problem::Wrong`], which never contains the secret.
    pub(super) fn from_secret(text: &str, id: u8) -> Result<Self, Problem> {
        let keys: BTreeMap<String, String> = serde_json::from_str(text).map_err(|_| {
            Problem::Wrong("the master keys are not a JSON object of the form {\"1\": \"KEY\"}".to_owned())
        })?;
        let key = keys.get(&id.to_string()).ok_or_else(|| {
            let ids: Vec<&str> = keys.keys().map(String::as_str).collect();
            Problem::Wrong(format!(
                "there is no master key {id}, only {}; name one with --master-key-id",
                ids.join(", ")
            ))
        })?;
        Ok(Self(sealed::MasterKey::new(id, key)))
    }

    /// The datagram of an uplink: the same bytes every time.
    pub(super) fn seal(&self, imei: Imei, counter: u32, time: u32, payload: &[u8]) -> Vec<u8> {
        self.0.device_key(imei.packed()).map(|key| key.seal(counter, time, payload)).unwrap_or_default()
    }

    /// Authenticates an acknowledgement. `None` if the datagram is none, or its tag does not match this master key.
    pub(super) fn acknowledged(&self, datagram: &[u8]) -> Option<Acknowledged> {
        let (imei, counter) = self.0.acknowledged(datagram)?;
        let time = sealed::time(datagram)?;
        Some(Acknowledged { imei: Imei::from_packed(imei).ok()?, counter, time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = r#"{"1": "correct horse battery staple, and then some"}"#;

    fn hex(text: &str) -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    }

    /// The worked example of `docs/nbiot-protocol.md`.
    #[test]
    fn it_seals_as_the_worked_example_does_and_takes_its_acknowledgements() {
        let key = MasterKey::from_secret(SECRET, 1).unwrap();
        let imei: Imei = "490154203237518".parse().unwrap();
        let payload = hex("0490154203237518020000000746800000009f00000002");
        let sealed =
            "01 01 0490154203237518 00000007 6b003640 0490154203237518020000000746800000009f00000002 3f38e84b05e46857";
        assert_eq!(key.seal(imei, 7, 1_795_176_000, &payload), hex(sealed));
        for acknowledgement in [
            "81 01 0490154203237518 00000007 6b003642 25f4626fc82c2fda",
            "81 01 0490154203237518 00000007 6b003642 c0ffee cdea07ee31231299",
        ] {
            let datagram = hex(acknowledgement);
            assert_eq!(key.acknowledged(&datagram), Some(Acknowledged { imei, counter: 7, time: 0x6B00_3642 }));
            for bit in 0..datagram.len() * 8 {
                let mut forged = datagram.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(key.acknowledged(&forged), None, "bit {bit}");
            }
        }
        assert_eq!(key.acknowledged(&hex(sealed)), None);
    }

    #[test]
    fn an_acknowledgement_has_the_time_of_now() {
        let acknowledged = Acknowledged { imei: "490154203237518".parse().unwrap(), counter: 7, time: 1_795_176_000 };
        for (now, is_right) in [
            ("2026-11-20T12:00:03Z", true),
            ("2026-11-20T11:00:00Z", true),
            ("2026-11-20T13:00:01Z", false),
            ("2021-01-29T00:00:00Z", false),
        ] {
            assert_eq!(acknowledged.is_of(now.parse().unwrap()), is_right, "{now}");
        }
    }

    #[test]
    fn a_master_key_that_is_not_there_is_asked_for_by_those_that_are() {
        let problem = MasterKey::from_secret(SECRET, 2).unwrap_err().in_full();
        assert!(problem.contains("no master key 2") && problem.contains("only 1"), "{problem}");
        assert!(!problem.contains("horse"));
        assert!(MasterKey::from_secret("correct horse", 1).is_err());
    }
}
