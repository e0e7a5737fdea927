//! CoAP (RFC 7252): `POST /{profile}`, with an uplink as its payload.
//!
//! A confirmable request is answered 2.04 once the uplink is durable: in the message that acknowledges it, if that is
//! soon, and otherwise in a message of its own, after an empty acknowledgement that stops the client from repeating
//! itself. A non-confirmable one is answered by a non-confirmable message. The 2.04 carries what the meter would have been
//! sent without CoAP: for a sealed uplink the sealed acknowledgement, which proves that the answer is ours.
//!
//! Message IDs and addresses tell nothing about who speaks, since a carrier's NAT gives them to one meter after the other.
//! So a repeated request is not looked up but taken again: what it says makes it the same uplink.

use coap_lite::{CoapOption, MessageClass, MessageType, Packet, RequestType, ResponseType};
use shared::device::Network;
use shared::profile::{self, Profile};

use super::{Answer, Heard, Refusal, Trust, sealed, vendor_of};

const VERSION: u8 = 1;

/// Options that a request may carry and that change nothing here. Other critical ones (odd numbers: section 5.4.6) are
/// refused.
const HARMLESS: [CoapOption; 4] = [CoapOption::UriHost, CoapOption::UriPort, CoapOption::UriPath, CoapOption::UriQuery];

/// More than a client sends: a request needs one.
const MAX_OPTIONS: usize = 16;

/// A request that waits for its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    confirmable: bool,
    message_id: u16,
    token: Vec<u8>,
    acknowledgement: Vec<u8>,
}

impl Exchange {
    /// Whether the client repeats itself until it hears something.
    pub fn is_confirmable(&self) -> bool {
        self.confirmable
    }

    /// The empty acknowledgement: the request has arrived, and its answer comes later.
    pub fn arrived(&self) -> Vec<u8> {
        message(MessageType::Acknowledgement, MessageClass::Empty, self.message_id, &[], &[])
    }

    /// The answer, if it is the first thing the client hears. `message_id` is a new one of ours.
    pub fn answer(&self, durable: bool, message_id: u16) -> Vec<u8> {
        if self.confirmable {
            self.response(MessageType::Acknowledgement, outcome(durable), self.message_id)
        } else {
            self.response(MessageType::NonConfirmable, outcome(durable), message_id)
        }
    }

    /// The answer after [`Exchange::arrived`], which the client has to acknowledge. `message_id` is a new one of ours.
    pub fn separate_answer(&self, durable: bool, message_id: u16) -> Vec<u8> {
        self.response(MessageType::Confirmable, outcome(durable), message_id)
    }

    fn response(&self, kind: MessageType, code: ResponseType, message_id: u16) -> Vec<u8> {
        let payload: &[u8] = if code.is_error() { &[] } else { &self.acknowledgement };
        message(kind, MessageClass::Response(code), message_id, &self.token, payload)
    }
}

fn outcome(durable: bool) -> ResponseType {
    if durable { ResponseType::Changed } else { ResponseType::ServiceUnavailable }
}

/// Reads a message. Of a sealed uplink nothing is answered, not even what is wrong with the request around it, before
/// its sender has proved itself.
pub(super) fn hear(datagram: &[u8], trust: &Trust) -> Result<Heard, Refusal> {
    if !has_few_options(datagram) {
        return Err(Refusal::NotCoap);
    }
    let packet = Packet::from_bytes(datagram).map_err(|_| Refusal::NotCoap)?;
    let kind = packet.header.get_type();
    if packet.header.get_version() != VERSION {
        return Err(Refusal::NotCoap);
    }
    match (kind, packet.header.code) {
        (MessageType::Acknowledgement | MessageType::Reset, MessageClass::Empty) => {
            Ok(Heard::Settled(packet.header.message_id))
        }
        (MessageType::Confirmable | MessageType::NonConfirmable, MessageClass::Request(method)) => {
            request(&packet, kind, method, trust)
        }
        // Section 4.3. Also how a client asks whether anybody is there.
        (MessageType::Confirmable, _) if matches!(trust, Trust::InTheClear) => {
            let reset = message(MessageType::Reset, MessageClass::Empty, packet.header.message_id, &[], &[]);
            Ok(Heard::Wrong(Refusal::NotCoap, reset))
        }
        _ => Err(Refusal::NotCoap),
    }
}

