//! What can never be read, whole and with its reason.
//!
//! A quarantined record has arrived: it is answered and not sent again. It waits in the quarantine queue until somebody
//! has looked at it and, after a fix, sends `record` back to where it came from.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Serialize;

use crate::codec::Codec;
use crate::device::DeviceId;
use crate::envelope;
use crate::uplink::Uplink;

/// A record and why it is here.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quarantined {
    /// The version of this form.
    v: u8,
    /// The part that could not read it.
    stage: &'static str,
    /// Why, for whoever comes to look.
    reason: String,
    /// The codec that tried, if it came to that.
    #[serde(skip_serializing_if = "Option::is_none")]
    codec: Option<&'static str>,
    /// Its version: a later one may well read the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    codec_version: Option<u16>,
    /// Whose uplink it is, if it came so far as to be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<DeviceId>,
    /// The other half of its natural key.
    #[serde(skip_serializing_if = "Option::is_none")]
    uplink: Option<String>,
    /// The profile it came in under, where the record itself does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    /// The kind of callback it came as: with the profile, the URL it was sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<&'static str>,
    /// The query of that URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    record: Body,
    /// The reason as the log has it, where that is another.
    #[serde(skip)]
    logged: Option<String>,
}

/// The record as it came, to the byte.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    Text(String),
    Base64(String),
}

impl Quarantined {
    /// A record that `stage` cannot read.
    pub fn new(stage: &'static str, reason: &impl ToString, record: &[u8]) -> Self {
        Self {
            v: 1,
            stage,
            reason: reason.to_string(),
            codec: None,
            codec_version: None,
            device: None,
            uplink: None,
            profile: None,
            callback: None,
            query: None,
            record: Body::from(record),
            logged: None,
        }
    }

    /// Names the codec that tried.
    #[must_use]
    pub fn by(mut self, codec: Option<&Codec>) -> Self {
        self.codec = codec.map(|codec| codec.name);
        self.codec_version = codec.map(|codec| codec.version);
        self
    }

    /// Names the uplink it is.
    #[must_use]
    pub fn of(mut self, uplink: &Uplink) -> Self {
        self.device = Some(uplink.device);
        self.uplink = Some(uplink.key().to_string());
        self
    }

    /// Names the profile it came in under.
    #[must_use]
    pub fn under(mut self, profile: &str) -> Self {
        self.profile = Some(profile.to_owned());
        self
    }

    /// Names the kind of callback it came as, and what stood in the query: so that it can be made again.
    #[must_use]
    pub fn of_callback(mut self, kind: &'static str, query: &str) -> Self {
        self.callback = Some(kind);
        self.query = (!query.is_empty()).then(|| query.to_owned());
        self
    }

    /// Holds this record instead: one that tells more.
    #[must_use]
    pub fn holding(mut self, record: &[u8]) -> Self {
        self.record = Body::from(record);
        self
    }

    /// Has another reason in the log: one that quotes nothing of the record.
    #[must_use]
    pub fn logged_as(mut self, reason: String) -> Self {
        self.logged = Some(reason);
        self
    }

    /// The reason as the log has it.
    pub fn logged(&self) -> &str {
        self.logged.as_deref().unwrap_or(&self.reason)
    }

    /// Says so in the log, without the payload.
    pub fn log(&self) {
        let Self { stage, codec, profile, callback, uplink, .. } = self;
        let reason = self.logged();
        let device = self.device.map(|device| device.to_string());
        tracing::warn!(stage, reason, codec, profile, callback, device, uplink, "quarantined");
    }

    /// The message for the quarantine queue.
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "texts and numbers, which JSON always holds")]
    pub fn to_message(&self) -> String {
        envelope::for_queue(serde_json::to_string(self).expect("a quarantined record is JSON"))
    }
}

impl From<&[u8]> for Body {
    /// Text where it can be read as such, without the characters that SQS does not take
    /// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>) or that JSON writes
    /// six bytes for: so the message is at most about twice as long as the record.
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

    proptest! {
        #[test]
        fn any_record_comes_out_as_it_went_in(record: Vec<u8>) {
            let message = Quarantined::new("test", &"why", &record).to_message();
            let record_out = &serde_json::from_str::<Value>(&message)?["record"];
            let bytes = match record_out["text"].as_str() {
                Some(text) => text.as_bytes().to_vec(),
                None => BASE64_STANDARD.decode(record_out["base64"].as_str().unwrap())?,
            };
            prop_assert_eq!(&bytes, &record);
            prop_assert!(message.len() <= 2 * record.len() + 100);
        }
    }

    #[test]
    fn the_reason_the_codec_and_its_version_are_told() {
        let message = Quarantined::new("pulse", &"frame code 0x30", b"{}").by(Some(&adeunis_pulse::V4)).to_message();
        let expected = serde_json::json!({
            "v": 1, "stage": "pulse", "reason": "frame code 0x30", "codec": "adeunis-pulse-v4", "codec_version": 2,
            "record": {"text": "{}"},
        });
        assert_eq!(serde_json::from_str::<Value>(&message).unwrap(), expected);
    }
}
