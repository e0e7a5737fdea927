//! Uplinks in the clear, in their makers' own forms. The profile's codec identifies the device.

use pulsegate_model::codec::{Head, Identify, Undecodable};
use pulsegate_model::profile::Profile;
use pulsegate_model::uplink::{Payload, Radio};

use super::sealed::now;
use super::{IdentifiedUplink, Refusal};

/// Identifies the device of an uplink of this profile, or the devices, if it may name several.
///
/// # Errors
/// [`Refusal::Path`] for a profile whose uplinks name no device, [`Refusal::Head`] for an uplink that names none.
pub fn open(profile: &Profile, uplink: &[u8]) -> Result<IdentifiedUplink, Refusal> {
    match profile.codec.identify.ok_or(Refusal::Path)? {
        Identify::Pack(read) => open_pack(&read(uplink)?, uplink),
        identify => IdentifiedUplink::new(&identify.head(uplink)?, uplink),
    }
}

/// Each device gets an uplink with the whole pack. The codec reads the device's own records of it.
fn open_pack(heads: &[Head], uplink: &[u8]) -> Result<IdentifiedUplink, Refusal> {
    let (first, others) = heads.split_first().ok_or(Undecodable::Form("the pack names no device"))?;
    let others = others.iter().map(|head| IdentifiedUplink::new(head, uplink)).collect::<Result<_, _>>()?;
    Ok(IdentifiedUplink { others, ..IdentifiedUplink::new(first, uplink)? })
}

impl IdentifiedUplink {
    /// An uplink with this head.
    pub(super) fn new(head: &Head, uplink: &[u8]) -> Result<Self, Refusal> {
        Ok(Self {
            device: head.device,
            clock: head.clock,
            sealed: false,
            sequence: Some(head.sequence),
            radio: Radio { signal_quality: head.signal_quality, ..Radio::default() },
            payload: Payload::from_bytes(uplink)?,
            others: vec![],
            acknowledgement: head.acknowledgement.bytes(uplink, now()),
        })
    }
}

#[cfg(test)]
mod tests {
    use pulsegate_model::codec::checksum;
    use pulsegate_model::device::Network;
    use pulsegate_model::profile;

    use super::*;

    fn opened(profile: &str, uplink: &[u8]) -> Result<IdentifiedUplink, Refusal> {
        open(profile::find(Network::Nbiot, profile).unwrap(), uplink)
    }

    fn adeunis(uplink: &str) -> Result<IdentifiedUplink, Refusal> {
        opened("adeunis-pulse4-nbiot", &hex::decode(uplink).unwrap())
    }

    #[test]
    fn the_header_names_the_meter_and_is_the_acknowledgement() {
        let opened = adeunis("1122334455667788030000002646800000009f00000002").unwrap();
        assert_eq!(opened.device.to_string(), "nbiot:1122334455667788");
        assert_eq!((opened.sequence, opened.clock), (Some(38), None));
        assert_eq!(hex::encode(opened.acknowledgement), "11223344556677880300000026");
    }

    #[test]
    fn a_frame_that_no_codec_knows_is_still_somebodys() {
        assert_eq!(adeunis("11223344556677880300000026ff00").unwrap().sequence, Some(38));
        let pack = br#"[{"bn":"urn:imei:490154203237518:","bver":11,"n":"A","v":"x","crucial_":1}]"#;
        assert_eq!(opened("senml-json", pack).unwrap().device.to_string(), "nbiot:490154203237518");
    }

    #[test]
    fn what_names_no_meter_is_refused() {
        for datagram in ["", "112233445566778803", "ffffffffffffffff030000002646800000009f00000002"] {
            assert!(adeunis(datagram).is_err(), "{datagram}");
        }
        for datagram in ["", "f867787050", "0867787050213317", "ffffffffffffffff01790c78"] {
            assert!(dragino(&hex::decode(datagram).unwrap()).is_err(), "{datagram}");
        }
        assert!(dragino(b"f8677").is_err());
        assert!(dragino(b"hello").is_err());
        for pack in ["", "[]", "[{}]", r#"[{"bn":"urn:dev:ow:10e2073a01080063","v":1}]"#, r#"[{"bn":"urn:imei:4901"#] {
            assert!(opened("senml-json", pack.as_bytes()).is_err(), "{pack}");
            assert!(opened("senml-cbor", pack.as_bytes()).is_err(), "{pack}");
        }
    }

