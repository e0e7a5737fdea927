//! CoAP (RFC 7252) from the meter's side: requests with an uplink, and the answers to them.

use coap_lite::{CoapOption, MessageClass, MessageType, Packet, RequestType, ResponseType};

use super::sealed::{Acknowledged, MasterKey};

/// An answer of the bridge in CoAP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CoapAnswer {
    /// An empty ACK: the request with this message ID has arrived, and its answer follows.
    Promised(u16),
    /// A 2.04 whose payload acknowledges an uplink. `confirm`: the message ID to acknowledge, if it is a separate
    /// response.
    Durable { acknowledged: Acknowledged, confirm: Option<u16> },
    /// A 2.01 with a token of [`post_in_the_clear`]. It is not authenticated.
    Created { name: (u32, u32), confirm: Option<u16> },
    /// An error code. It is not sealed, so it is only counted.
    Refused { confirm: Option<u16> },
    /// Anything else.
    Noise,
}

/// A confirmable POST of a sealed uplink to the path of its profile. The counter is the token, and its low half the
/// message ID, as the protocol's page suggests, so message IDs of meters behind one address often collide.
pub(super) fn post(profile: &str, counter: u32, sealed: Vec<u8>) -> Vec<u8> {
    confirmable(profile, counter, counter.to_be_bytes().to_vec(), sealed)
}

/// A POST of an Efento logger's measurements, in clear text: only the token identifies meter and uplink of an answer.
pub(super) fn post_in_the_clear(name: (u32, u32), payload: Vec<u8>) -> Vec<u8> {
    const MEASUREMENTS: &str = "m";
    let (meter, checksum) = name;
    confirmable(MEASUREMENTS, checksum, [meter.to_be_bytes(), checksum.to_be_bytes()].concat(), payload)
}

fn confirmable(path: &str, number: u32, token: Vec<u8>, payload: Vec<u8>) -> Vec<u8> {
    let mut packet = Packet::new();
    packet.header.set_type(MessageType::Confirmable);
    packet.header.code = MessageClass::Request(RequestType::Post);
    packet.header.message_id = message_id(number);
    packet.set_token(token);
    packet.add_option(CoapOption::UriPath, path.as_bytes().to_vec());
    packet.payload = payload;
    // Fails for packets of more than 1,280 bytes or too long options; neither is ever sent.
    packet.to_bytes().unwrap_or_default()
}

/// Message ID of the request with this counter.
pub(super) fn message_id(counter: u32) -> u16 {
    (counter & 0xFFFF) as u16
}

/// An empty ACK for a separate response.
pub(super) fn confirmation(message_id: u16) -> [u8; 4] {
    const VERSION_1_ACK: u8 = 0x60;
    let [high, low] = message_id.to_be_bytes();
    [VERSION_1_ACK, 0, high, low]
}

/// True if a datagram may be CoAP: its first two bits are version 1; those of a sealed acknowledgement differ.
pub(super) fn may_be(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| first >> 6 == 1)
}

/// Parses a datagram.
pub(super) fn parse_answer(datagram: &[u8], key: &MasterKey) -> CoapAnswer {
    let Ok(packet) = Packet::from_bytes(datagram) else { return CoapAnswer::Noise };
    let (kind, id) = (packet.header.get_type(), packet.header.message_id);
    let confirm = (kind == MessageType::Confirmable).then_some(id);
    match packet.header.code {
        MessageClass::Empty if kind == MessageType::Acknowledgement => CoapAnswer::Promised(id),
        MessageClass::Response(ResponseType::Changed) => match key.acknowledged(&packet.payload) {
            Some(acknowledged) => CoapAnswer::Durable { acknowledged, confirm },
            // Not from the bridge, so it is not confirmed.
            None => CoapAnswer::Noise,
        },
        MessageClass::Response(ResponseType::Created) => {
            let Ok([m0, m1, m2, m3, c0, c1, c2, c3]) = <[u8; 8]>::try_from(packet.get_token()) else {
                return CoapAnswer::Noise;
            };
            let name = (u32::from_be_bytes([m0, m1, m2, m3]), u32::from_be_bytes([c0, c1, c2, c3]));
            CoapAnswer::Created { name, confirm }
        }
        MessageClass::Response(code) if code.is_error() => CoapAnswer::Refused { confirm },
        _ => CoapAnswer::Noise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    }

    const SEALED: &str =
        "01 01 0490154203237518 00000007 6b003640 0490154203237518020000000746800000009f00000002 3f38e84b05e46857";
    const ACKNOWLEDGEMENT: &str = "81 01 0490154203237518 00000007 6b003642 25f4626fc82c2fda";

    fn key() -> MasterKey {
        MasterKey::from_secret(r#"{"1": "correct horse battery staple, and then some"}"#, 1).unwrap()
    }

    /// The worked example of `docs/nbiot-protocol.md`.
    #[test]
    fn it_asks_as_the_worked_example_does() {
        let expected = format!("44 02 0007 00000007 bd 07 616465756e69732d70756c7365342d6e62696f74 ff {SEALED}");
        assert_eq!(post("adeunis-pulse4-nbiot", 7, hex(SEALED)), hex(&expected));
    }

    /// The worked examples of `docs/nbiot-protocol.md`.
    #[test]
    fn it_hears_what_the_worked_examples_say() {
        let acknowledged = Acknowledged { imei: "490154203237518".parse().unwrap(), counter: 7, time: 0x6B00_3642 };
        let check = |datagram: &str, expected| assert_eq!(parse_answer(&hex(datagram), &key()), expected, "{datagram}");
        check(
            &format!("64 44 0007 00000007 ff {ACKNOWLEDGEMENT}"),
            CoapAnswer::Durable { acknowledged, confirm: None },
        );
        check("60 00 0007", CoapAnswer::Promised(7));
        check(
            &format!("44 44 b21d 00000007 ff {ACKNOWLEDGEMENT}"),
            CoapAnswer::Durable { acknowledged, confirm: Some(0xB21D) },
        );
        check("64 84 0007 00000007", CoapAnswer::Refused { confirm: None });
        check("44 a3 b21e 00000007", CoapAnswer::Refused { confirm: Some(0xB21E) });
        assert_eq!(confirmation(0xB21D), [0x60, 0x00, 0xB2, 0x1D]);
    }

    #[test]
    fn what_is_in_the_clear_is_known_by_its_token() {
        let request = post_in_the_clear((7, 0xDEAD_BEEF), vec![1, 2]);
        assert_eq!(request, hex("48 02 beef 00000007 deadbeef b1 6d ff 01 02"));
        let expected = CoapAnswer::Created { name: (7, 0xDEAD_BEEF), confirm: None };
        assert_eq!(parse_answer(&hex("68 41 beef 00000007 deadbeef ff 0a"), &key()), expected);
        assert_eq!(parse_answer(&hex("64 41 beef 00000007 ff 0a"), &key()), CoapAnswer::Noise);
    }

    #[test]
    fn a_2_04_without_the_right_seal_acknowledges_nothing() {
        for datagram in
            ["64 44 0007 00000007", "44 44 b21d 00000007 ff 81 01 0490154203237518 00000007 6b003642 25f4626fc82c2fdb"]
        {
            assert_eq!(parse_answer(&hex(datagram), &key()), CoapAnswer::Noise, "{datagram}");
        }
        assert!(may_be(&hex("60 00 0007")) && !may_be(&hex(ACKNOWLEDGEMENT)) && !may_be(&[]));
    }
}
