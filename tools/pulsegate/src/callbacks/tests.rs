use std::collections::{BTreeMap, BTreeSet};

use clap::Parser as _;
use pulsegate_model::uplink::Kind;
use pulsegate_pipeline::sigfox::{Content, Messages, read};

use super::*;
use crate::options::{Command, Options};

const PROFILE: &str = "adeunis-pulse-v4";
const URL: &str = "https://a1b2.execute-api.eu-west-1.amazonaws.com";

/// The output of a command line, or the error.
fn printed(line: &str) -> Result<Printed, String> {
    let words = ["pulsegate", "callbacks", "print"].into_iter().chain(line.split_whitespace());
    let Command::Callbacks(options) = Options::try_parse_from(words).map_err(|e| e.to_string())?.command else {
        panic!("not about callbacks");
    };
    let CallbackCommand::Print(options) = options.command;
    definitions(&options).map_err(|problem| problem.in_full())
}

fn usual_and(line: &str) -> Printed {
    printed(&format!("--profile {PROFILE} --url {URL}/ {line}")).unwrap()
}

fn one(kind: CallbackKind) -> Value {
    usual_and(&format!("--kinds {kind}")).definitions.remove(0)
}

/// The values that Sigfox has for a message, in its notation. It writes `null` for a variable without a value.
fn message() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("device", "1A2345"),
        ("time", "1795176000"),
        ("data", "46800000009f00000002"),
        ("seqNumber", "42"),
        ("ack", "true"),
        ("rssi", "-123.00"),
        ("station", "27B9"),
        ("lqi", "Good"),
        ("infoCode", "1"),
        ("infoMessage", "No downlink answer"),
        ("batt", "3.50"),
        ("duplicates", r#"[{"bsId":"27B9","rssi":-138.0,"nbRep":2}]"#),
        ("computedLocation", r#"{"lat":43.5,"lng":1.5,"radius":7800,"source":2,"status":1}"#),
        ("eventType", "DEVICE_SEQUENCE_BREAK"),
        ("sourceId", "1A2345"),
        ("sourceType", "DEVICE"),
    ])
}

/// Replaces variables by their values, unescaped, as Sigfox does.
fn rendered(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, name, after)) = next_variable(rest) {
        text += before;
        text += &value(name);
        rest = after;
    }
    text + rest
}

/// A variable is a name in braces; other braces belong to the body.
fn next_variable(template: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(open) = template[from..].find('{').map(|at| from + at) {
        let name = template[open + 1..].split('}').next()?;
        if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Some((&template[..open], name, &template[open + name.len() + 2..]));
        }
        from = open + 1;
    }
    None
}

fn known(name: &str) -> String {
    message().get(name).map_or("null", |value| value).to_owned()
}

fn received(kind: CallbackKind, body: &str, query: &str) -> Messages {
    let profile = profile::find(Network::Sigfox, PROFILE).unwrap();
    let messages = read("test", kind, profile, &Content { body: body.as_bytes(), query, extra: Vec::new() });
    assert!(messages.unreadable.is_empty(), "{kind}: {:?}", messages.unreadable);
    messages
}

/// Parses a message that was rendered with a definition's template.
fn arrived(kind: CallbackKind) -> Messages {
    let definition = one(kind);
    assert_eq!(definition["url"], format!("{URL}/sigfox/{PROFILE}/{kind}"));
    received(kind, &rendered(definition["bodyTemplate"].as_str().unwrap(), known), "")
}

#[test]
fn an_uplink_arrives_as_that_uplink_by_each_kind_that_brings_one() {
    for kind in [CallbackKind::Uplink, CallbackKind::Bidir, CallbackKind::DataAdvanced] {
        let messages = arrived(kind);
        let uplink = &messages.uplinks[0];
        assert_eq!(uplink.device.to_string(), "sigfox:1A2345");
        assert_eq!(uplink.key().to_string(), "2026-11-20T12:00:00Z#00042");
        assert_eq!(uplink.payload.bytes(), hex_bytes("46800000009f00000002"));
        let advanced = kind == CallbackKind::DataAdvanced;
        assert_eq!(uplink.kind, if advanced { Kind::DataAdvanced } else { Kind::Data });
        assert_eq!(uplink.radio.rssi.map(f64::from), (!advanced).then_some(-123.0));
        assert_eq!(messages.downlink_requests.len(), usize::from(kind == CallbackKind::Bidir));
        assert_eq!(messages.events.len(), usize::from(advanced));
    }
}

