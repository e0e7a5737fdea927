//! A record that cannot be parsed, unchanged and with the reason.
//!
//! A quarantined record counts as received: it is acknowledged and not sent again. It stays in the quarantine queue
//! until an operator has examined it and, after a fix, sends `record` back to its origin.

use std::net::SocketAddr;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Serialize};

use crate::at::At;
use crate::codec::Codec;
use crate::device::DeviceId;
use crate::envelope;
use crate::uplink::Uplink;

/// The version of this format.
const VERSION: u8 = 1;

/// The stage of datagrams that the bridge rejects at a trusted listener. It writes their quarantined records to the
/// stream, because it has no access to the quarantine queue.
pub const UDP_BRIDGE: &str = "udp-bridge";

/// A record to be quarantined, with the reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quarantined {
    /// The version of this format.
    v: u8,
    /// The stage that could not parse it.
    stage: &'static str,
    /// The reason, for the operator.
    reason: String,
    /// The codec that failed, if decoding was attempted.
    #[serde(skip_serializing_if = "Option::is_none")]
    codec: Option<&'static str>,
    /// Its version: a later one may decode the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    codec_version: Option<u16>,
    /// The device, if the record was parsed as an uplink.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<DeviceId>,
    /// The sort key of that uplink.
    #[serde(skip_serializing_if = "Option::is_none")]
    uplink: Option<String>,
    /// The profile it arrived under, if the record does not contain it.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    /// The kind of callback: with the profile, the URL it was sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<&'static str>,
    /// The query of that URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    /// The listener that received it, if it is a datagram.
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<String>,
    /// The address that sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<String>,
    /// The time of its first arrival.
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<At>,
    record: Body,
    /// The reason for the log, if it is another.
    #[serde(skip)]
    logged: Option<String>,
    /// The message, if another stage has made it.
    #[serde(skip)]
    message: Option<String>,
}

/// A record read from quarantine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct QuarantinedRecord {
    v: u8,
    /// The stage that could not parse it.
    pub stage: String,
    /// The reason.
    pub reason: String,
    /// The codec that failed, if decoding was attempted.
    pub codec: Option<String>,
    /// Its version.
    pub codec_version: Option<u16>,
    /// The device, if the record was parsed as an uplink.
    pub device: Option<DeviceId>,
    /// The sort key of that uplink.
    pub uplink: Option<String>,
    /// The profile it arrived under, if the record does not contain it.
    pub profile: Option<String>,
    /// The kind of callback.
    pub callback: Option<String>,
    /// The query of that URL.
    pub query: Option<String>,
    /// The listener that received it, if it is a datagram: `udp://0.0.0.0:7012` or `coap://0.0.0.0:5683`.
    pub listener: Option<String>,
    /// The address that sent it.
    pub sender: Option<String>,
    /// The time of its first arrival.
    pub received: Option<At>,
    record: Body,
}

/// Not a quarantined record, or one of a version that this code does not know.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// Not the JSON of one.
    #[error("not a quarantined record: {0}")]
    Json(#[from] serde_json::Error),
    /// Of an unknown version.
    #[error("version {0} of quarantined records is not known (this is version 1)")]
    Version(u8),
    /// Invalid base64.
    #[error("the record is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
}

/// The exact bytes of the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    Text(String),
    Base64(String),
}

impl Quarantined {
    /// A record that `stage` cannot parse.
    pub fn new(stage: &'static str, reason: &impl ToString, record: &[u8]) -> Self {
        Self {
            v: VERSION,
            stage,
            reason: reason.to_string(),
            codec: None,
            codec_version: None,
            device: None,
            uplink: None,
            profile: None,
            callback: None,
            query: None,
            listener: None,
            sender: None,
            received: None,
            record: Body::from(record),
            logged: None,
            message: None,
        }
    }

    /// A record that the bridge has quarantined, from its message in the stream. `None` if it is no such message.
    pub fn of_bridge(message: &[u8]) -> Option<Self> {
        let message = std::str::from_utf8(message).ok()?;
        let kept = QuarantinedRecord::from_message(message).ok().filter(|kept| kept.stage == UDP_BRIDGE)?;
        let QuarantinedRecord { reason, profile, listener, sender, received, record, .. } = kept;
        let message = Some(envelope::for_queue(message.to_owned()));
        let quarantined = Self::new(UDP_BRIDGE, &reason, &[]);
        Some(Self { profile, listener, sender, received, record, message, ..quarantined })
    }

    /// Sets the codec that failed.
    #[must_use]
    pub fn by(mut self, codec: Option<&Codec>) -> Self {
        self.codec = codec.map(|codec| codec.name);
        self.codec_version = codec.map(|codec| codec.version);
        self
    }

