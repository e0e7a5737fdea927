use proptest::prelude::*;

use super::*;
use crate::protocol::sealed::MasterKeys;

const KEYS: &str = r#"{"1": "correct horse battery staple, and then some"}"#;

/// A PULSE 4 data frame, as it is and sealed (docs/nbiot-protocol.md).
pub(super) const PLAIN: &str = "0490154203237518020000000746800000009f00000002";
pub(super) const SEALED: &str =
    "01010490154203237518000000076b0036400490154203237518020000000746800000009f000000023f38e84b05e46857";

/// The shortest payload with a device ID in each vendor's form in the clear, with its profile.
pub(super) const SHORTEST: [(&str, &str); 6] = [
    ("adeunis-pulse4-nbiot", "049015420323751802000000074680"),
    ("dragino-sw3l-nb", "f867787050213317"),
    ("senml-json", "5b7b22626e223a2275726e3a696d65693a343930313534323033323337353138227d5d"),
    ("senml-cbor", "81a121781875726e3a696d65693a343930313534323033323337353138"),
    ("efento", "0a06282c02424eed"),
    ("efento", "0a06282c02424eed3001"),
];

pub(super) fn keys() -> Trust {
    Trust::Sealed(KEYS.parse::<MasterKeys>().unwrap())
}

/// `CON POST /{path}` with the token c0ffee and the message ID 0x1234.
pub(super) fn post(path: &str, payload: &str) -> Packet {
    let mut packet = Packet::new();
    packet.header.code = MessageClass::Request(RequestType::Post);
    packet.header.message_id = 0x1234;
    packet.set_token(vec![0xC0, 0xFF, 0xEE]);
    path.split('/').for_each(|part| packet.add_option(CoapOption::UriPath, part.as_bytes().to_vec()));
    packet.payload = hex::decode(payload).unwrap();
    packet
}

pub(super) fn hear_packet(packet: &Packet, trust: &Trust) -> Result<Inbound, Refusal> {
    hear(&packet.to_bytes().unwrap(), trust)
}

/// The refusal of a message that gets no answer.
pub(super) fn unanswered(message: &[u8], trust: &Trust) -> Refusal {
    hear(message, trust).unwrap_err()
}

pub(super) fn exchange(packet: &Packet, trust: &Trust) -> Exchange {
    match hear_packet(packet, trust) {
        Ok(Inbound::Uplink(profile, opened, Answer::Coap(exchange))) => {
            assert_eq!(profile.name, "adeunis-pulse4-nbiot");
            assert_eq!(opened.device.to_string(), "nbiot:490154203237518");
            assert_eq!(hex::encode(opened.payload.bytes()), PLAIN);
            *exchange
        }
        other => panic!("{other:?}"),
    }
}