    #[test]
    fn a_profile_whose_uplinks_name_no_device_has_no_listener_in_the_clear() {
        assert_eq!(opened("efento-configuration", b"").unwrap_err(), Refusal::Path);
    }

    const FRAME: &str = "f86778705021331701790c78170000010001c200015c4f6315537b00015c3163154ecb";

    fn dragino(datagram: &[u8]) -> Result<IdentifiedUplink, Refusal> {
        opened("dragino-sw3l-nb", datagram)
    }

    #[test]
    fn the_head_names_the_meter_and_its_time() {
        let opened = dragino(&hex::decode(FRAME).unwrap()).unwrap();
        assert_eq!(opened.device.to_string(), "nbiot:867787050213317");
        assert_eq!((opened.clock, opened.radio.signal_quality), ("2022-09-05T01:40:11Z".parse().ok(), Some(23)));
        assert!(opened.acknowledgement.is_empty());
    }

    #[test]
    fn the_two_forms_of_a_datagram_are_kept_as_they_came_and_apart() {
        let (raw, text) = (hex::decode(FRAME).unwrap(), FRAME.as_bytes());
        let (of_raw, of_text) = (dragino(&raw).unwrap(), dragino(text).unwrap());
        assert_eq!(of_raw.clock, of_text.clock);
        assert_ne!(of_raw.sequence, of_text.sequence);
        assert_eq!((of_raw.payload.bytes(), of_text.payload.bytes()), (raw.as_slice(), text));
    }

    #[test]
    fn two_uplinks_of_the_same_second_are_two() {
        let first = dragino(&hex::decode(FRAME).unwrap()).unwrap();
        let second = dragino(&hex::decode(FRAME.replace("00015c4f", "00015c50")).unwrap()).unwrap();
        assert_eq!(first.clock, second.clock);
        assert_ne!(first.sequence, second.sequence);
    }

    #[test]
    fn a_clock_is_read_whatever_it_shows_and_a_frame_that_no_codec_knows_is_still_somebodys() {
        for (frame, clock) in [
            (FRAME.replace("6315537b", "00000e10"), "1970-01-01T01:00:00Z".parse().ok()),
            ("f86778705021331700".to_owned(), None),
        ] {
            let opened = dragino(&hex::decode(frame).unwrap()).unwrap();
            assert_eq!((opened.device.to_string().as_str(), opened.clock), ("nbiot:867787050213317", clock));
        }
    }

    #[test]
    fn the_base_name_names_the_meter_and_the_latest_time_is_its_clock() {
        let pack = br#"[{"bn":"urn:imei:490154203237518:","bt":1795176000,"n":"A","u":"count","v":7},
            {"n":"A","t":-3600,"u":"count","v":6}]"#;
        let opened = opened("senml-json", pack).unwrap();
        assert_eq!(opened.device.to_string(), "nbiot:490154203237518");
        assert_eq!((opened.clock, opened.sequence), ("2026-11-20T12:00:00Z".parse().ok(), Some(checksum(&[pack]))));
        assert_eq!((opened.payload.bytes(), opened.acknowledgement), (pack.as_slice(), vec![]));
    }

    #[test]
    fn without_an_absolute_time_there_is_no_clock() {
        // [{-2: "urn:imei:490154203237518:", 2: 7}]
        let pack = [b"\x81\xa2\x21\x78\x19urn:imei:490154203237518:".as_slice(), b"\x02\x07"].concat();
        let opened = opened("senml-cbor", &pack).unwrap();
        assert_eq!((opened.device.to_string().as_str(), opened.clock), ("nbiot:490154203237518", None));
    }
}
