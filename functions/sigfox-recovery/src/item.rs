//! Parses an item of the list of undelivered callbacks.
//!
//! Sigfox documents the members of an item, but its own examples differ in places: the body may be a text or an object,
//! the device a text or an object with an ID. So this module accepts all of these forms. The API is documented at
//! <https://support.sigfox.com/apidocs>.

use std::borrow::Cow;

use pulsegate_model::profile::Profile;
use pulsegate_model::quarantine::Quarantined;
use pulsegate_pipeline::sigfox;
use pulsegate_pipeline::sigfox::{CallbackKind, Content, Messages, Route, RouteError};
use serde_json::Value;

use crate::STAGE;

/// An item of the list.
#[derive(Debug)]
pub enum Item<'a> {
    /// A callback to this stack that was not delivered.
    Missed(Missed<'a>),
    /// A callback to another address, or by mail.
    Foreign,
    /// An item that cannot be parsed; it is quarantined.
    Unreadable(Box<Quarantined>),
}

/// An undelivered callback, with its original content.
#[derive(Debug)]
pub struct Missed<'a> {
    /// The profile in its path.
    pub profile: &'static Profile,
    /// The kind in its path.
    pub kind: CallbackKind,
    /// The query of its URL.
    pub query: String,
    /// Its body.
    pub body: Vec<u8>,
    /// Further variables from the item, used if the callback itself lacks them.
    pub extra: Vec<(String, String)>,
    /// The whole item.
    item: &'a Value,
}

impl Missed<'_> {
    /// Parses the callback. First parses it as the live callback: a callback that did arrive then gets the same key,
    /// and a batch is parsed as a batch. If that finds nothing, adds the item's further variables; if that finds
    /// nothing either, omits the body, because a callback may be undelivered just because Sigfox could not build JSON
    /// from its body. Otherwise quarantines the whole item, which contains more than its callback.
    pub fn read(&self) -> Messages {
        let read = |body, extra: &[_]| {
            let content = Content { body, query: &self.query, extra: extra.to_vec() };
            sigfox::read(STAGE, self.kind, self.profile, &content)
        };
        let found_something = |messages: &Messages| !(messages.uplinks.is_empty() && messages.events.is_empty());
        let live = read(&self.body, &[]);
        if found_something(&live) {
            return live;
        }
        let with_extra =
            [self.body.as_slice(), &[]].into_iter().map(|body| read(body, &self.extra)).find(found_something);
        with_extra.unwrap_or_else(|| {
            let first = live.unreadable.into_iter().next();
            let whole = first.map(|record| record.holding(&without_secret(self.item)));
            Messages { unreadable: whole.into_iter().collect(), ..Messages::default() }
        })
    }
}

/// Why an item cannot be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("the item names no callback")]
    NoCallback,
    #[error(transparent)]
    Route(#[from] RouteError),
}

/// Parses an item.
pub fn read(item: &Value) -> Item<'_> {
    let callback = &item["callback"];
    let Some(url) = callback["url"].as_str() else {
        let by_mail = callback["subject"].is_string() || callback["message"].is_string();
        return if by_mail { Item::Foreign } else { unreadable(item, Reason::NoCallback) };
    };
    let Some((path, query)) = path_and_query(url) else { return Item::Foreign };
    let Route { profile, kind } = match Route::of_path(path) {
        Ok(route) => route,
        // A path without "sigfox" leads to another server. A mistyped one with it was probably meant for this stack:
        // quarantine it, so that an operator decides.
        Err(RouteError::Path) if !path.split('/').any(|segment| segment.eq_ignore_ascii_case("sigfox")) => {
            return Item::Foreign;
        }
        Err(reason) => return unreadable(item, reason.into()),
    };
    let body = match &callback["body"] {
        Value::Null => Vec::new(),
        body => text(body).into_owned().into_bytes(),
    };
    Item::Missed(Missed { profile, kind, query: query.to_owned(), body, extra: extra(item), item })
}

fn path_and_query(url: &str) -> Option<(&str, &str)> {
    let url = url.split('#').next()?;
    let (url, query) = url.split_once('?').unwrap_or((url, ""));
    let (_host, path) = url.split_once("://")?.1.split_once('/')?;
    Some((path, query))
}

fn unreadable(item: &Value, reason: Reason) -> Item<'_> {
    Item::Unreadable(Box::new(Quarantined::new(STAGE, &reason, &without_secret(item))))
}

