//! SenML, in the clear: the open format of [`pulsegate_model::codec::senml`]. The meter is named by the first base name.
//!
//! RFC 8428 knows no acknowledgement, so a bare datagram gets none; a meter that wants one uses CoAP.

use pulsegate_model::codec::senml::{Form, sender};
use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::{Payload, Radio};

use super::{IdentifiedUplink, Refusal, checksum};

pub(super) fn open_json(datagram: &[u8]) -> Result<IdentifiedUplink, Refusal> {
    open(datagram, Form::Json)
}

pub(super) fn open_cbor(datagram: &[u8]) -> Result<IdentifiedUplink, Refusal> {
    open(datagram, Form::Cbor)
}

fn open(datagram: &[u8], form: Form) -> Result<IdentifiedUplink, Refusal> {
    let sender = sender(datagram, form)?;
    Ok(IdentifiedUplink {
        device: DeviceId::Nbiot(sender.imei),
        clock: sender.clock,
        sequence: Some(checksum(&[datagram])),
        radio: Radio::default(),
        payload: Payload::from_bytes(datagram)?,
        acknowledgement: vec![],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_name_names_the_meter_and_the_latest_time_is_its_clock() {
        let pack = br#"[{"bn":"urn:imei:490154203237518:","bt":1795176000,"n":"A","u":"count","v":7},
            {"n":"A","t":-3600,"u":"count","v":6}]"#;
        let opened = open_json(pack).unwrap();
        assert_eq!(opened.device.to_string(), "nbiot:490154203237518");
        assert_eq!((opened.clock, opened.sequence), ("2026-11-20T12:00:00Z".parse().ok(), Some(checksum(&[pack]))));
        assert_eq!((opened.payload.bytes(), opened.acknowledgement), (pack.as_slice(), vec![]));
    }

    #[test]
    fn without_an_absolute_time_there_is_no_clock() {
        // [{-2: "urn:imei:490154203237518:", 2: 7}]
        let pack = [b"\x81\xa2\x21\x78\x19urn:imei:490154203237518:".as_slice(), b"\x02\x07"].concat();
        let opened = open_cbor(&pack).unwrap();
        assert_eq!((opened.device.to_string().as_str(), opened.clock), ("nbiot:490154203237518", None));
    }

    #[test]
    fn a_pack_that_no_pulses_can_be_read_from_is_still_somebodys() {
        let pack = br#"[{"bn":"urn:imei:490154203237518:","bver":11,"n":"A","v":"x","crucial_":1}]"#;
        assert_eq!(open_json(pack).unwrap().device.to_string(), "nbiot:490154203237518");
    }

    #[test]
    fn what_names_no_meter_is_refused() {
        for pack in ["", "[]", "[{}]", r#"[{"bn":"urn:dev:ow:10e2073a01080063","v":1}]"#, r#"[{"bn":"urn:imei:4901"#] {
            assert!(open_json(pack.as_bytes()).is_err(), "{pack}");
            assert!(open_cbor(pack.as_bytes()).is_err(), "{pack}");
        }
    }
}