    /// Sets the uplink.
    #[must_use]
    pub fn of(mut self, uplink: &Uplink) -> Self {
        self.device = Some(uplink.device);
        self.uplink = Some(uplink.key().to_string());
        self
    }

    /// Sets the profile it arrived under.
    #[must_use]
    pub fn under(mut self, profile: &str) -> Self {
        self.profile = Some(profile.to_owned());
        self
    }

    /// Sets the kind of callback and its query, so that the request can be rebuilt.
    #[must_use]
    pub fn of_callback(mut self, kind: &'static str, query: &str) -> Self {
        self.callback = Some(kind);
        self.query = (!query.is_empty()).then(|| query.to_owned());
        self
    }

    /// Sets the listener that received it, its sender, and the time of its first arrival.
    #[must_use]
    pub fn received_at(mut self, listener: &str, sender: Option<SocketAddr>, received: At) -> Self {
        self.listener = Some(listener.to_owned());
        self.sender = sender.map(|sender| sender.to_string());
        self.received = Some(received);
        self
    }

    /// Replaces the record by one with more context.
    #[must_use]
    pub fn holding(mut self, record: &[u8]) -> Self {
        self.record = Body::from(record);
        self
    }

    /// Sets another reason for the log, which quotes nothing of the record.
    #[must_use]
    pub fn logged_as(mut self, reason: String) -> Self {
        self.logged = Some(reason);
        self
    }

    /// The reason.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The reason for the log.
    pub fn logged(&self) -> &str {
        self.logged.as_deref().unwrap_or(&self.reason)
    }

    /// The stage that could not parse it.
    pub fn stage(&self) -> &'static str {
        self.stage
    }

    /// The name of the codec that failed, if any.
    pub fn codec(&self) -> Option<&'static str> {
        self.codec
    }

    /// The profile it arrived under, if known.
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// The kind of callback it arrived as, if it was one.
    pub fn callback(&self) -> Option<&'static str> {
        self.callback
    }

    /// The listener that received it, if it is a datagram.
    pub fn listener(&self) -> Option<&str> {
        self.listener.as_deref()
    }

    /// The address that sent it, if known.
    pub fn sender(&self) -> Option<&str> {
        self.sender.as_deref()
    }

    /// The device that sent it, if known.
    pub fn device(&self) -> Option<DeviceId> {
        self.device
    }

    /// The sort key of its uplink, if known.
    pub fn uplink(&self) -> Option<&str> {
        self.uplink.as_deref()
    }

    /// The message for the quarantine queue. One that another stage has made is unchanged.
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "texts and numbers, which JSON always holds")]
    pub fn to_message(&self) -> String {
        if let Some(message) = &self.message {
            return message.clone();
        }
        envelope::for_queue(serde_json::to_string(self).expect("a quarantined record is JSON"))
    }
}

impl QuarantinedRecord {
    /// Parses a message of the quarantine queue. Skips unknown fields.
    ///
    /// # Errors
    /// [`QuarantineError`].
    pub fn from_message(message: &str) -> Result<Self, QuarantineError> {
        #[derive(Deserialize)]
        struct Version {
            v: u8,
        }
        let Version { v } = serde_json::from_str(message)?;
        if v != VERSION {
            return Err(QuarantineError::Version(v));
        }
        let kept: Self = serde_json::from_str(message)?;
        kept.record()?;
        Ok(kept)
    }

    /// The exact bytes of the record.
    ///
    /// # Errors
    /// [`QuarantineError::Base64`], never for a record from [`QuarantinedRecord::from_message`].
    pub fn record(&self) -> Result<Vec<u8>, QuarantineError> {
        match &self.record {
            Body::Text(text) => Ok(text.clone().into_bytes()),
            Body::Base64(base64) => Ok(BASE64_STANDARD.decode(base64)?),
        }
    }

    /// The record, if it is text that a queue accepts.
    pub fn text(&self) -> Option<&str> {
        match &self.record {
            Body::Text(text) => Some(text).filter(|text| !text.is_empty()).map(String::as_str),
            Body::Base64(_) => None,
        }
    }
}