/// Returns the whole item without the secret of the callback, which must not enter the queue.
fn without_secret(item: &Value) -> Vec<u8> {
    let mut item = item.clone();
    if let Some(callback) = item.get_mut("callback").and_then(Value::as_object_mut) {
        callback.remove("headers");
        if let Some(url) = callback.get_mut("url")
            && let Some(without_user) = url.as_str().and_then(without_user)
        {
            *url = without_user.into();
        }
    }
    item.to_string().into_bytes()
}

/// Removes user and secret from `https://user:SECRET@host/`.
fn without_user(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    Some(format!("{scheme}://{}", &rest[user.len() + 1..]))
}

/// Returns the variables that the callback was built from, followed by the item's own values for those that are
/// missing.
fn extra(item: &Value) -> Vec<(String, String)> {
    let parameters = item["parameters"].as_object().into_iter().flatten();
    let present = parameters.filter(|(_, value)| !value.is_null());
    let mut extra: Vec<_> = present.map(|(name, value)| (name.clone(), text(value).into_owned())).collect();
    let device = [&item["deviceId"], &item["device"], &item["device"]["id"]];
    let own = [
        ("device", device.into_iter().find_map(Value::as_str).map(str::to_owned)),
        ("time", item["time"].as_u64().map(|time| seconds(time).to_string())),
        ("data", item["data"].as_str().map(str::to_owned)),
    ];
    for (name, value) in own {
        if let Some(value) = value
            && !extra.iter().any(|(known, _)| known == name)
        {
            extra.push((name.to_owned(), value));
        }
    }
    extra
}

/// The boundary between seconds and milliseconds: as milliseconds it is in the year 1973, as seconds in 5138.
const LEAST_MILLISECONDS: u64 = 100_000_000_000;

/// Converts an item's time to the seconds of a callback. It is in milliseconds; some of Sigfox's documents say seconds.
fn seconds(time: u64) -> u64 {
    if time < LEAST_MILLISECONDS { time } else { time / 1000 }
}

