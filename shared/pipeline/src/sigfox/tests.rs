//! Property tests: any template that Sigfox allows, rendered for any uplink, parses to that uplink; no input panics.

use std::sync::LazyLock;

use form_urlencoded::Serializer;
use proptest::prelude::*;
use proptest::sample::select;
use pulsegate_model::codec::{CodecSettings, adeunis_pulse};
use pulsegate_model::device::Network;
use pulsegate_model::profile::Callbacks;
use pulsegate_model::uplink::{Payload, Radio, TimeSource};
use serde_json::value::RawValue;

use super::*;
use crate::fakes::FakeQueue;

mod decorated;

/// A profile with its own variable names and line patterns.
static PROFILE: LazyLock<Profile> = LazyLock::new(|| Profile {
    name: "adeunis-pulse-v4",
    network: Network::Sigfox,
    codec: &adeunis_pulse::V4,
    settings: CodecSettings::default(),
    callbacks: Callbacks {
        uplink_line: "<{time}|{device}|{data},seq={seqNumber}>;",
        bidir_line: "{ack} {device} {time} {seqNumber} {data}",
        aliases: vec![("Zaehler", "device"), ("wann", "time"), ("inhalt", "data"), ("lfd_nr", "seqNumber")],
    },
});

/// An uplink and one way to write its variables.
#[derive(Debug, Clone)]
struct Rendered {
    uplink: Uplink,
    /// Variable names and their values.
    values: Vec<(&'static str, String)>,
}

fn of(kind: CallbackKind, content: &Content<'_>) -> Messages {
    read("test", kind, &PROFILE, content)
}

/// Any Sigfox uplink, with its values in a spelling that Sigfox uses.
fn rendered() -> impl Strategy<Value = Rendered> {
    let radio = (proptest::option::of(-15_000..0_i32), proptest::option::of("[0-9A-F]{4}"));
    let data = proptest::collection::vec(any::<u8>(), 0..=12);
    let spelling = (any::<bool>(), any::<bool>(), any::<bool>(), 0..3_i64);
    (any::<u32>(), 300_000_000..4_000_000_000_i64, proptest::option::of(0..4096_u32), data, radio, spelling).prop_map(
        |(device, time, sequence, data, (rssi, station), (padded, lower, lower_data, form_of_time))| {
            let id = if padded { format!("{device:08X}") } else { format!("{device:X}") };
            let hex = if lower_data { hex::encode(&data) } else { hex::encode_upper(&data) };
            let time_text = [time.to_string(), format!("{time}123"), format!("{time}.0")]
                [usize::try_from(form_of_time).unwrap()]
            .clone();
            let mut values = vec![
                ("device", if lower { id.to_lowercase() } else { id }),
                ("time", time_text),
                ("data", hex),
                ("seqNumber", sequence.map_or("null".to_owned(), |n| n.to_string())),
                ("rssi", rssi.map_or("null".to_owned(), |rssi| format!("{:.2}", f64::from(rssi) / 100.0))),
            ];
            values.push(("station", station.clone().unwrap_or_else(|| "N/A".to_owned())));
            let uplink = Uplink {
                device: format!("sigfox:{device:X}").parse().unwrap(),
                kind: pulsegate_model::uplink::Kind::Data,
                at: pulsegate_model::at::At::from_unix(time).unwrap(),
                time_source: TimeSource::Network,
                sequence,
                profile: PROFILE.uplink_name(),
                payload: Payload::from_bytes(&data).unwrap(),
                radio: Radio {
                    rssi: rssi.map(|rssi| (f64::from(rssi) / 100.0).try_into().unwrap()),
                    station: station.map(|station| station.parse().unwrap()),
                    ..Radio::default()
                },
            };
            Rendered { uplink, values }
        },
    )
}

/// A name that a customer may give a variable: Sigfox's name in any spelling, an old name, or the profile's own.
fn names() -> impl Strategy<Value = [&'static str; 6]> {
    (
        select(vec!["device", "Device", "id", "DEVICE_ID", "deviceId", "Zaehler", "zaehler"]),
        select(vec!["time", "Time", "timestamp", "wann"]),
        select(vec!["data", "DATA", "payload", "inhalt"]),
        select(vec!["seqNumber", "seqnumber", "seq_number", "seq-number", "seq", "lfd_nr", "lfdNr"]),
        select(vec!["rssi", "RSSI"]),
        select(vec!["station", "Station"]),
    )
        .prop_map(|(device, time, data, sequence, rssi, station)| [device, time, data, sequence, rssi, station])
}

/// The form of each variable in the template: quoted or bare, and its object.
fn layout() -> impl Strategy<Value = [(bool, Option<&'static str>); 6]> {
    let place = (any::<bool>(), proptest::option::of(select(vec!["message", "radio info", "x"])));
    [place.clone(), place.clone(), place.clone(), place.clone(), place.clone(), place]
}

/// A JSON body. A value is bare only if the result is JSON, as Sigfox's own check requires.
fn json(values: &[(&str, String)], layout: &[(bool, Option<&str>)], outer: Option<&str>) -> String {
    let mut objects: std::collections::BTreeMap<Option<&str>, Vec<String>> = std::collections::BTreeMap::new();
    for ((name, value), (quoted, object)) in values.iter().zip(layout) {
        let bare = !quoted && serde_json::from_str::<&RawValue>(value).is_ok();
        let text = if bare { format!(r#""{name}": {value}"#) } else { format!(r#""{name}" : "{value}""#) };
        // Inside an object, `id` is the ID of the thing that the object is named after.
        let object = if *name == "id" && object.is_some() { Some("device") } else { *object };
        objects.entry(object).or_default().push(text);
    }
    let mut members = objects.remove(&None).unwrap_or_default();
    members.push(r#""customData#flow": null, "net": "{snr}", "list": [1, {"device": "BAD"}], "gateway": {"id": "BAD", "time": null},
        "deviceType": {"id": "628fd74fb3cabb6565ae81bb", "seqNumber": "N/A"}"#.to_owned());
    members
        .extend(objects.into_iter().map(|(name, inner)| format!("\"{}\": {{{}}}", name.unwrap(), inner.join(",\n\t"))));
    let object = format!("{{{}}}", members.join(", "));
    outer.map_or(object.clone(), |outer| format!("\n {{\"{outer}\": {object}}}"))
}

fn form(values: &[(&str, String)]) -> String {
    Serializer::new(String::new()).extend_pairs(values).finish()
}

fn renamed(rendered: &Rendered, names: [&'static str; 6]) -> Vec<(&'static str, String)> {
    rendered.values.iter().zip(names).map(|((_, value), name)| (name, value.clone())).collect()
}

/// Names and values that are known to be difficult, and arbitrary ones.
fn hostile() -> impl Strategy<Value = String> {
    let known =
        ["", "_", "-", "batt", "data", "duplicates", "computedLocation", "infoCode", "infoMessage", "eventType", "lat"];
    let odd =
        ["\u{FFFE}", "\u{FFFF}\u{0}", "null", "{x}", "[{\"bsId\":{}}]", "{\"lat\":\"1\",\"lng\":2}", "1e999", "-0"];
    prop_oneof![
        select(known.to_vec()).prop_map(str::to_owned),
        select(odd.to_vec()).prop_map(str::to_owned),
        any::<String>()
    ]
}

/// DynamoDB rejects an attribute without a name at any depth.
fn names_are_valid(value: &serde_json::Value) -> bool {
    let members = value.as_object().into_iter().flatten();
    members.clone().all(|(name, value)| !name.is_empty() && names_are_valid(value))
        && value.as_array().into_iter().flatten().all(names_are_valid)
}

fn form_of(members: &std::collections::BTreeMap<String, String>) -> String {
    Serializer::new(String::new()).extend_pairs(members).finish()
}

fn check(messages: Messages, expected: &[Uplink]) -> Result<(), TestCaseError> {
    prop_assert_eq!(messages.unreadable, []);
    prop_assert_eq!(messages.uplinks, expected);
    prop_assert_eq!(messages.downlink_requests, []);
    Ok(())
}

proptest! {
    #[test]
    fn any_json_template_rendered_for_any_uplink_is_that_uplink(
        rendered in rendered(), names in names(), layout in layout(), outer in proptest::option::of(select(vec!["body", "d"]))
    ) {
        let body = json(&renamed(&rendered, names), &layout, outer);
        check(of(CallbackKind::Uplink, &Content { body: body.as_bytes(), ..Content::default() }), &[rendered.uplink])?;
    }

    #[test]
    fn any_form_or_query_and_both_at_once_are_that_uplink(
        rendered in rendered(), names in names(), in_query in any::<[bool; 6]>(), in_body in any::<[bool; 6]>(), moved: bool
    ) {
        let values = renamed(&rendered, names);
        // Every value is in at least one of the two.
        let some = |which: [bool; 6], otherwise: [bool; 6]| -> Vec<(&str, String)> {
            let kept = values.iter().enumerate().filter(|&(n, _)| which[n] || !otherwise[n]);
            kept.map(|(_, value)| value.clone()).collect()
        };
        let query = form(&some(in_query, in_body));
        let mut body = form(&some(in_body, in_query));
        if moved {
            // Sigfox moves the query in front of a form body.
            body = format!("{query}&{body}");
        }
        let content = Content { body: body.as_bytes(), query: if moved { "" } else { &query }, extra: Vec::new() };
        check(of(CallbackKind::Uplink, &content), &[rendered.uplink])?;
    }

    #[test]
    fn any_batch_is_its_uplinks_whatever_its_parameter_is_called_and_its_lines_end_with(
        rendered in proptest::collection::vec(rendered(), 1..20), parameter in "[a-z]{1,8}", crlf: bool, trailing: bool,
        in_query: bool, pattern in select(vec![CallbackKind::Uplink, CallbackKind::Bidir]),
    ) {
        let line = |rendered: &Rendered| {
            let pattern = if pattern == CallbackKind::Uplink { PROFILE.callbacks.uplink_line } else { PROFILE.callbacks.bidir_line };
            let with_ack = pattern.replace("{ack}", "false");
            rendered.values.iter().fold(with_ack, |line, (name, value)| line.replace(&format!("{{{name}}}"), value))
        };
        let ending = if crlf { "\r\n" } else { "\n" };
        let mut lines = rendered.iter().map(line).collect::<Vec<_>>().join(ending);
        if trailing {
            lines.push_str(ending);
        }
        let batch = form(&[(&parameter, lines)]);
        let content = if in_query {
            Content { query: &batch, ..Content::default() }
        } else {
            Content { body: batch.as_bytes(), ..Content::default() }
        };
        // A line has no radio metadata here.
        let expected: Vec<Uplink> =
            rendered.into_iter().map(|rendered| Uplink { radio: Radio::default(), ..rendered.uplink }).collect();
        check(of(pattern, &content), &expected)?;
    }

    #[test]
    fn nothing_is_lost_and_nothing_panics_whatever_comes(
        body: Vec<u8>, query: String, extra: Vec<(String, String)>, kind in select(CallbackKind::ALL.to_vec())
    ) {
        let messages = of(kind, &Content { body: &body, query: &query, extra });
        prop_assert!(messages.uplinks.len() + messages.events.len() + messages.unreadable.len() > 0);
    }

    #[test]
    fn whatever_a_callback_says_the_queue_takes_it_and_so_does_the_table(
        members in proptest::collection::btree_map(hostile(), hostile(), 0..6), quoted: bool, in_query: bool,
        kind in select(CallbackKind::ALL.to_vec()), bad: bool,
    ) {
        let mut all = serde_json::Map::from_iter([("time".to_owned(), serde_json::json!(1_795_176_000))]);
        all.insert("device".to_owned(), if bad { "XYZ".into() } else { "1A2345".into() });
        let value = |text: &String| if quoted { text.clone().into() } else { serde_json::json!([text]) };
        all.extend(members.iter().map(|(name, text)| (name.clone(), value(text))));
        let (body, query) = (serde_json::Value::Object(all).to_string(), form_of(&members));
        let content = Content { body: body.as_bytes(), query: if in_query { &query } else { "" }, extra: Vec::new() };
        let messages = of(kind, &content);
        let (raw, quarantine) = (FakeQueue::default(), FakeQueue::default());
        let soon = || Instant::now() + std::time::Duration::from_mins(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(async {
            assert_eq!(enqueue(&messages, &raw, &quarantine, soon()).await.given_back, 0);
            for message in raw.sent() {
                assert!(message.len() <= envelope::MAX_BYTES);
                let unpacked = envelope::unpack(message.as_bytes()).unwrap();
                for event in &unpacked.events {
                    assert!(names_are_valid(&serde_json::to_value(event).unwrap()), "{message}");
                }
                assert_eq!(unpacked.unreadable, []);
            }
        });
        prop_assert_eq!(messages.events.is_empty() && messages.uplinks.is_empty(), raw.sent().is_empty());
    }

    #[test]
    fn json_of_any_depth_and_shape_is_taken_or_quarantined(
        name in "[a-zA-Z#_]{1,12}", value in "[0-9a-zA-Z{}\\[\\]\",:. ]{0,40}", depth in 0..200_usize
    ) {
        let body = format!("{}{{\"{name}\": {value}}}{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        let messages = of(CallbackKind::DataAdvanced, &Content { body: body.as_bytes(), ..Content::default() });
        prop_assert!(messages.events.len() + messages.unreadable.len() == 1);
    }
}

/// Parsing in quadratic time would take minutes here.
#[test]
fn a_quarter_of_a_megabyte_of_braces_is_no_work_however_they_stand() {
    let deep = format!("{}1{}", "{\"a\":".repeat(43_000), "}".repeat(43_000));
    let members: Vec<String> = (0..16_000).map(|n| format!("\"{n:04x}\":{{\"{n:04x}\":1}}")).collect();
    let wide = format!("{{{}}}", members.join(","));
    let form = "a=1&".repeat(64_000);
    for body in [deep, wide, form] {
        for kind in CallbackKind::ALL {
            let messages = of(kind, &Content { body: body.as_bytes(), ..Content::default() });
            assert_eq!(messages.unreadable.len(), 1, "{kind}");
        }
    }
}

#[test]
fn the_log_has_nothing_of_what_was_sent() {
    let secret = "46800000009f00000002";
    let bodies = [
        format!("1A2345,1795176000,{secret}"),
        format!(r#"{{"device": "{secret}", "time": 1}}"#),
        format!(r#"{{"device": "1A2345", "time": "{secret}{secret}"}}"#),
        format!(r#"{{"device": "1A2345", "time": 1, "data": "{secret}", "seqNumber": "{secret}"}}"#),
        format!("{{{secret}"),
    ];
    for body in bodies {
        let messages = of(CallbackKind::Uplink, &Content { body: body.as_bytes(), ..Content::default() });
        let logged = messages.unreadable[0].logged().to_owned();
        assert!(!logged.contains(&secret[..8]), "{logged}");
    }
}

#[test]
fn every_kind_is_read_back_as_it_is_written() {
    for kind in CallbackKind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    assert!("UPLINK".parse::<CallbackKind>().is_err() && "".parse::<CallbackKind>().is_err());
}
