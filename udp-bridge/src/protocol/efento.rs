//! Efento's loggers in the clear: CoAP with fixed paths. [`pulsegate_model::codec::efento`] draws the messages.
//!
//! `POST m` carries measurements, `c` the configuration and `i` the device's description of itself. Each is an uplink. Their
//! bytes do not tell them apart, so the path chooses the profile. Once an uplink is durable, the bridge answers a confirmable
//! request 2.01 with the time, by which the logger sets its clock. If it does not become durable, the answer is 5.00, and the
//! logger repeats the request. The bridge sends nothing before that: no document says that loggers tell an empty acknowledgement
//! from an answer. A repeated request is the same uplink. A non-confirmable request gets no answer. `t` asks for the time; the
//! answer is 2.05 with four bytes.
//!
//! The answer to an uplink is shorter than its request. The answer to `t` is three bytes longer than the shortest request, 9
//! bytes to 6 (37 to 34 with the headers of UDP and IP). It may go to a forged address, as everything on a trusted listener.

use coap_lite::{RequestType, ResponseType};
use pulsegate_model::codec::efento::MessageHead;
use pulsegate_model::device::Network;
use pulsegate_model::profile;
use pulsegate_model::profile::Profile;

use super::coap::{self, Late, Outcomes, Request};
use super::sealed::now;
use super::{Answer, IdentifiedUplink, Inbound, Refusal, Trust};

/// The profiles of messages to `c` and `i`, at every listener.
const CONFIGURATION: &str = "efento-configuration";
const DEVICE_INFO: &str = "efento-device-info";

/// The first segment of the paths at a `ThingsBoard` server (`CoapEfentoTransportResource.java`). Loggers that were set up for
/// one keep their endpoints: the bridge takes `efento/m` as `m`.
const THINGSBOARD: &str = "efento";

/// 5.00 makes a logger repeat the request; Efento does not document 5.03.
const OUTCOMES: Outcomes = Outcomes { durable: ResponseType::Created, given_back: ResponseType::InternalServerError };

/// Reads a CoAP message at a listener for Efento's loggers. `measurements` is the profile of what arrives at `m`.
pub(super) fn hear(datagram: &[u8], measurements: &'static Profile) -> Result<Inbound, Refusal> {
    coap::read(datagram, &Trust::InTheClear, |request| {
        let refused = |refusal| if request.confirmable { Ok(request.refuse(refusal)) } else { Err(refusal) };
        serve(request, measurements).or_else(refused)
    })
}

fn serve(request: &Request<'_>, measurements: &'static Profile) -> Result<Inbound, Refusal> {
    let payload = request.payload();
    let ([path] | [THINGSBOARD, path]) = request.path()?[..] else { return Err(Refusal::Path) };
    let (profile, head) = match (path, request.method) {
        // GET as well: another server documents it so.
        ("t", RequestType::Post | RequestType::Get) => {
            let answer = || request.answer(ResponseType::Content, &now().to_be_bytes());
            return Ok(Inbound::Asked(request.confirmable.then(answer)));
        }
        ("m", RequestType::Post) => (measurements, MessageHead::of_measurements(payload)?),
        ("c", RequestType::Post) => (fixed(CONFIGURATION)?, MessageHead::of_configuration(payload)?),
        ("i", RequestType::Post) => (fixed(DEVICE_INFO)?, MessageHead::of_device_info(payload)?),
        ("m" | "c" | "i" | "t", _) => return Err(Refusal::Method),
        _ => return Err(Refusal::Path),
    };
    let mut opened = IdentifiedUplink::new(&head.of_path(path, payload), payload)?;
    let acknowledgement = std::mem::take(&mut opened.acknowledgement);
    let answer = if request.confirmable {
        Answer::Coap(Box::new(request.exchange(Late::Silence, OUTCOMES, acknowledgement)))
    } else {
        Answer::Datagram(vec![])
    };
    Ok(Inbound::Uplink(profile, opened, answer))
}

/// The profile of this name, whichever other profiles have its codec.
fn fixed(name: &str) -> Result<&'static Profile, Refusal> {
    profile::find(Network::Nbiot, name).ok_or(Refusal::Path)
}

#[cfg(test)]
mod tests {
    use coap_lite::{CoapOption, MessageClass, MessageType, Packet};
    use proptest::prelude::*;
    use pulsegate_model::codec::efento::reply;

    use super::*;
    use crate::protocol::{Protocol, clear};

    /// Measurements that arrive another way.
    fn open(payload: &[u8]) -> Result<IdentifiedUplink, Refusal> {
        clear::open(profile::find(Network::Nbiot, "efento").unwrap(), payload)
    }