/// Returns the text of a value, quoted or not.
fn text(value: &Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| value.to_string().into(), Cow::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const URL: &str = "https://a1.execute-api.eu-west-1.amazonaws.com/sigfox/adeunis-pulse-v4/uplink";

    fn missed(item: &Value) -> Missed<'_> {
        match read(item) {
            Item::Missed(missed) => missed,
            other => panic!("{other:?}"),
        }
    }

    fn quarantined(item: &Value) -> Value {
        match read(item) {
            Item::Unreadable(record) => serde_json::from_str(&record.to_message()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn profile_kind_query_and_body_are_those_of_the_callback() {
        let url = format!("{URL}?id=1A2345&u=https://x/y#z");
        let item = json!({"callback": {"url": url, "body": "{\"device\": \"1A2345\"}"}});
        let missed = missed(&item);
        assert_eq!((missed.profile.name, missed.kind.to_string().as_str()), ("adeunis-pulse-v4", "uplink"));
        assert_eq!(missed.query, "id=1A2345&u=https://x/y");
        assert_eq!(missed.body, b"{\"device\": \"1A2345\"}");
    }

    #[test]
    fn a_body_that_is_an_object_is_the_same_as_its_text_and_none_is_an_empty_one() {
        let body = |body: Value| missed(&json!({"callback": {"url": URL, "body": body}})).body;
        assert_eq!(body(json!({"device": "1A2345"})), br#"{"device":"1A2345"}"#);
        assert_eq!(body(json!(null)), b"");
    }

    #[test]
    fn what_the_item_says_besides_stands_behind_what_the_callback_was_built_from() {
        let item = json!({
            "callback": {"url": URL}, "deviceId": "1A2345", "time": 1_795_176_000_999_u64, "data": "46",
            "parameters": {"data": "4680", "seqNumber": 42, "rssi": null},
        });
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected =
            [pair("data", "4680"), pair("seqNumber", "42"), pair("device", "1A2345"), pair("time", "1795176000")];
        assert_eq!(missed(&item).extra, expected);
    }

    #[test]
    fn the_device_may_be_an_id_or_an_object_with_one_and_the_time_in_seconds() {
        for device in [json!({"deviceId": "1A"}), json!({"device": "1A"}), json!({"device": {"id": "1A"}})] {
            let mut item = device;
            item["callback"] = json!({"url": URL});
            item["time"] = 1_795_176_000.into();
            let extra = missed(&item).extra;
            assert_eq!(extra, [("device".to_owned(), "1A".to_owned()), ("time".to_owned(), "1795176000".to_owned())]);
        }
    }

    #[test]
    fn a_body_that_sigfox_could_not_make_json_of_does_not_cost_the_message() {
        let parameters = json!({"device": "1A2345", "time": "1795176000", "data": "46", "seqNumber": "42"});
        let item = json!({"callback": {"url": URL, "body": "{\"rssi\": N/A}"}, "parameters": parameters});
        let messages = missed(&item).read();
        assert_eq!(messages.uplinks[0].key().to_string(), "2026-11-20T12:00:00Z#00042");
        assert!(messages.unreadable.is_empty());
    }

    #[test]
    fn a_batch_is_read_by_its_lines_and_not_by_what_stands_beside_it() {
        let batch = "batch=1A%3B1795176000%3B46%3B7%0A2B%3B1795176001%3B46%3B8%0Anoise";
        let item = json!({
            "callback": {"url": URL, "body": batch}, "deviceId": "1A", "time": 1_795_176_000_000_u64, "data": "46",
        });
        let messages = missed(&item).read();
        let keys: Vec<String> = messages.uplinks.iter().map(|uplink| uplink.key().to_string()).collect();
        assert_eq!(keys, ["2026-11-20T12:00:00Z#00007", "2026-11-20T12:00:01Z#00008"]);
        assert_eq!(messages.unreadable.len(), 1);
    }

    #[test]
    fn an_item_that_nothing_can_be_read_of_is_quarantined_whole_but_for_the_secret() {
        let callback = json!({"url": URL, "headers": {"Authorization": "Bearer SECRET"}, "body": "noise"});
        let item = json!({"callback": callback, "data": "4680", "parameters": {"seqNumber": "42"}});
        let messages = missed(&item).read();
        assert_eq!(messages.unreadable.len(), 1);
        let record: Value = serde_json::from_str(&messages.unreadable[0].to_message()).unwrap();
        assert_eq!((&record["callback"], &record["profile"]), (&"uplink".into(), &"adeunis-pulse-v4".into()));
        assert!(record["reason"].as_str().unwrap().starts_with("the variable device is missing"));
        let expected = json!({
            "callback": {"url": URL, "body": "noise"}, "data": "4680", "parameters": {"seqNumber": "42"},
        });
        let text = record["record"]["text"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), expected);
    }

    #[test]
    fn a_slash_at_the_end_of_the_path_is_no_matter() {
        let url = format!("{URL}/?id=1A2345");
        let item = json!({"callback": {"url": url}});
        assert_eq!((missed(&item).kind.to_string().as_str(), missed(&item).query.as_str()), ("uplink", "id=1A2345"));
    }

    #[test]
    fn a_path_of_ours_that_is_mistyped_is_quarantined() {
        for path in ["sigfox/uplink", "Sigfox/adeunis-pulse-v4/uplink", "v1/SIGFOX", "sigfox/adeunis-pulse-v4/uplink/x"]
        {
            let item = json!({"callback": {"url": format!("https://a1.example.com/{path}?id=1")}});
            assert_eq!(
                quarantined(&item)["reason"],
                "the path of the callback is not /sigfox/{profile}/{kind}",
                "{path}"
            );
        }
    }

    #[test]
    fn callbacks_to_others_and_mails_are_foreign() {
        for url in [
            "https://example.com/",
            "https://sigfox/adeunis-pulse-v4/uplink",
            "https://example.com/a?b=/sigfox/c/d",
            "",
        ] {
            assert!(matches!(read(&json!({"callback": {"url": url}})), Item::Foreign), "{url}");
        }
        assert!(matches!(read(&json!({"callback": {"subject": "s", "message": "m"}})), Item::Foreign));
    }

    #[test]
    fn what_is_not_understood_is_quarantined_whole_but_for_the_secret() {
        let url = "https://sigfox:SECRET@a1.example.com/sigfox/acme/uplink?at=x@y";
        let item = json!({
            "deviceId": "1A", "callback": {"url": url, "headers": {"Authorization": "Bearer SECRET"}, "body": "b"},
        });
        let record = quarantined(&item);
        assert_eq!(record["reason"], "the path of the callback names no profile of a Sigfox device");
        let expected = json!({
            "deviceId": "1A", "callback": {"url": "https://a1.example.com/sigfox/acme/uplink?at=x@y", "body": "b"},
        });
        let text = record["record"]["text"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), expected);
    }

    #[test]
    fn what_is_no_item_at_all_is_quarantined_with_the_reason() {
        for item in [json!(null), json!(7), json!("text"), json!([1]), json!({}), json!({"callback": {"url": 7}})] {
            assert_eq!(quarantined(&item)["reason"], "the item names no callback");
        }
        let unknown = json!({"callback": {"url": URL.replace("uplink", "nonsense")}});
        assert_eq!(quarantined(&unknown)["reason"], "the path of the callback names no kind of callback");
    }
}