/// Whether there are at most [`MAX_OPTIONS`] in it. Nothing is proved yet, and reading 2,000 of them takes as long as
/// checking 200 seals.
fn has_few_options(datagram: &[u8]) -> bool {
    let extra = |nibble: u8| match nibble {
        13 => 1,
        14 => 2,
        _ => 0,
    };
    let mut at = 4 + usize::from(datagram.first().map_or(0, |first| first & 0x0F));
    for _ in 0..=MAX_OPTIONS {
        let Some(&first) = datagram.get(at) else { return true };
        if first == 0xFF {
            return true;
        }
        let (delta, length) = (first >> 4, first & 0x0F);
        let length_at = at + 1 + extra(delta);
        let byte = |at| datagram.get(at).map_or(0, |&byte| usize::from(byte));
        let length = match length {
            13 => 13 + 1 + byte(length_at),
            14 => 269 + 2 + byte(length_at) * 256 + byte(length_at + 1),
            _ => usize::from(length),
        };
        at = length_at + length;
    }
    false
}

fn request(packet: &Packet, kind: MessageType, method: RequestType, trust: &Trust) -> Result<Heard, Refusal> {
    let confirmable = kind == MessageType::Confirmable;
    let message_id = packet.header.message_id;
    let exchange =
        |acknowledgement| Exchange { confirmable, message_id, token: packet.get_token().to_vec(), acknowledgement };
    let proved = match trust {
        Trust::Sealed(keys) => Some(sealed::open(&packet.payload, keys)?),
        Trust::InTheClear => None,
    };
    let read = || {
        let profile = wanted(packet, method, trust)?;
        let opened = match &proved {
            Some(sealed) => sealed.opened(sealed.acknowledgement()),
            None => trust.open(profile, &packet.payload, true),
        };
        Ok((profile, opened?))
    };
    match read() {
        Ok((profile, mut opened)) => {
            let answer = Answer::Coap(Box::new(exchange(std::mem::take(&mut opened.acknowledgement))));
            Ok(Heard::Uplink(profile, opened, answer))
        }
        // Section 5.4.1: such a message is dropped without a word.
        Err(refusal @ Refusal::CriticalOption(_)) if !confirmable => Err(refusal),
        Err(refusal) => {
            let kind = if confirmable { MessageType::Acknowledgement } else { kind };
            // In a non-confirmable answer the ID should be one of ours; any will do, since it is not answered.
            let answer = exchange(vec![]).response(kind, code(&refusal), message_id);
            Ok(Heard::Wrong(refusal, answer))
        }
    }
}

/// The profile that the request is for.
fn wanted(packet: &Packet, method: RequestType, trust: &Trust) -> Result<&'static Profile, Refusal> {
    let harmless = |&number: &u16| number % 2 == 0 || HARMLESS.contains(&CoapOption::from(number));
    if let Some((&number, _)) = packet.options().find(|(number, _)| !harmless(number)) {
        return Err(Refusal::CriticalOption(number));
    }
    let path = packet.get_option(CoapOption::UriPath).filter(|path| path.len() == 1).and_then(|path| path.front());
    let name = path.and_then(|name| std::str::from_utf8(name).ok()).ok_or(Refusal::Path)?;
    let profile = profile::find(Network::Nbiot, name).ok_or(Refusal::Path)?;
    if matches!(trust, Trust::InTheClear) && vendor_of(profile).is_none() {
        return Err(Refusal::Path);
    }
    if method == RequestType::Post { Ok(profile) } else { Err(Refusal::Method) }
}

fn code(refusal: &Refusal) -> ResponseType {
    match refusal {
        Refusal::CriticalOption(_) => ResponseType::BadOption,
        Refusal::Path => ResponseType::NotFound,
        Refusal::Method => ResponseType::MethodNotAllowed,
        Refusal::Payload(_) => ResponseType::RequestEntityTooLarge,
        _ => ResponseType::BadRequest,
    }
}

