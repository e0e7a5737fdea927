//! The item of the raw table, as `docs/data-model.md` describes it.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{Kind, Payload, ProfileName, Radio, TimeSource, Uplink, UplinkError};
use crate::at::{At, AtError};
use crate::device::DeviceId;
use crate::ports::{Item, item};

#[derive(Serialize, Deserialize)]
struct RawItem {
    device: DeviceId,
    uplink: String,
    kind: Kind,
    time_source: TimeSource,
    profile: ProfileName,
    payload: ByteBuf,
    #[serde(default, skip_serializing_if = "Radio::is_empty")]
    radio: Radio,
    expires_at: i64,
}

/// Not an item of the raw table, or one that this code does not know.
#[derive(Debug, thiserror::Error)]
pub enum NotRaw {
    /// An attribute is missing, or not what it should be.
    #[error("not a raw uplink: {0}")]
    Attributes(#[from] serde_dynamo::Error),
    /// The key is not made of time, sequence and kind.
    #[error("{0:?} is not the key of a raw uplink")]
    Key(String),
    /// A time that cannot be.
    #[error(transparent)]
    At(#[from] AtError),
    /// A payload that cannot be.
    #[error(transparent)]
    Payload(#[from] UplinkError),
}

impl Uplink {
    /// The item of the raw table: the bytes before anybody interprets them.
    ///
    /// A function of the uplink and the setting alone, so that writing it again changes nothing.
    pub fn raw_item(&self, retention_days: u32) -> Item {
        item(&RawItem {
            device: self.device,
            uplink: format!("{}#{}", self.key(), self.kind),
            kind: self.kind,
            time_source: self.time_source,
            profile: self.profile.clone(),
            payload: ByteBuf::from(self.payload.bytes()),
            radio: self.radio.clone(),
            expires_at: self.at.expires_at(retention_days),
        })
    }

    /// The uplink that [`Uplink::raw_item`] made the item of. Attributes it does not know are skipped.
    ///
    /// # Errors
    /// [`NotRaw`]; among others for a key that is not the one that the uplink would be stored under.
    pub fn from_raw_item(item: Item) -> Result<Self, NotRaw> {
        let raw: RawItem = serde_dynamo::from_item(item)?;
        let no_key = || NotRaw::Key(raw.uplink.clone());
        let (at, rest) = raw.uplink.split_once('#').ok_or_else(no_key)?;
        let (sequence, _kind) = rest.split_once('#').ok_or_else(no_key)?;
        let uplink = Self {
            device: raw.device,
            kind: raw.kind,
            at: at.parse::<At>()?,
            time_source: raw.time_source,
            sequence: if sequence == "-" { None } else { Some(sequence.parse().map_err(|_| no_key())?) },
            profile: raw.profile,
            payload: Payload::from_bytes(&raw.payload)?,
            radio: raw.radio,
        };
        if raw.uplink == format!("{}#{}", uplink.key(), uplink.kind) { Ok(uplink) } else { Err(no_key()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_dynamo::AttributeValue;
    use serde_json::json;

    use super::*;
    use crate::uplink::tests::any_uplink;

    proptest! {
        #[test]
        fn the_raw_item_depends_on_the_uplink_alone_and_holds_its_bytes(uplink in any_uplink()) {
            let item = uplink.raw_item(30);
            prop_assert_eq!(&item, &uplink.clone().raw_item(30));
            let payload = AttributeValue::B(uplink.payload.bytes().to_vec());
            prop_assert_eq!(item.inner().get("payload"), Some(&payload));
        }

        #[test]
        fn every_uplink_is_made_again_of_its_raw_item(
            uplink in any_uplink(), advanced: bool, device_time: bool, days in 0..4_000_u32,
        ) {
            let uplink = Uplink {
                kind: if advanced { Kind::DataAdvanced } else { Kind::Data },
                time_source: if device_time { TimeSource::Device } else { TimeSource::Network },
                ..uplink
            };
            prop_assert_eq!(Uplink::from_raw_item(uplink.raw_item(days))?, uplink);
        }

        #[test]
        fn no_key_panics_and_none_but_its_own_is_taken(uplink in any_uplink(), key in "[0-9TZ:#a-z-]{0,40}|.*") {
            let own = uplink.raw_item(30);
            let mut item = own.inner().clone();
            item.insert("uplink".to_owned(), AttributeValue::S(key));
            if let Ok(read) = Uplink::from_raw_item(item.clone().into()) {
                let again = read.raw_item(30);
                prop_assert_eq!(again.inner().get("uplink"), item.get("uplink"));
            }
        }
    }

    #[test]
    fn what_is_no_raw_item_says_why() {
        let whole: Uplink = serde_json::from_value(json!({
            "device": "sigfox:1", "kind": "data", "at": "2026-11-20T12:00:00Z", "time_source": "network",
            "sequence": 42, "profile": "p", "payload": "46",
        }))
        .unwrap();
        let whole = whole.raw_item(30).into_inner();
        let reason = |name: &str, value: &str| {
            let mut item = whole.clone();
            item.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
            Uplink::from_raw_item(item.into()).unwrap_err().to_string()
        };
        assert_eq!(reason("payload", "46"), "not a raw uplink: Expected binary data");
        for key in ["2026-11-20T12:00:00Z#00042", "2026-11-20T12:00:00Z#42#data", "2026-11-20T12:00:00Z#00042#x"] {
            assert_eq!(reason("uplink", key), format!("{key:?} is not the key of a raw uplink"));
        }
    }
}