/// The immediate answer to a rejected request, in hex.
pub(super) fn wrong(packet: &Packet, trust: &Trust) -> String {
    match hear_packet(packet, trust) {
        Ok(Inbound::Wrong(_, answer)) => hex::encode(answer),
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
    assert_eq!(hex::encode(exchange.separate_answer(true, 7)), format!("53440007c0ffeeff{header}"));
}

#[test]
fn who_has_proved_itself_is_asked_to_acknowledge_a_late_answer_and_who_does_not_repeat_itself_is_sent_none() {
    let mut packet = post("adeunis-pulse4-nbiot", SEALED);
    let sealed = exchange(&packet, &keys());
    assert_eq!(sealed.late(), Late::UntilAcknowledged);
    assert!(hex::encode(sealed.separate_answer(true, 7)).starts_with("43440007c0ffeeff8101"));
    packet.header.set_type(MessageType::NonConfirmable);
    assert_eq!(exchange(&packet, &keys()).late(), Late::Silence);
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
    let mut secured = post("adeunis-pulse4-nbiot", PLAIN);
    secured.add_option(CoapOption::Oscore, vec![0x09]);
    assert_eq!(wrong(&secured, &trusted), "63821234c0ffee");
    secured.header.set_type(MessageType::NonConfirmable);
    assert_eq!(unanswered(&secured.to_bytes().unwrap(), &trusted), Refusal::CriticalOption(9));
    assert_eq!(wrong(&post("acme", SEALED), &keys()), "63841234c0ffee");
}

#[test]
fn without_proof_nothing_is_answered_whatever_else_is_wrong() {
    for packet in [post("adeunis-pulse4-nbiot", PLAIN), post("acme", "00"), Packet::new()] {
        assert!(hear_packet(&packet, &keys()).is_err());
    }
    let ping = [0x40, 0x00, 0x12, 0x34];
    assert_eq!(unanswered(&ping, &keys()), Refusal::NotCoap);
    let reset = [0x70, 0x00, 0x12, 0x34];
    let Ok(Inbound::Asked(Some(answer))) = hear(&ping, &Trust::InTheClear) else { panic!() };
    assert_eq!(answer, reset);
    // A message that is empty but for its payload is none of CoAP's.
    let Ok(Inbound::Wrong(_, answer)) = hear(&[&ping[..], &[0xFF, 1]].concat(), &Trust::InTheClear) else { panic!() };
    assert_eq!(answer, reset);
}

#[test]
fn what_the_client_says_to_our_own_messages_is_told_from_requests() {
    for kind in [0x60, 0x70] {
        assert!(matches!(hear(&[kind, 0x00, 0x00, 0x07], &keys()), Ok(Inbound::Settled(7))));
        assert_eq!(unanswered(&[kind, 0x00, 0x00, 0x07, 0xFF, 0x01], &Trust::InTheClear), Refusal::NotCoap);
    }
}

#[test]
fn a_method_that_is_not_defined_is_not_allowed_and_a_code_of_no_class_is_reset() {
    for code in [0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x1F] {
        let mut packet = post("adeunis-pulse4-nbiot", PLAIN);
        packet.header.code = code.into();
        assert_eq!(wrong(&packet, &Trust::InTheClear), "63851234c0ffee", "{code}");
    }
    for code in [0x20, 0x45, 0xC0, 0xE2] {
        assert!(
            matches!(hear(&[0x40, code, 0x12, 0x34], &Trust::InTheClear), Ok(Inbound::Wrong(_, reset)) if reset == [0x70, 0, 0x12, 0x34])
        );
    }
}

#[test]
fn a_token_of_more_than_eight_bytes_is_not_answered() {
    for length in 9..=15 {
        let message = [&[0x40 | length, 0x02, 0x12, 0x34][..], &[0; 40]].concat();
        assert_eq!(unanswered(&message, &Trust::InTheClear), Refusal::NotCoap);
    }
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
        if let Ok(Inbound::Wrong(_, answer)) = hear(&datagram, &trust) {
            prop_assert!(!sealed && answer.len() <= datagram.len());
        }
    }

    #[test]
    fn all_that_goes_out_for_a_request_in_the_clear_is_no_longer_than_it(
        token in proptest::collection::vec(0..=255_u8, 0..=8),
        (profile, payload) in prop::sample::select(SHORTEST.to_vec()),
        confirmable: bool,
        durable: bool,
    ) {
        let mut packet = post(profile, payload);
        packet.set_token(token);
        packet.header.set_type(if confirmable { MessageType::Confirmable } else { MessageType::NonConfirmable });
        let Ok(Inbound::Uplink(.., Answer::Coap(exchange))) = hear_packet(&packet, &Trust::InTheClear) else {
            panic!("{profile} {payload}");
        };
        let late = exchange.arrived().len() + exchange.separate_answer(durable, 1).len();
        let most = match exchange.late() {
            Late::Silence => exchange.answer(durable, 1).len(),
            Late::Once => late.max(exchange.answer(durable, 1).len()),
            Late::UntilAcknowledged => late * 5,
        };
        let request = packet.to_bytes().unwrap().len();
        prop_assert!(most <= request, "{most} for {request}");
        // Two packets for one request, with the headers of UDP and IP.
        prop_assert!(2 * (most + 2 * 28) <= 3 * (request + 28), "{most} for {request}");
    }

    #[test]
    fn no_sealed_answer_is_longer_than_its_datagram(token in proptest::collection::vec(0..=255_u8, 0..=8)) {
        let mut packet = post("adeunis-pulse4-nbiot", SEALED);
        packet.set_token(token);
        let exchange = exchange(&packet, &keys());
        prop_assert!(exchange.answer(true, 1).len() <= packet.to_bytes().unwrap().len());
        prop_assert!(exchange.separate_answer(true, 1).len() <= packet.to_bytes().unwrap().len());
    }
}