    /// Captured from a device; the second is the shortest that is anybody's.
    const MEASURED: &str = "0a06282c02424eed1001183c220f080110b8d0a7c20620d2032a020000220e080210b8d0a7c20620722a0200002896d5a7c20640014809820100";
    const SHORTEST: &str = "0a06282c02424eed";
    const CONFIGURED: &str = "ca0106282c02424eed";

    /// `CON POST /{path}` with the token c0ffee and the message ID 0x1234.
    fn post(path: &str, payload: &str) -> Packet {
        let mut packet = Packet::new();
        packet.header.code = MessageClass::Request(RequestType::Post);
        packet.header.message_id = 0x1234;
        packet.set_token(vec![0xC0, 0xFF, 0xEE]);
        packet.add_option(CoapOption::UriPath, path.as_bytes().to_vec());
        packet.payload = hex::decode(payload).unwrap();
        packet
    }

    fn hear_packet(packet: &Packet) -> Result<Inbound, Refusal> {
        let profile = pulsegate_model::profile::find(Network::Nbiot, "efento").unwrap();
        Protocol::in_the_clear(profile, true).read(&packet.to_bytes().unwrap())
    }

    fn uplink(packet: &Packet) -> (&'static str, IdentifiedUplink, Answer) {
        match hear_packet(packet) {
            Ok(Inbound::Uplink(profile, opened, answer)) => (profile.name, opened, answer),
            other => panic!("{other:?}"),
        }
    }

