//! A simulated Sigfox cloud: sends callbacks, repeats them, and lists those that it could not deliver.
//!
//! # Layout
//!
//! - here: messages, the template that a customer configures, the bodies of callbacks, and the items of the list.
//! - [`retry`]: when Sigfox repeats a callback.
//! - [`sender`]: sends callbacks over HTTP.
//! - [`api`]: serves the list of undelivered callbacks, and fails on request.
//!
//! Sources: <https://support.sigfox.com/docs/callback-integration> for the callbacks, <https://support.sigfox.com/apidocs>
//! for the list.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "used by tests alone: a panic is a failed test")]

use serde_json::{Value, json};

pub mod api;
pub mod retry;
pub mod sender;

/// A message of a device, as the network received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The device's ID.
    pub device: String,
    /// When the network received it, in seconds since 1970.
    pub time: u64,
    /// Its bytes, in hex.
    pub data: String,
    /// Its sequence number.
    pub sequence: u32,
}

/// A callback as a customer configures it, with variables in braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// GET, POST or PUT.
    pub method: &'static str,
    /// The URL pattern.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body; empty with GET.
    pub body: String,
}

/// A callback of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The template with values for its variables.
    pub request: Template,
    /// The message that it carries.
    pub message: Message,
}

impl Template {
    /// `POST` of JSON with every number in quotes, and the secret as bearer.
    pub fn post_json(url: impl Into<String>, secret: &str) -> Self {
        let body = r#"{"device":"{device}","time":"{time}","data":"{data}","seqNumber":"{seqNumber}"}"#;
        let headers = [("authorization", format!("Bearer {secret}")), ("content-type", "application/json".to_owned())];
        Self {
            method: "POST",
            url: url.into(),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            body: body.to_owned(),
        }
    }

    /// The callback of a message.
    pub fn callback(&self, message: &Message) -> Callback {
        let fill = |text: &str| {
            variables(message)
                .iter()
                .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
        };
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), fill(value))).collect();
        let request = Self { method: self.method, url: fill(&self.url), headers, body: fill(&self.body) };
        Callback { request, message: message.clone() }
    }
}

/// The body of a batch of messages, a line for each: a form, into which Sigfox moves the query `?batch={batch}`.
pub fn batch_body(lines: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair("batch", lines).finish()
}

/// The variables of DATA, UPLINK (<https://support.sigfox.com/docs/uplink>).
fn variables(message: &Message) -> [(&'static str, String); 4] {
    let Message { device, time, data, sequence } = message;
    [
        ("device", device.clone()),
        ("time", time.to_string()),
        ("data", data.clone()),
        ("seqNumber", sequence.to_string()),
    ]
}

impl Callback {
    /// The item of the list of undelivered callbacks. Its time is in milliseconds.
    pub fn item(&self, device_type: &str, status: u16) -> Value {
        let Template { method, url, headers, body } = &self.request;
        let headers: serde_json::Map<_, _> = headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let parameters: serde_json::Map<_, _> =
            variables(&self.message).into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        json!({
            "deviceId": self.message.device, "deviceTypeId": device_type, "time": self.message.time * 1000,
            "data": self.message.data, "snr": "12.50", "status": status.to_string(), "message": "the server's answer",
            "callback": {
                "url": url, "headers": headers, "body": body, "contentType": "application/json", "method": method,
                "error": "",
            },
            "parameters": parameters,
        })
    }
}

/// A variant of the items of the list, as in Sigfox's own examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// The body is an object, not its text.
    BodyIsAnObject,
    /// `messages` for `message`.
    Messages,
    /// `device` with an ID for `deviceId`.
    DeviceIsAnObject,
    /// The template has no variables; only `parameters` has values.
    OnlyParameters,
    /// Neither body nor `parameters` has values; only the item itself does.
    OnlyItself,
}

impl Oddity {
    /// Every variant.
    pub const ALL: [Self; 5] =
        [Self::BodyIsAnObject, Self::Messages, Self::DeviceIsAnObject, Self::OnlyParameters, Self::OnlyItself];

    /// Changes an item to this variant.
    #[must_use]
    pub fn of(self, mut item: Value) -> Value {
        let mut rename = |from: &str, to: &str, change: fn(Value) -> Value| {
            let value = item.as_object_mut().unwrap().remove(from).unwrap();
            item[to] = change(value);
        };
        match self {
            Self::Messages => rename("message", "messages", |value| value),
            Self::DeviceIsAnObject => rename("deviceId", "device", |id| json!({ "id": id })),
            Self::BodyIsAnObject => {
                let body = serde_json::from_str(item["callback"]["body"].as_str().unwrap()).unwrap();
                item["callback"]["body"] = body;
            }
            Self::OnlyParameters => item["callback"]["body"] = "".into(),
            Self::OnlyItself => {
                item["callback"]["body"] = json!({});
                item["parameters"] = json!({});
            }
        }
        item
    }
}