fn hex_bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn what_else_the_network_says_arrives_with_what_is_understood_of_it() {
    let event = |kind| arrived(kind).events.remove(0);
    let acknowledged = event(CallbackKind::Acknowledge).details.downlink.unwrap();
    assert_eq!((acknowledged.code, acknowledged.message.as_deref()), (1, Some("No downlink answer")));
    assert!(event(CallbackKind::Status).details.battery_volts.is_some());
    assert!(event(CallbackKind::Repeater).details.battery_volts.is_some());
    let advanced = event(CallbackKind::DataAdvanced).details;
    assert_eq!(
        (advanced.receptions.len(), advanced.location.is_some(), advanced.link_quality.is_some()),
        (1, true, true)
    );
    assert_eq!(event(CallbackKind::Error).source.to_string(), "sigfox:1A2345");
    let typed_in = rendered(&variables::body(CallbackKind::Event), known);
    let broken = received(CallbackKind::Event, &typed_in, "").events.remove(0);
    assert_eq!(broken.name.as_deref(), Some("device-sequence-break"));
}

#[test]
fn a_body_is_json_even_when_nothing_is_known() {
    for kind in CallbackKind::ALL {
        let body = rendered(&variables::body(kind), |name| {
            if variables::JSON.contains(&name) { "[]" } else { "N/A" }.to_owned()
        });
        let members: BTreeMap<String, Value> =
            serde_json::from_str(&body).unwrap_or_else(|e| panic!("{kind}: {e}: {body}"));
        assert_eq!(members.len(), variables::of(kind).len(), "{kind}");
    }
}

#[test]
fn a_batch_arrives_as_its_uplinks_in_the_query_and_in_the_body() {
    for kind in [CallbackKind::Uplink, CallbackKind::Bidir] {
        let definition = usual_and(&format!("--channel batch --kinds {kind}")).definitions.remove(0);
        let line = rendered(definition["linePattern"].as_str().unwrap(), known);
        let batch = secret::percent_encoded(&format!("{line}\n{}\n", line.replace("1A2345", "FAF7E")));
        let url =
            rendered(
                definition["url"].as_str().unwrap(),
                |name| if name == "batch" { batch.clone() } else { known(name) },
            );
        let (address, query) = url.split_once('?').unwrap();
        assert!(
            address.ends_with(&format!("@a1b2.execute-api.eu-west-1.amazonaws.com/sigfox/{PROFILE}/{kind}")),
            "{address}"
        );
        for messages in [received(kind, "", query), received(kind, query, "")] {
            let devices: Vec<String> = messages.uplinks.iter().map(|uplink| uplink.device.to_string()).collect();
            assert_eq!(devices, ["sigfox:1A2345", "sigfox:FAF7E"]);
            assert_eq!(messages.downlink_requests.len(), if kind == CallbackKind::Bidir { 2 } else { 0 });
        }
    }
}

#[test]
fn a_definition_has_the_fields_of_its_channel_and_no_others() {
    const BOTH: [&str; 7] = ["callbackSubtype", "callbackType", "channel", "enabled", "httpMethod", "sendSni", "url"];
    let fields = |definition: &Value| definition.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let expected = |more: &[&str]| BOTH.iter().chain(more).map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
    for definition in usual_and("").definitions {
        assert_eq!(fields(&definition), expected(&["bodyTemplate", "contentType", "headers"]));
        assert_eq!((&definition["enabled"], &definition["sendSni"]), (&json!(true), &json!(true)));
    }
    for definition in usual_and("--channel batch").definitions {
        assert_eq!(fields(&definition), expected(&["linePattern"]));
    }
}

#[test]
fn types_and_subtypes_are_sigfoxs_codes() {
    let codes = |definition: &Value| {
        (definition["callbackType"].as_u64().unwrap(), definition["callbackSubtype"].as_u64().unwrap())
    };
    let usual: Vec<_> = usual_and("").definitions.iter().map(codes).collect();
    assert_eq!(usual, [(0, 2), (1, 4), (1, 5), (1, 6), (2, 0)]);
    assert_eq!([CallbackKind::Bidir, CallbackKind::Status].map(|kind| codes(&one(kind))), [(0, 3), (1, 0)]);
}

#[test]
fn unless_asked_to_no_uplink_is_called_back_twice_and_nothing_printed_that_sigfox_no_longer_makes() {
    for channel in ["url", "batch"] {
        let urls = usual_and(&format!("--channel {channel}")).definitions.into_iter();
        let urls: Vec<String> = urls.map(|definition| definition["url"].as_str().unwrap().to_owned()).collect();
        assert_eq!(urls.iter().filter(|url| url.contains("/uplink")).count(), 1);
        assert!(!urls.iter().any(|url| url.contains("/bidir") || url.contains("/status")), "{urls:?}");
    }
}