    /// What a request is answered at once, in hex.
    fn wrong(packet: &Packet) -> String {
        match hear_packet(packet) {
            Ok(Inbound::Wrong(_, answer)) => hex::encode(answer),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn measurements_are_of_the_device_and_of_their_newest_sample() {
        let (profile, opened, _) = uplink(&post("m", MEASURED));
        assert_eq!(profile, "efento");
        assert_eq!(opened.device.to_string(), "nbiot:282C02424EED");
        assert_eq!(opened.clock, "2025-06-11T20:35:00Z".parse().ok());
        assert_eq!((opened.radio.signal_quality, hex::encode(opened.payload.bytes()).as_str()), (Some(0), MEASURED));
    }

    #[test]
    fn the_path_tells_what_a_message_is() {
        for (path, payload, expected) in [
            ("m", SHORTEST, "efento"),
            ("c", CONFIGURED, "efento-configuration"),
            ("i", SHORTEST, "efento-device-info"),
        ] {
            let (profile, opened, _) = uplink(&post(path, payload));
            assert_eq!((profile, opened.device.to_string().as_str()), (expected, "nbiot:282C02424EED"));
            assert_eq!(opened.clock, None);
        }
    }

    #[test]
    fn the_paths_of_a_thingsboard_server_are_taken_as_the_loggers_own() {
        for (path, payload) in [("m", SHORTEST), ("c", CONFIGURED), ("i", SHORTEST)] {
            let (own_profile, own, _) = uplink(&post(path, payload));
            for written in ["efento/{}", "/efento/{}", "efento//{}/", "{}/", "/{}"] {
                let (profile, opened, _) = uplink(&post(&written.replace("{}", path), payload));
                assert_eq!((profile, &opened), (own_profile, &own), "{written}");
            }
            let mut packet = post("efento", payload);
            packet.add_option(CoapOption::UriPath, path.as_bytes().to_vec());
            let (profile, opened, _) = uplink(&packet);
            assert_eq!((profile, &opened), (own_profile, &own));
        }
    }

    #[test]
    fn the_fixed_profiles_are_there_and_of_their_codecs() {
        for name in [CONFIGURATION, DEVICE_INFO] {
            assert_eq!(fixed(name).unwrap().codec.name, name);
        }
    }

    #[test]
    fn a_message_is_answered_201_with_the_time_or_500() {
        let (.., answer) = uplink(&post("m", MEASURED));
        let Answer::Coap(exchange) = answer else { panic!("{answer:?}") };
        let durable = exchange.answer(true, 7);
        assert_eq!(hex::encode(&durable[..8]), "63411234c0ffeeff");
        assert!((now() - 60..=now()).any(|time| reply(time, false) == durable[8..]));
        assert_eq!(hex::encode(exchange.answer(false, 7)), "63a01234c0ffee");
    }

    #[test]
    fn a_device_is_asked_how_it_is_after_a_reset_only() {
        for (reason, asked) in [("3001", true), ("3003", true), ("3002", false), ("", false)] {
            let acknowledgement = open(&hex::decode(SHORTEST.to_owned() + reason).unwrap()).unwrap().acknowledgement;
            assert_eq!(acknowledgement.starts_with(&[0x30, 1]), asked, "{reason}");
        }
    }

    #[test]
    fn a_message_that_is_not_confirmable_is_not_answered_whatever_is_wrong() {
        let mut packet = post("m", MEASURED);
        packet.header.set_type(MessageType::NonConfirmable);
        assert_eq!(uplink(&packet).2, Answer::Datagram(vec![]));
        packet.payload.clear();
        assert!(hear_packet(&packet).is_err());
        let mut packet = post("t", "");
        packet.header.set_type(MessageType::NonConfirmable);
        assert!(matches!(hear_packet(&packet), Ok(Inbound::Asked(None))));
    }

    #[test]
    fn what_is_wrong_is_answered_by_its_code() {
        assert_eq!(wrong(&post("x", MEASURED)), "63841234c0ffee");
        for path in ["efento", "efento/", "efento/x", "efento/m/m", "efento/efento/m", "m/efento", "/"] {
            assert_eq!(wrong(&post(path, MEASURED)), "63841234c0ffee", "{path}");
        }
        for payload in ["", "00", "0a04000004d2", "0a06000000000000"] {
            assert_eq!(wrong(&post("m", payload)), "63801234c0ffee", "{payload}");
        }
        let mut get = post("m", MEASURED);
        get.header.code = MessageClass::Request(RequestType::Get);
        assert_eq!(wrong(&get), "63851234c0ffee");
    }

    #[test]
    fn the_answer_to_a_first_block_is_no_longer_than_it() {
        for path in ["m", "c", "i", "t", "efento/m"] {
            let mut packet = post(path, "");
            packet.add_option(CoapOption::Block1, vec![0x08]);
            let answer = wrong(&packet);
            assert!(answer.starts_with("638d1234c0ffeed22f"), "{answer}");
            assert!(answer.len() <= 2 * packet.to_bytes().unwrap().len(), "{answer}");
        }
    }

    #[test]
    fn who_asks_for_the_time_is_told_three_bytes_more_than_it_asked() {
        for method in [RequestType::Post, RequestType::Get] {
            let mut packet = post("t", "");
            packet.header.code = MessageClass::Request(method);
            let Ok(Inbound::Asked(Some(answer))) = hear_packet(&packet) else { panic!() };
            assert_eq!(hex::encode(&answer[..8]), "63451234c0ffeeff");
            let told = u32::from_be_bytes(answer[8..].try_into().unwrap());
            assert!((now() - 60..=now()).contains(&told));
            assert_eq!(answer.len(), packet.to_bytes().unwrap().len() + 3);
        }
    }

    #[test]
    fn a_repeated_message_has_the_same_sequence_and_another_another() {
        let sequence = |payload: &str| open(&hex::decode(payload).unwrap()).unwrap().sequence;
        assert_eq!(sequence(MEASURED), sequence(MEASURED));
        assert_ne!(sequence(MEASURED), sequence(&MEASURED.replace("20d203", "20d403")));
    }

    #[test]
    fn the_same_bytes_to_another_path_are_another_uplink() {
        let sequence = |path| uplink(&post(path, SHORTEST)).1.sequence;
        assert_ne!(sequence("m"), sequence("i"));
        assert_eq!(sequence("m"), open(&hex::decode(SHORTEST).unwrap()).unwrap().sequence);
    }

    proptest! {
        #[test]
        fn no_answer_to_an_uplink_is_longer_than_its_request(
            token in proptest::collection::vec(0..=255_u8, 0..=8),
            path in prop_oneof![Just("m"), Just("c"), Just("i")],
            after_reset: bool,
        ) {
            let payload = if path == "c" { CONFIGURED } else { SHORTEST };
            let mut packet = post(path, &(payload.to_owned() + if after_reset { "3001" } else { "" }));
            packet.set_token(token);
            let (.., answer) = uplink(&packet);
            let Answer::Coap(exchange) = answer else { panic!("{answer:?}") };
            prop_assert_eq!(exchange.late(), Late::Silence);
            prop_assert!(exchange.answer(true, 1).len() <= packet.to_bytes().unwrap().len());
        }

        #[test]
        fn no_bytes_panic(datagram: Vec<u8>) {
            let _ = hear(&datagram, pulsegate_model::profile::find(Network::Nbiot, "efento").unwrap());
        }

        #[test]
        fn no_change_of_a_captured_message_panics_or_gets_more_than_it_brings(
            path in "[mcix]",
            at: prop::sample::Index,
            byte: u8,
            cut: prop::sample::Index,
        ) {
            let mut packet = post(&path, MEASURED);
            let at = at.index(packet.payload.len());
            packet.payload[at] = byte;
            packet.payload.truncate(cut.index(packet.payload.len()) + 1);
            let answer = match hear_packet(&packet) {
                Ok(Inbound::Uplink(.., Answer::Coap(exchange))) => exchange.answer(true, 1),
                Ok(Inbound::Wrong(_, answer)) => answer,
                other => panic!("{other:?}"),
            };
            prop_assert!(answer.len() <= packet.to_bytes().unwrap().len());
        }
    }
}
