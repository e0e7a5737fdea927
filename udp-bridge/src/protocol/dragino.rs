//! Dragino's NB-IoT devices, in the clear. The datagram is drawn in [`pulsegate_model::codec::dragino`].
//!
//! A message in hex is another uplink than the same one in bytes, with the same points: what is kept is the datagram as it came,
//! and that has to be a function of its key.
//!
//! No acknowledgement is documented over UDP, so none is sent.

use pulsegate_model::codec::dragino::{bytes, sender};
use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::{Payload, Radio};

use super::{IdentifiedUplink, Refusal, checksum};

pub(super) fn open(datagram: &[u8]) -> Result<IdentifiedUplink, Refusal> {
    let frame = bytes(datagram)?;
    let sender = sender(&frame)?;
    Ok(IdentifiedUplink {
        device: DeviceId::Nbiot(sender.imei),
        clock: sender.clock,
        sequence: Some(checksum(&[datagram])),
        radio: Radio { signal_quality: sender.signal, ..Radio::default() },
        payload: Payload::from_bytes(datagram)?,
        acknowledgement: vec![],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &str = "f86778705021331701790c78170000010001c200015c4f6315537b00015c3163154ecb";

    fn opened(datagram: &[u8]) -> IdentifiedUplink {
        open(datagram).unwrap()
    }

    #[test]
    fn the_head_names_the_meter_and_its_time() {
        let opened = opened(&hex::decode(FRAME).unwrap());
        assert_eq!(opened.device.to_string(), "nbiot:867787050213317");
        assert_eq!((opened.clock, opened.radio.signal_quality), ("2022-09-05T01:40:11Z".parse().ok(), Some(23)));
        assert!(opened.acknowledgement.is_empty());
    }

    #[test]
    fn the_two_forms_of_a_datagram_are_kept_as_they_came_and_apart() {
        let (raw, text) = (hex::decode(FRAME).unwrap(), FRAME.as_bytes());
        assert_eq!(opened(&raw).clock, opened(text).clock);
        assert_ne!(opened(&raw).sequence, opened(text).sequence);
        assert_eq!((opened(&raw).payload.bytes(), opened(text).payload.bytes()), (raw.as_slice(), text));
    }

    #[test]
    fn two_uplinks_of_the_same_second_are_two() {
        let first = hex::decode(FRAME).unwrap();
        let second = hex::decode(FRAME.replace("00015c4f", "00015c50")).unwrap();
        assert_eq!(opened(&first).clock, opened(&second).clock);
        assert_ne!(opened(&first).sequence, opened(&second).sequence);
    }

    #[test]
    fn a_clock_that_was_not_set_tells_no_time_and_a_frame_that_no_codec_knows_is_still_somebodys() {
        for frame in [FRAME.replace("6315537b", "00000e10"), "f86778705021331700".to_owned()] {
            let opened = opened(&hex::decode(frame).unwrap());
            assert_eq!((opened.device.to_string().as_str(), opened.clock), ("nbiot:867787050213317", None));
        }
    }

    #[test]
    fn what_names_no_meter_is_refused() {
        for datagram in ["", "f867787050", "0867787050213317", "ffffffffffffffff01790c78"] {
            assert!(open(&hex::decode(datagram).unwrap()).is_err(), "{datagram}");
        }
        assert!(open(b"f8677").is_err());
        assert!(open(b"hello").is_err());
    }
}
