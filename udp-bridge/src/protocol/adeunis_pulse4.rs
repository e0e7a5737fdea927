//! Adeunis PULSE 4 NB-IoT, in the clear. The datagram is drawn in [`pulsegate_model::codec::adeunis_pulse`].
//!
//! The acknowledgement is the datagram's own header, its first 13 bytes, sent back: the device compares them with what it
//! sent. The vendor documents none, and a device that expects none may ignore it.

use pulsegate_model::codec::adeunis_pulse::{NBIOT_HEADER_LEN, split_nbiot, v4_clock};
use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::{Payload, Radio};

use super::{IdentifiedUplink, Refusal};

pub(super) fn open(datagram: &[u8]) -> Result<IdentifiedUplink, Refusal> {
    let (header, frame) = split_nbiot(datagram)?;
    Ok(IdentifiedUplink {
        device: DeviceId::Nbiot(header.imei),
        clock: v4_clock(frame),
        sequence: Some(header.frame_counter),
        radio: Radio { signal_quality: Some(header.signal_quality), ..Radio::default() },
        payload: Payload::from_bytes(datagram)?,
        acknowledgement: datagram[..NBIOT_HEADER_LEN].to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_the_meter_and_is_the_acknowledgement() {
        let datagram = hex::decode("1122334455667788030000002646800000009f00000002").unwrap();
        let opened = open(&datagram).unwrap();
        assert_eq!(opened.device.to_string(), "nbiot:1122334455667788");
        assert_eq!((opened.sequence, opened.clock), (Some(38), None));
        assert_eq!(hex::encode(opened.acknowledgement), "11223344556677880300000026");
    }

    #[test]
    fn a_frame_that_no_codec_knows_is_still_somebodys() {
        let datagram = hex::decode("11223344556677880300000026ff00").unwrap();
        assert_eq!(open(&datagram).unwrap().sequence, Some(38));
    }

    #[test]
    fn what_names_no_meter_is_refused() {
        for datagram in ["", "112233445566778803", "ffffffffffffffff030000002646800000009f00000002"] {
            assert!(open(&hex::decode(datagram).unwrap()).is_err(), "{datagram}");
        }
    }
}