fn message(kind: MessageType, code: MessageClass, message_id: u16, token: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut packet = Packet::new();
    packet.header.set_type(kind);
    packet.header.code = code;
    packet.header.message_id = message_id;
    packet.set_token(token.to_vec());
    packet.payload = payload.to_vec();
    // It fails for a token of more than 8 bytes, which was not read either, and for more than 1,280 bytes.
    packet.to_bytes().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::sealed::MasterKeys;

    const KEYS: &str = r#"{"1": "correct horse battery staple, and then some"}"#;

    /// A PULSE 4 data frame, as it is and sealed (docs/nbiot-protocol.md).
    const PLAIN: &str = "0490154203237518020000000746800000009f00000002";
    const SEALED: &str =
        "01010490154203237518000000076b0036400490154203237518020000000746800000009f000000023f38e84b05e46857";

    fn keys() -> Trust {
        Trust::Sealed(KEYS.parse::<MasterKeys>().unwrap())
    }

    /// `CON POST /{path}` with the token c0ffee and the message ID 0x1234.
    fn post(path: &str, payload: &str) -> Packet {
        let mut packet = Packet::new();
        packet.header.code = MessageClass::Request(RequestType::Post);
        packet.header.message_id = 0x1234;
        packet.set_token(vec![0xC0, 0xFF, 0xEE]);
        path.split('/').for_each(|part| packet.add_option(CoapOption::UriPath, part.as_bytes().to_vec()));
        packet.payload = hex::decode(payload).unwrap();
        packet
    }

    fn hear_packet(packet: &Packet, trust: &Trust) -> Result<Heard, Refusal> {
        hear(&packet.to_bytes().unwrap(), trust)
    }

    /// Why a message gets no answer.
    fn unanswered(message: &[u8], trust: &Trust) -> Refusal {
        hear(message, trust).unwrap_err()
    }

    fn exchange(packet: &Packet, trust: &Trust) -> Exchange {
        match hear_packet(packet, trust) {
            Ok(Heard::Uplink(profile, opened, Answer::Coap(exchange))) => {
                assert_eq!(profile.name, "adeunis-pulse4-nbiot");
                assert_eq!(opened.device.to_string(), "nbiot:490154203237518");
                assert_eq!(hex::encode(opened.payload.bytes()), PLAIN);
                *exchange
            }
            other => panic!("{other:?}"),
        }
    }

    /// What a request is answered at once, in hex.
    fn wrong(packet: &Packet, trust: &Trust) -> String {
        match hear_packet(packet, trust) {
            Ok(Heard::Wrong(_, answer)) => hex::encode(answer),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_confirmable_request_is_answered_in_its_acknowledgement_or_later_in_a_message_of_its_own() {
        let exchange = exchange(&post("adeunis-pulse4-nbiot", PLAIN), &Trust::InTheClear);
        let header = &PLAIN[..26];
        assert_eq!(hex::encode(exchange.answer(true, 7)), format!("63441234c0ffeeff{header}"));
        assert_eq!(hex::encode(exchange.answer(false, 7)), "63a31234c0ffee");
        assert_eq!(hex::encode(exchange.arrived()), "60001234");
        assert_eq!(hex::encode(exchange.separate_answer(true, 7)), format!("43440007c0ffeeff{header}"));
    }

    #[test]
    fn a_non_confirmable_request_is_answered_by_a_non_confirmable_message() {
        let mut packet = post("adeunis-pulse4-nbiot", SEALED);
        packet.header.set_type(MessageType::NonConfirmable);
        let answer = hex::encode(exchange(&packet, &keys()).answer(true, 7));
        assert!(answer.starts_with("53440007c0ffeeff8101"), "{answer}");
    }

    #[test]
    fn what_is_wrong_is_answered_by_its_code() {
        let trusted = Trust::InTheClear;
        assert_eq!(wrong(&post("acme", PLAIN), &trusted), "63841234c0ffee");
        assert_eq!(wrong(&post("adeunis-pulse4-nbiot/x", PLAIN), &trusted), "63841234c0ffee");
        assert_eq!(wrong(&post("adeunis-pulse4-nbiot", "00"), &trusted), "63801234c0ffee");
        let mut get = post("adeunis-pulse4-nbiot", PLAIN);
        get.header.code = MessageClass::Request(RequestType::Get);
        assert_eq!(wrong(&get, &trusted), "63851234c0ffee");
        let mut block = post("adeunis-pulse4-nbiot", PLAIN);
        block.add_option(CoapOption::Block1, vec![0x0E]);
        assert_eq!(wrong(&block, &trusted), "63821234c0ffee");
        block.header.set_type(MessageType::NonConfirmable);
        assert_eq!(unanswered(&block.to_bytes().unwrap(), &trusted), Refusal::CriticalOption(27));
        assert_eq!(wrong(&post("acme", SEALED), &keys()), "63841234c0ffee");
    }

    #[test]
    fn without_proof_nothing_is_answered_whatever_else_is_wrong() {
        for packet in [post("adeunis-pulse4-nbiot", PLAIN), post("acme", "00"), Packet::new()] {
            assert!(hear_packet(&packet, &keys()).is_err());
        }
        let ping = [0x40, 0x00, 0x12, 0x34];
        assert_eq!(unanswered(&ping, &keys()), Refusal::NotCoap);
        assert!(
            matches!(hear(&ping, &Trust::InTheClear), Ok(Heard::Wrong(_, reset)) if reset == [0x70, 0x00, 0x12, 0x34])
        );
    }

    #[test]
    fn what_the_client_says_to_our_own_messages_is_told_from_requests() {
        for kind in [0x60, 0x70] {
            assert!(matches!(hear(&[kind, 0x00, 0x00, 0x07], &keys()), Ok(Heard::Settled(7))));
        }
    }

    #[test]
    fn a_message_of_nothing_but_options_is_not_read_to_its_end() {
        let options = |count| [&[0x40, 0x02, 0, 1][..], &vec![0x00; count], &[0xFF, 0x00]].concat();
        assert!(has_few_options(&options(MAX_OPTIONS)));
        assert!(!has_few_options(&options(MAX_OPTIONS + 1)));
        assert_eq!(unanswered(&options(2_000), &Trust::InTheClear), Refusal::NotCoap);
        let extended = [&[0x40, 0x02, 0, 1, 0xDD, 0, 7][..], &[0; 20], &[0xFF, 0x00]].concat();
        assert!(has_few_options(&extended));
    }

    #[test]
    fn another_version_and_a_response_are_not_answered() {
        let mut version_2 = post("adeunis-pulse4-nbiot", PLAIN);
        version_2.header.set_version(2);
        assert_eq!(unanswered(&version_2.to_bytes().unwrap(), &Trust::InTheClear), Refusal::NotCoap);
        assert_eq!(unanswered(&[0x50, 0x45, 0x12, 0x34], &Trust::InTheClear), Refusal::NotCoap);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_no_answer_is_longer_than_its_datagram(datagram: Vec<u8>, sealed: bool) {
            let trust = if sealed { keys() } else { Trust::InTheClear };
            if let Ok(Heard::Wrong(_, answer)) = hear(&datagram, &trust) {
                prop_assert!(!sealed && answer.len() <= datagram.len());
            }
        }

        #[test]
        fn no_answer_to_an_uplink_is_longer_than_its_datagram(token in proptest::collection::vec(0..=255_u8, 0..=8)) {
            for (payload, trust) in [(PLAIN, Trust::InTheClear), (SEALED, keys())] {
                let mut packet = post("adeunis-pulse4-nbiot", payload);
                packet.set_token(token.clone());
                let exchange = exchange(&packet, &trust);
                prop_assert!(exchange.answer(true, 1).len() <= packet.to_bytes().unwrap().len());
                prop_assert!(exchange.separate_answer(true, 1).len() <= packet.to_bytes().unwrap().len());
            }
        }
    }
}