impl From<&[u8]> for Body {
    /// Text if it is UTF-8, without the characters that SQS rejects
    /// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>) or that JSON
    /// writes in six bytes. So the message is at most about twice as long as the record.
    fn from(record: &[u8]) -> Self {
        let odd = |c: char| (c < ' ' && !"\t\n\r".contains(c)) || "\u{FFFE}\u{FFFF}".contains(c);
        match std::str::from_utf8(record) {
            Ok(text) if !text.contains(odd) => Self::Text(text.to_owned()),
            _ => Self::Base64(BASE64_STANDARD.encode(record)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::codec::adeunis_pulse;
    use crate::uplink::testing::any_uplink;

    proptest! {
        #[test]
        fn any_record_comes_out_as_it_went_in(record: Vec<u8>) {
            let message = Quarantined::new("test", &"why", &record).to_message();
            let kept = QuarantinedRecord::from_message(&message)?;
            prop_assert_eq!(kept.record()?, record.clone());
            prop_assert!(message.len() <= 2 * record.len() + 100);
            prop_assert!(kept.text().is_none_or(|text| text.as_bytes() == record && !text.is_empty()));
        }

        #[test]
        fn what_is_told_of_a_record_is_read_again(uplink in any_uplink(), query in "[a-z=&]{0,9}") {
            let quarantined = Quarantined::new("test", &"why", b"{}").of(&uplink).by(Some(&adeunis_pulse::V4));
            let kept = QuarantinedRecord::from_message(&quarantined.under("p").of_callback("uplink", &query).to_message())?;
            prop_assert_eq!((kept.stage.as_str(), kept.reason.as_str()), ("test", "why"));
            prop_assert_eq!((kept.codec.as_deref(), kept.codec_version), (Some(adeunis_pulse::V4.name), Some(adeunis_pulse::V4.version)));
            prop_assert_eq!((kept.device, kept.uplink), (Some(uplink.device), Some(uplink.key().to_string())));
            prop_assert_eq!((kept.profile.as_deref(), kept.callback.as_deref()), (Some("p"), Some("uplink")));
            prop_assert_eq!(kept.query.unwrap_or_default(), query);
        }

        #[test]
        fn no_message_panics(message: String) {
            let _ = QuarantinedRecord::from_message(&message);
            assert_eq!(Quarantined::of_bridge(message.as_bytes()), None);
        }

        #[test]
        fn what_the_bridge_quarantined_is_passed_on_unchanged(datagram: Vec<u8>, sender: SocketAddr, reason: String) {
            let received = At::EPOCH;
            let quarantined = Quarantined::new(UDP_BRIDGE, &reason, &datagram).under("senml-json");
            let message = quarantined.received_at("udp://[::]:7013", Some(sender), received).to_message();
            let passed_on = Quarantined::of_bridge(message.as_bytes()).unwrap();
            prop_assert_eq!((passed_on.stage(), passed_on.reason()), (UDP_BRIDGE, reason.as_str()));
            prop_assert_eq!((passed_on.profile(), passed_on.listener()), (Some("senml-json"), Some("udp://[::]:7013")));
            prop_assert_eq!(passed_on.to_message(), message.clone());
            let kept = QuarantinedRecord::from_message(&message)?;
            prop_assert_eq!((kept.record()?, kept.received), (datagram, Some(received)));
            prop_assert_eq!(kept.sender, Some(sender.to_string()));
        }
    }

    #[test]
    fn fields_that_this_code_does_not_know_are_passed_on_and_other_stages_records_are_not() {
        let newer = r#"{"v":1,"stage":"udp-bridge","reason":"r","record":{"text":""},"from_the_future":1}"#;
        assert_eq!(Quarantined::of_bridge(newer.as_bytes()).unwrap().to_message(), newer);
        for other in
            [&newer.replace("udp-bridge", "pulse"), &newer.replace("\"v\":1", "\"v\":2"), r#"{"v":1,"uplinks":[]}"#]
        {
            assert_eq!(Quarantined::of_bridge(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_quarantined_record_says_why() {
        let reason = |message: &str| QuarantinedRecord::from_message(message).unwrap_err().to_string();
        assert!(reason("noise").starts_with("not a quarantined record: "));
        assert!(reason(r#"{"v":1,"stage":"s","reason":"r"}"#).contains("missing field `record`"));
        assert_eq!(reason(r#"{"v":2}"#), "version 2 of quarantined records is not known (this is version 1)");
        let odd = r#"{"v":1,"stage":"s","reason":"r","record":{"base64":"?"}}"#;
        assert!(reason(odd).starts_with("the record is not base64: "));
    }

    #[test]
    fn the_reason_the_codec_and_its_version_are_told() {
        let message = Quarantined::new("pulse", &"frame code 0x30", b"{}").by(Some(&adeunis_pulse::V4)).to_message();
        let expected = serde_json::json!({
            "v": 1, "stage": "pulse", "reason": "frame code 0x30", "codec": "adeunis-pulse-v4", "codec_version": 4,
            "record": {"text": "{}"},
        });
        assert_eq!(serde_json::from_str::<Value>(&message).unwrap(), expected);
    }
}
