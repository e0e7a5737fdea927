use std::collections::LinkedList;

use coap_lite::{MessageClass, MessageType, RequestType};
use proptest::prelude::*;

use super::*;
use crate::protocol::coap::tests::{PLAIN, SEALED, SHORTEST, exchange, hear_packet, keys, post, unanswered, wrong};
use crate::protocol::coap::{Answer, Inbound, Late};
use crate::protocol::{Trust, coap};

const PROFILE: &str = "adeunis-pulse4-nbiot";

/// Numbers and values.
type Options<'a> = &'a [(u16, &'a [u8])];

/// The documented request with these options besides its path.
fn with(options: Options<'_>) -> Packet {
    let mut packet = post(PROFILE, PLAIN);
    for &(number, value) in options {
        packet.add_option(number.into(), value.to_vec());
    }
    packet
}

/// The documented request with these values of Uri-Path.
fn at(path: &[&str]) -> Packet {
    let mut packet = with(&[]);
    let path: LinkedList<_> = path.iter().map(|part| part.as_bytes().to_vec()).collect();
    packet.set_option(CoapOption::UriPath, path);
    packet
}

/// The code and the options of the answer to a rejected request, in hex.
fn rejected(options: Options<'_>) -> String {
    let answer = wrong(&with(options), &Trust::InTheClear);
    format!("{}{}", &answer[2..4], &answer[14..])
}

#[test]
fn options_that_change_nothing_are_ignored_on_either_listener() {
    let none: Options<'_> = &[];
    let cases: [Options<'_>; 9] = [
        none,
        &[(17, b""), (17, b"\x2a")],
        &[(3, b"bridge.example"), (7, b"\x16\x33"), (15, b"imei=1"), (15, b"v=2")],
        &[(1, b"")],
        &[(1, b"\x01\x02"), (1, b"")],
        &[(23, b"\x06")],
        // The M bit of Block2 in a request is ignored (RFC 7959, section 2.4).
        &[(23, b"\x0e")],
        &[(2049, b"\x08\x00"), (2053, b"\x08\x00")],
        &[
            (6, b""),
            (12, b"\x2a"),
            (14, b"\x3c"),
            (16, b"\x08"),
            (60, b"\x17"),
            (252, b"\x01"),
            (258, b"\x02"),
            (292, b"\x01"),
        ],
    ];
    let answer = exchange(&with(none), &Trust::InTheClear);
    for options in cases {
        assert_eq!(exchange(&with(options), &Trust::InTheClear), answer, "{options:?}");
        let mut sealed = with(options);
        sealed.payload = hex::decode(SEALED).unwrap();
        assert!(exchange(&sealed, &keys()).answer(true, 7).starts_with(b"\x63\x44\x12\x34\xc0\xff\xee\xff\x81"));
    }
}

#[test]
fn a_whole_body_in_one_block_is_taken_and_its_block_is_acknowledged() {
    for (block1, echoed) in [("", "d00e"), ("00", "d00e"), ("06", "d10e06"), ("000002", "d10e02")] {
        let exchange = exchange(&with(&[(27, &hex::decode(block1).unwrap())]), &Trust::InTheClear);
        let header = &PLAIN[..26];
        assert_eq!(hex::encode(exchange.answer(true, 7)), format!("63441234c0ffee{echoed}ff{header}"));
        assert_eq!(hex::encode(exchange.separate_answer(true, 7)), format!("53440007c0ffee{echoed}ff{header}"));
        assert_eq!(hex::encode(exchange.answer(false, 7)), "63a31234c0ffee");
        assert_eq!(hex::encode(exchange.arrived()), "60001234");
    }
}

#[test]
fn a_body_in_several_blocks_is_rejected_with_the_size_that_one_message_can_have() {
    // 2,048 bytes without the header, token, path, Block1 and the marker.
    assert_eq!(rejected(&[(27, b"\x0e")]), "8dd22f07df");
    assert_eq!(rejected(&[(27, b"\x1e")]), "88");
    assert_eq!(rejected(&[(27, b"\x16")]), "88");
    assert_eq!(rejected(&[(27, b"\x01\x00\x06")]), "88");
    let mut sealed = with(&[(27, b"\x0e")]);
    sealed.payload = hex::decode(SEALED).unwrap();
    assert!(wrong(&sealed, &keys()).starts_with("638d"));
    // The first block of a sealed body does not prove its sender.
    sealed.payload.truncate(32);
    assert_eq!(unanswered(&sealed.to_bytes().unwrap(), &keys()), Refusal::Unproven);
}

#[test]
fn options_that_ask_for_what_the_bridge_does_not_do_are_rejected_by_their_codes() {
    let cases: [(Options<'_>, &str); 17] = [
        (&[(1, b"\x01\x02")], "8c"),
        (&[(5, b"")], "8c"),
        (&[(35, b"coap://meter.example/m")], "a5"),
        (&[(39, b"coap")], "a5"),
        // A block of the answer that it does not have, and the reserved size.
        (&[(23, b"\x16")], "80"),
        (&[(23, b"\x07")], "80"),
        (&[(27, b"\x07")], "80"),
        (&[(27, b"\x00\x00\x00\x06")], "82"),
        (&[(27, b"\x06"), (27, b"\x06")], "82"),
        (&[(9, b"\x09")], "82"),
        (&[(13, b"")], "82"),
        (&[(19, b"\x06")], "82"),
        (&[(21, b"")], "82"),
        (&[(31, b"\x06")], "82"),
        (&[(235, b"\x00")], "82"),
        (&[(2055, b"")], "82"),
        (&[(65_001, b"")], "82"),
    ];
    for (options, code) in cases {
        assert_eq!(rejected(options), code, "{options:?}");
    }
}

#[test]
fn a_non_confirmable_request_is_not_answered_for_an_unknown_option_but_for_a_known_one() {
    let non_confirmable = |options| {
        let mut packet = with(options);
        packet.header.set_type(MessageType::NonConfirmable);
        packet
    };
    let unknown = non_confirmable(&[(9, b"\x09")]).to_bytes().unwrap();
    assert_eq!(unanswered(&unknown, &Trust::InTheClear), Refusal::CriticalOption(9));
    assert_eq!(wrong(&non_confirmable(&[(35, b"coap://m")]), &Trust::InTheClear), "53a51234c0ffee");
}

#[test]
fn slashes_and_empty_segments_change_no_path() {
    let paths: [&[&str]; 7] = [
        &[PROFILE, ""],
        &["", PROFILE],
        &["", "", PROFILE, "", ""],
        &["/adeunis-pulse4-nbiot"],
        &["adeunis-pulse4-nbiot/"],
        &["//adeunis-pulse4-nbiot//"],
        &["/", PROFILE],
    ];
    let answer = exchange(&with(&[]), &Trust::InTheClear);
    for path in paths {
        assert_eq!(exchange(&at(path), &Trust::InTheClear), answer, "{path:?}");
    }
}

#[test]
fn another_path_is_not_found() {
    let paths: [&[&str]; 9] = [
        &[],
        &[""],
        &["/"],
        &["acme"],
        &[PROFILE, PROFILE],
        &["adeunis-pulse4-nbiot/x"],
        &["ADEUNIS-PULSE4-NBIOT"],
        &["adeunis%2Dpulse4-nbiot"],
        &[".well-known", "core"],
    ];
    for path in paths {
        assert_eq!(wrong(&at(path), &Trust::InTheClear), "63841234c0ffee", "{path:?}");
    }
    let mut packet = at(&[]);
    packet.add_option(CoapOption::UriPath, vec![0xFF]);
    assert_eq!(wrong(&packet, &Trust::InTheClear), "63841234c0ffee");
}

#[test]
fn a_message_of_nothing_but_options_is_not_read_to_its_end() {
    let options = |count| [&[0x40, 0x02, 0, 1][..], &vec![0x00; count], &[0xFF, 0x00]].concat();
    assert!(has_few(&options(MAX_OPTIONS)));
    assert!(!has_few(&options(MAX_OPTIONS + 1)));
    assert_eq!(unanswered(&options(2_000), &Trust::InTheClear), Refusal::NotCoap);
    let extended = [&[0x40, 0x02, 0, 1, 0xDD, 0, 7][..], &[0; 20], &[0xFF, 0x00]].concat();
    assert!(has_few(&extended));
}

/// An option that changes nothing but an echoed Block1, with any value that it may have.
fn harmless() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let numbers = [3, 4, 6, 7, 8, 12, 14, 15, 16, 17, 20, 28, 60, 252, 258, 292, 2049, 2053, 65_000];
    let plain = (prop::sample::select(numbers.to_vec()), proptest::collection::vec(0..=255_u8, 0..=20));
    prop_oneof![6 => plain, 1 => Just((1, vec![])), 1 => (0..=6_u8).prop_map(|szx| (23, vec![szx]))]
}

proptest! {
    #[test]
    fn any_harmless_options_change_nothing_but_the_echoed_block(
        options in proptest::collection::vec(harmless(), 0..=6),
        slashes in proptest::collection::vec(0..=2_usize, 2),
        szx in prop::option::of(0..=6_u8),
        (profile, payload) in prop::sample::select(SHORTEST.to_vec()),
        token in proptest::collection::vec(0..=255_u8, 0..=8),
        durable: bool,
    ) {
        let heard = |packet: &Packet| match hear_packet(packet, &Trust::InTheClear) {
            Ok(Inbound::Uplink(profile, opened, Answer::Coap(exchange))) => Ok((profile.name, opened, exchange)),
            other => Err(TestCaseError::fail(format!("{other:?}"))),
        };
        let mut plain = post(profile, payload);
        plain.set_token(token);
        let mut packet = plain.clone();
        // Block2 comes once at most (RFC 7959, section 2.1); the others as often as they like.
        for (number, value) in options {
            if number != 23 || packet.get_option(CoapOption::Block2).is_none() {
                packet.add_option(number.into(), value);
            }
        }
        let path = format!("{}{profile}{}", "/".repeat(slashes[0]), "/".repeat(slashes[1])).into_bytes();
        packet.set_option(CoapOption::UriPath, [path].into());
        if let Some(szx) = szx {
            packet.add_option(CoapOption::Block1, vec![szx]);
        }
        // Some answers have the time, in seconds.
        let (expected, told, later) = (heard(&plain)?, heard(&packet)?, heard(&plain)?);
        prop_assert_eq!(&expected.1, &told.1);
        prop_assert_eq!(expected.0, told.0);
        let mut answer = Packet::from_bytes(&told.2.answer(durable, 1)).unwrap();
        let echoed = answer.get_option(CoapOption::Block1).cloned();
        let block1 = szx.filter(|_| durable).map(|szx| if szx == 0 { vec![] } else { vec![szx] });
        prop_assert_eq!(echoed, block1.map(|value| [value].into()));
        answer.clear_option(CoapOption::Block1);
        prop_assert!([expected, later].iter().any(|(.., plain)| plain.answer(durable, 1) == answer.to_bytes().unwrap()));
        let late = told.2.arrived().len() + told.2.separate_answer(durable, 1).len();
        prop_assert!(told.2.late() == Late::Once && late <= packet.to_bytes().unwrap().len());
    }

    #[test]
    fn no_answer_to_any_options_is_longer_than_its_request(
        options in proptest::collection::vec((0..=60_u16, proptest::collection::vec(0..=255_u8, 0..=4)), 0..=6),
        path in prop::sample::select(vec!["m", "/", "senml-cbor"]),
        token in proptest::collection::vec(0..=255_u8, 0..=8),
        confirmable: bool,
    ) {
        let mut packet = Packet::new();
        packet.header.code = MessageClass::Request(RequestType::Post);
        packet.header.set_type(if confirmable { MessageType::Confirmable } else { MessageType::NonConfirmable });
        packet.set_token(token);
        packet.add_option(CoapOption::UriPath, path.as_bytes().to_vec());
        for (number, value) in options {
            packet.add_option(number.into(), value);
        }
        let message = packet.to_bytes().unwrap();
        if let Ok(Inbound::Wrong(_, answer)) = coap::hear(&message, &Trust::InTheClear) {
            prop_assert!(!answer.is_empty() && answer.len() <= message.len());
        }
    }
}
