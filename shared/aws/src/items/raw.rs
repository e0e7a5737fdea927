//! The item of the raw table, as `docs/data-model.md` describes it.

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::{Kind, Payload, ProfileName, Radio, SortKey, TimeSource, Uplink, UplinkError};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{Item, to_item};

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

/// The item is not a valid item of the raw table, or has an unknown layout.
#[derive(Debug, thiserror::Error)]
pub enum RawItemError {
    /// An attribute is missing or invalid.
    #[error("not a raw uplink: {0}")]
    Attributes(#[from] serde_dynamo::Error),
    /// The key does not consist of time, sequence and kind.
    #[error("{0:?} is not the key of a raw uplink")]
    Key(String),
    /// The payload is invalid.
    #[error(transparent)]
    Payload(#[from] UplinkError),
}

/// Builds the item of the raw table, with the bytes as received. The table may delete it so many days after its
/// arrival. The uplink's own time has no part in that: a device's clock may be years slow, and the item would be deleted
/// at once.
pub fn raw_item(uplink: &Uplink, arrived: At, retention_days: u32) -> Item {
    to_item(&RawItem {
        device: uplink.device,
        uplink: format!("{}#{}", uplink.key(), uplink.kind),
        kind: uplink.kind,
        time_source: uplink.time_source,
        profile: uplink.profile.clone(),
        payload: ByteBuf::from(uplink.payload.bytes()),
        radio: uplink.radio.clone(),
        expires_at: arrived.expires_at(retention_days),
    })
}

/// Parses the uplink of an item that [`raw_item`] built. Ignores unknown attributes.
///
/// # Errors
/// [`RawItemError`], for example if the key is not the natural key of the uplink.
pub fn uplink_of(item: Item) -> Result<Uplink, RawItemError> {
    let raw: RawItem = serde_dynamo::from_item(item)?;
    let no_key = || RawItemError::Key(raw.uplink.clone());
    let (key, _kind) = raw.uplink.rsplit_once('#').ok_or_else(no_key)?;
    let key: SortKey = key.parse().map_err(|_| no_key())?;
    let uplink = Uplink {
        device: raw.device,
        kind: raw.kind,
        at: key.at,
        time_source: raw.time_source,
        sequence: key.sequence,
        profile: raw.profile,
        payload: Payload::from_bytes(&raw.payload)?,
        radio: raw.radio,
    };
    if raw.uplink == format!("{}#{}", uplink.key(), uplink.kind) { Ok(uplink) } else { Err(no_key()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulsegate_model::uplink::testing::any_uplink;
    use serde_dynamo::AttributeValue;
    use serde_json::json;

    use super::*;

    /// Any time from 1970 to 9999.
    fn any_time() -> impl Strategy<Value = At> {
        (0..=253_402_207_200_i64).prop_map(|seconds| At::from_unix(seconds).unwrap())
    }

    proptest! {
        #[test]
        fn the_raw_item_depends_on_uplink_and_arrival_alone_and_holds_its_bytes(
            uplink in any_uplink(), arrived in any_time(),
        ) {
            let item = raw_item(&uplink, arrived, 30);
            prop_assert_eq!(&item, &raw_item(&uplink.clone(), arrived, 30));
            let payload = AttributeValue::B(uplink.payload.bytes().to_vec());
            prop_assert_eq!(item.inner().get("payload"), Some(&payload));
        }

        #[test]
        fn an_uplink_of_any_time_is_kept_for_the_retention_from_its_arrival(
            uplink in any_uplink(), at in any_time(), arrived in any_time(), days: u32,
        ) {
            let item = raw_item(&Uplink { at, ..uplink.clone() }, arrived, days);
            let expected = arrived.unix() + i64::from(days) * 86_400;
            prop_assert_eq!(item.inner().get("expires_at"), Some(&AttributeValue::N(expected.to_string())));

            let mut other = raw_item(&Uplink { at, ..uplink }, At::EPOCH, days).into_inner();
            other.insert("expires_at".to_owned(), AttributeValue::N(expected.to_string()));
            prop_assert_eq!(Item::from(other), item, "the arrival is in no other attribute");
        }

        #[test]
        fn every_uplink_is_made_again_of_its_raw_item(
            uplink in any_uplink(), advanced: bool, days in 0..4_000_u32,
        ) {
            let uplink = Uplink {
                kind: if advanced { Kind::DataAdvanced } else { Kind::Data },
                ..uplink
            };
            prop_assert_eq!(uplink_of(raw_item(&uplink, uplink.at, days))?, uplink);
        }

        #[test]
        fn no_key_panics_and_none_but_its_own_is_taken(uplink in any_uplink(), key in "[0-9TZ:#a-z-]{0,40}|.*") {
            let own = raw_item(&uplink, uplink.at, 30);
            let mut item = own.inner().clone();
            item.insert("uplink".to_owned(), AttributeValue::S(key));
            if let Ok(read) = uplink_of(item.clone().into()) {
                let again = raw_item(&read, read.at, 30);
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
        let whole = raw_item(&whole, whole.at, 30).into_inner();
        let reason = |name: &str, value: &str| {
            let mut item = whole.clone();
            item.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
            uplink_of(item.into()).unwrap_err().to_string()
        };
        assert_eq!(reason("payload", "46"), "not a raw uplink: Expected binary data");
        for key in ["2026-11-20T12:00:00Z#00042", "2026-11-20T12:00:00Z#42#data", "2026-11-20T12:00:00Z#00042#x"] {
            assert_eq!(reason("uplink", key), format!("{key:?} is not the key of a raw uplink"));
        }
    }
}
