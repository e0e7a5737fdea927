//! The sealed envelope from the meter's side, as `docs/nbiot-protocol.md` has it.

use std::collections::BTreeMap;

use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use ring::hmac::{self, HMAC_SHA256};
use shared::device::{DeviceId, Imei};
use subtle::ConstantTimeEq as _;

use crate::Problem;

const UPLINK: u8 = 0x01;
const ACKNOWLEDGEMENT: u8 = 0x81;
const HEADER_LEN: usize = 18;
const TAG_LEN: usize = 8;
const SALT: &[u8] = b"pulsegate sealed envelope 1";

/// Makes device keys. That takes a microsecond or two, so none is kept.
pub(super) struct MasterKey {
    id: u8,
    prk: Prk,
}

/// The header of an acknowledgement whose tag is yet to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Acknowledged {
    /// Whose uplink.
    pub(super) imei: Imei,
    /// Which one.
    pub(super) counter: u32,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

impl MasterKey {
    /// The key of an ID, from the text of the stack's secret: `{"1": "KEY"}`.
    ///
    /// # Errors
    /// [`Problem::Wrong`]; it never says what is in the text.
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
        Ok(Self { id, prk: Salt::new(HKDF_SHA256, SALT).extract(key.as_bytes()) })
    }

    fn device_key(&self, imei: Imei) -> Option<hmac::Key> {
        let info = DeviceId::Nbiot(imei).to_string();
        Some(self.prk.expand(&[info.as_bytes()], HMAC_SHA256).ok()?.into())
    }

    /// The datagram of an uplink: the same bytes every time.
    pub(super) fn seal(&self, imei: Imei, counter: u32, time: u32, payload: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::with_capacity(HEADER_LEN + payload.len() + TAG_LEN);
        datagram.extend_from_slice(&[UPLINK, self.id]);
        datagram.extend_from_slice(&imei.packed());
        datagram.extend_from_slice(&counter.to_be_bytes());
        datagram.extend_from_slice(&time.to_be_bytes());
        datagram.extend_from_slice(payload);
        if let Some(key) = self.device_key(imei) {
            let tag = hmac::sign(&key, &datagram);
            datagram.extend_from_slice(&tag.as_ref()[..TAG_LEN]);
        }
        datagram
    }

    /// What a datagram acknowledges, if it is an acknowledgement, and of a meter with a key of ours.
    pub(super) fn acknowledged(&self, datagram: &[u8]) -> Option<Acknowledged> {
        let (sealed, tag) = datagram.split_last_chunk::<TAG_LEN>()?;
        let [ACKNOWLEDGEMENT, id, imei @ .., c0, c1, c2, c3, _, _, _, _] = *sealed.first_chunk::<HEADER_LEN>()? else {
            return None;
        };
        let imei = Imei::from_packed(imei).ok().filter(|_| id == self.id)?;
        let expected = hmac::sign(&self.device_key(imei)?, sealed);
        let counter = u32::from_be_bytes([c0, c1, c2, c3]);
        bool::from(expected.as_ref()[..TAG_LEN].ct_eq(tag)).then_some(Acknowledged { imei, counter })
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
            assert_eq!(key.acknowledged(&datagram), Some(Acknowledged { imei, counter: 7 }));
            for bit in 0..datagram.len() * 8 {
                let mut forged = datagram.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(key.acknowledged(&forged), None, "bit {bit}");
            }
        }
        assert_eq!(key.acknowledged(&hex(sealed)), None);
    }

    #[test]
    fn a_master_key_that_is_not_there_is_asked_for_by_those_that_are() {
        let problem = MasterKey::from_secret(SECRET, 2).unwrap_err().in_full();
        assert!(problem.contains("no master key 2") && problem.contains("only 1"), "{problem}");
        assert!(!problem.contains("horse"));
        assert!(MasterKey::from_secret("correct horse", 1).is_err());
    }
}
