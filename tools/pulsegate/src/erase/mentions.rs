//! Finds the ID of a device in records that nothing can parse.

use pulsegate_model::device::DeviceId;

/// The shortest Sigfox ID that is recognised without the network before it. A shorter one could be any number.
const MIN_SIGFOX: usize = 5;

/// True if these bytes, text or binary, have the ID of the device in one of the forms in which it is sent: as text, with or
/// without leading zeros; of an NB-IoT device also in the bytes of a datagram, or these in hex.
pub(super) fn mentions(device: DeviceId, bytes: &[u8]) -> bool {
    let text = device.to_string();
    let (network, id) = text.split_once(':').unwrap_or_default();
    let binary = match device {
        DeviceId::Sigfox(_) => Vec::new(),
        DeviceId::Nbiot(imei) => imei.packed().to_vec(),
        DeviceId::NbiotSerial(serial) => serial.number().to_be_bytes()[2..].to_vec(),
    };
    let has_prefix = |before: &[u8]| before.to_ascii_lowercase().ends_with(format!("{network}:").as_bytes());
    let is_id = |(start, word): (usize, &[u8])| {
        let zeros = word.iter().take_while(|byte| **byte == b'0').count();
        let is_long = id.len() >= MIN_SIGFOX || has_prefix(&bytes[..start]);
        is_long && word[zeros..].eq_ignore_ascii_case(id.trim_start_matches('0').as_bytes())
    };
    if words(bytes).any(is_id) {
        return true;
    }
    let hex: String = hex::encode(&binary);
    !binary.is_empty() && (has(bytes, &binary) || has(&bytes.to_ascii_lowercase(), hex.as_bytes()))
}

/// The runs of letters and digits, with their positions.
fn words(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    bytes.split(|byte| !byte.is_ascii_alphanumeric()).map(move |word| {
        let start = at;
        at += word.len() + 1;
        (start, word)
    })
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(device: &str, bytes: &[u8]) -> bool {
        mentions(device.parse().unwrap(), bytes)
    }

    #[test]
    fn an_id_is_found_in_the_forms_in_which_it_is_sent() {
        for text in ["device=1A2345&x=1", r#"{"device":"001a2345"}"#, "sigfox:1A2345", "1A2345"] {
            assert!(found("sigfox:1A2345", text.as_bytes()), "{text}");
        }
        for bytes in
            [b"nbiot:490154203237518".as_slice(), b"x\x04\x90\x15\x42\x03\x23\x75\x18y", b"\"0490154203237518aa\""]
        {
            assert!(found("nbiot:490154203237518", bytes), "{bytes:?}");
        }
        for bytes in [b"\x28\x2C\x02\x42\x4E\xED".as_slice(), b"282c02424eed", b"x=282C02424EED"] {
            assert!(found("nbiot:282C02424EED", bytes), "{bytes:?}");
        }
        assert!(found("sigfox:1", b"sigfox:1"));
    }

    #[test]
    fn other_numbers_are_not_the_id() {
        for text in ["device=1A23456", "data=46801A2345", "sigfox:11A2345", ""] {
            assert!(!found("sigfox:1A2345", text.as_bytes()), "{text}");
        }
        assert!(!found("sigfox:1", b"{\"sequence\":1,\"device\":\"sigfox:11\"}"));
        assert!(!found("nbiot:490154203237518", b"490154203237519"));
    }
}