#[test]
fn what_has_to_be_done_besides_is_said() {
    let notes = usual_and("").notes.join("\n");
    for part in ["CallbackSecretId", "keepAlive", "Event configuration"] {
        assert!(notes.contains(part), "{part}: {notes}");
    }
    let on_request = usual_and("--kinds uplink,bidir,status").notes.join("\n");
    for part in ["create one of them", "downlinkMode", "April 2027"] {
        assert!(!notes.contains(part) && on_request.contains(part), "{part}: {notes} {on_request}");
    }
    assert!(notes.contains(&format!("{URL}/sigfox/{PROFILE}/event")));
    assert_eq!(usual_and("--kinds event").definitions.len(), 0);
    // Cargo sets it.
    assert_eq!(usual_and("--kinds uplink --secret-env CARGO_PKG_VERSION").notes, [""; 0]);
}

#[test]
fn the_secret_comes_from_a_file_or_a_variable_and_goes_into_header_or_address() {
    let file = std::env::temp_dir().join(format!("pulsegate-secret-{}", std::process::id()));
    std::fs::write(&file, "s3cret/+@\n").unwrap();
    let given =
        |channel: &str| usual_and(&format!("--kinds uplink --channel {channel} --secret-file {}", file.display()));
    assert_eq!(given("url").definitions[0]["headers"], json!({"Authorization": "Bearer s3cret/+@"}));
    let address = given("batch").definitions[0]["url"].as_str().unwrap().to_owned();
    assert!(address.starts_with("https://sigfox:s3cret%2F%2B%40@a1b2."), "{address}");
    std::fs::write(&file, "two words").unwrap();
    let wrong = format!("--profile {PROFILE} --url {URL} --secret-file {}", file.display());
    let reason = printed(&wrong).unwrap_err();
    assert!(reason.contains("visible ASCII") && !reason.contains("two words"), "{reason}");
    std::fs::remove_file(&file).unwrap();
    assert!(printed(&wrong).unwrap_err().starts_with("failed to read the secret from"));

    let header = one(CallbackKind::Uplink)["headers"]["Authorization"].clone();
    assert_eq!(header, "Bearer SECRET-OF-OUTPUT-CallbackSecretId");
}

#[test]
fn what_is_wrong_is_named() {
    for (line, part) in [
        (format!("--profile acme --url {URL}"), "known: adeunis-pulse-v2, adeunis-pulse-v2-10min, adeunis-pulse-v2-1h"),
        (format!("--profile adeunis-pulse4-nbiot --url {URL}"), "is not a profile of a Sigfox device"),
        (format!("--profile {PROFILE} --url http://a"), "--url is not an address of the form https://"),
        (format!("--profile {PROFILE} --url https://user:password@a"), "--url is not an address of the form https://"),
        (format!("--profile {PROFILE} --url {URL}/sigfox/{{profile}}/{{kind}}"), "--url has a path"),
        (format!("--profile {PROFILE} --url {URL}/prod"), "--url has a path"),
        (format!("--profile {PROFILE} --url {URL}?batch={{batch}}"), "--url has a path"),
        (format!("--profile {PROFILE} --url {URL}/sigfox/{PROFILE}/uplink"), "give the output ApiUrl, not CallbackUrl"),
        (format!("--profile {PROFILE} --url a1b2.execute-api.eu-west-1.amazonaws.com"), "of the form https://"),
        (format!("--profile {PROFILE} --url ApiUrl"), "the output ApiUrl"),
        (format!("--profile {PROFILE} --url https://API ID"), "unexpected argument"),
        (format!("--profile {PROFILE} --url {URL} --kinds geoloc"), "data-advanced has the position"),
        (format!("--profile {PROFILE} --url {URL} --kinds status --channel batch"), "use --channel url"),
        (format!("--profile {PROFILE} --url {URL} --kinds event --channel batch"), "cannot be created by the API"),
        (format!("--profile {PROFILE} --url {URL} --kinds pulse"), "possible values: uplink, bidir"),
        (
            format!("--profile {PROFILE} --url {URL} --secret-env PULSEGATE_NO_SUCH"),
            "--secret-env names: it is not set",
        ),
    ] {
        let reason = printed(&line).unwrap_err();
        assert!(reason.contains(part), "{line}: {reason}");
    }
}

#[test]
fn the_command_line_is_sound() {
    use clap::CommandFactory as _;
    Options::command().debug_assert();
}
