//! Harmless decoration around any datagram that a codec reads, as modems, gateways and scripts add it, changes nothing:
//! the same device, and the same item.

use std::sync::LazyLock;

use frames::{cases, decode, payload};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use pulsegate_model::codec::Identify;
use pulsegate_model::profile::PROFILES;
use serde_json::{Value, json};

/// The form of a datagram, which limits what can be around it without being part of it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Binary,
    Cbor,
    Json,
}

/// A datagram that its codec reads, with its case.
#[derive(Debug, Clone)]
struct Datagram {
    case: Value,
    bytes: Vec<u8>,
    form: Form,
}

/// The ends of the names of cases that are decorated already.
const DECORATED: [&str; 6] = ["-ascii", "-quoted", "-line-end", "-hex-text", "-decorated", "-in-hex"];

/// Every such datagram of the cases. A message of an Efento logger is the payload of CoAP, which has its length.
static DATAGRAMS: LazyLock<Vec<Datagram>> = LazyLock::new(|| {
    let all = cases().filter_map(|(_, case)| {
        let codec = PROFILES.iter().find(|profile| profile.name == case["profile"])?.codec;
        let identify = codec.identify.filter(|identify| !matches!(identify, Identify::EfentoCoap(_)))?;
        let bytes = payload(&case);
        identify.heads(&bytes).ok()?;
        decode(&case).ok()?;
        let form = match codec.name {
            "senml-json" => Form::Json,
            "senml-cbor" => Form::Cbor,
            _ => Form::Binary,
        };
        let name = case["name"].as_str()?;
        let plain = !DECORATED.iter().any(|end| name.ends_with(end));
        plain.then_some(Datagram { case, bytes, form })
    });
    all.collect()
});

fn blanks() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(select(b" \t\r\n\0".to_vec()), 0..4)
}

/// The bytes as hex in ASCII.
fn in_hex(bytes: &[u8], upper: bool, prefix: &str, quote: &str, between: &str) -> Vec<u8> {
    let text = if upper { hex::encode_upper(bytes) } else { hex::encode(bytes) };
    let pairs: Vec<&str> = text.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap()).collect();
    format!("{quote}{prefix}{}{quote}", pairs.join(between)).into_bytes()
}

/// The same message, decorated.
fn decorated() -> impl Strategy<Value = (Datagram, Vec<u8>)> {
    let text = (any::<bool>(), select(vec!["", "0x", "0X"]), select(vec!["", "\"", "'"]), select(vec!["", " ", "\n"]));
    (any::<Index>(), 0..4_u8, text, blanks(), blanks(), any::<bool>()).prop_map(
        |(index, way, (upper, prefix, quote, between), before, after, mark)| {
            let datagram = index.get(&DATAGRAMS).clone();
            let bytes = &datagram.bytes;
            let mark = if mark { b"\xEF\xBB\xBF".as_slice() } else { b"" };
            let around = |text: Vec<u8>| [mark, &before, &text, &after].concat();
            let decorated = match (datagram.form, way) {
                (Form::Binary, _) | (_, 0) => around(in_hex(bytes, upper, prefix, quote, between)),
                (Form::Json, 1) => around(json!(String::from_utf8_lossy(bytes)).to_string().into_bytes()),
                (Form::Json, _) => around(bytes.clone()),
                // It says that this is CBOR (RFC 8949, 3.4.6).
                (Form::Cbor, 1) => [b"\xD9\xD9\xF7", bytes.as_slice()].concat(),
                (Form::Cbor, _) => [bytes.as_slice(), &vec![0; after.len()]].concat(),
            };
            (datagram, decorated)
        },
    )
}

/// The item of a datagram, but for its key: the checksum is that of the bytes as they came.
fn item(case: &Value, bytes: &[u8]) -> Value {
    let codec = PROFILES.iter().find(|profile| profile.name == case["profile"]).unwrap().codec;
    let mut case = case.clone();
    case["hex"] = hex::encode(bytes).into();
    case["sequence"] = codec.identify.unwrap().heads(bytes).unwrap()[0].sequence.into();
    case.as_object_mut().unwrap().remove("text");
    let mut item = decode(&case).unwrap();
    item.as_object_mut().unwrap().remove("uplink");
    item
}

#[test]
fn there_are_datagrams_of_every_form() {
    for form in [Form::Binary, Form::Cbor, Form::Json] {
        assert!(DATAGRAMS.iter().any(|datagram| datagram.form == form), "{form:?}");
    }
    assert!(DATAGRAMS.iter().any(|datagram| datagram.case["profile"] == "adeunis-pulse4-nbiot"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decoration_changes_neither_the_device_nor_the_item((datagram, decorated) in decorated()) {
        let codec = PROFILES.iter().find(|profile| profile.name == datagram.case["profile"]).unwrap().codec;
        let devices = |bytes: &[u8]| -> Vec<_> {
            codec.identify.unwrap().heads(bytes).unwrap().iter().map(|head| (head.device, head.clock)).collect()
        };
        prop_assert!(codec.identify.unwrap().heads(&decorated).is_ok(), "{:?} {}", String::from_utf8_lossy(&decorated), hex::encode(&decorated));
        prop_assert_eq!(devices(&decorated), devices(&datagram.bytes));
        prop_assert_eq!(item(&datagram.case, &decorated), item(&datagram.case, &datagram.bytes));
    }
}
