//! Objects of the bucket of undelivered stream records: a line of JSON each, whose `payload` has the records as Lambda
//! would have delivered them.
//! (<https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html>)

use base64::prelude::{BASE64_STANDARD, Engine as _};
use pulsegate_model::aggregate::{self, Aggregator, StreamRecord};
use pulsegate_model::device::DeviceId;
use pulsegate_model::record;
use serde_json::Value;

use super::mentions::mentions;

/// The fate of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// It has nothing of the device.
    Keep,
    /// Nothing else is in it.
    Delete,
    /// It gets this content, without the device.
    Replace(Vec<u8>),
    /// It has another form, so it may have something of the device.
    Unreadable,
}

/// Judges the content of an object.
pub(super) fn judge(device: DeviceId, content: &[u8]) -> Verdict {
    let Ok(mut object) = serde_json::from_slice::<Value>(content) else { return Verdict::Unreadable };
    // The payload is JSON in a string, or an object.
    let is_text = object["payload"].is_string();
    let payload = match &object["payload"] {
        Value::String(text) => serde_json::from_str(text).ok(),
        other => Some(other.clone()),
    };
    let Some(mut payload) = payload else { return Verdict::Unreadable };
    let Some(records) = payload["Records"].as_array() else { return Verdict::Unreadable };
    let Some(judged) = records.iter().map(|record| without(device, record)).collect::<Option<Vec<_>>>() else {
        return Verdict::Unreadable;
    };
    let left: Vec<Value> = judged.into_iter().flatten().collect();
    if left == *records {
        return Verdict::Keep;
    }
    if left.is_empty() {
        return Verdict::Delete;
    }
    payload["Records"] = left.into();
    object["payload"] = if is_text { payload.to_string().into() } else { payload };
    Verdict::Replace(object.to_string().into_bytes())
}

/// A record without the device: none or one. `None` if it has another form.
fn without(device: DeviceId, record: &Value) -> Option<Vec<Value>> {
    let data = BASE64_STANDARD.decode(record["kinesis"]["data"].as_str()?).ok()?;
    let key = record["kinesis"]["partitionKey"].as_str().unwrap_or_default();
    let user_records = aggregate::user_records(&data).unwrap_or_else(|| vec![data]);
    let mut others = Aggregator::default();
    let mut found = false;
    for data in user_records {
        match record::decode(&data) {
            Ok(uplink) if uplink.device == device => found = true,
            Ok(uplink) => others.add(|| uplink.device.to_string(), &data),
            Err(_) if mentions(device, &data) => found = true,
            Err(_) => others.add(|| key.to_owned(), &data),
        }
    }
    if !found {
        return Some(vec![record.clone()]);
    }
    let of_others = others.close().map(|StreamRecord { partition_key, data }| {
        let mut record = record.clone();
        record["kinesis"]["partitionKey"] = partition_key.into();
        record["kinesis"]["data"] = BASE64_STANDARD.encode(data).into();
        record
    });
    Some(of_others.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use pulsegate_model::uplink::Uplink;
    use serde_json::json;

    use super::*;

    fn uplink(device: &str) -> Uplink {
        let text = format!(
            r#"{{"device":"{device}","kind":"data","at":"2026-11-20T12:00:00Z","time_source":"network","profile":"p","payload":"46"}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn kinesis(devices: &[&str]) -> Value {
        let mut aggregator = Aggregator::default();
        for device in devices {
            let mut data = Vec::new();
            record::encode(&uplink(device), &mut data);
            aggregator.add(|| (*device).to_owned(), &data);
        }
        let StreamRecord { partition_key, data } = aggregator.close().unwrap();
        json!({"kinesis": {"partitionKey": partition_key, "sequenceNumber": "1", "data": BASE64_STANDARD.encode(data)}})
    }

    fn object(records: &[Value]) -> Vec<u8> {
        json!({"version": "1.0", "payload": json!({ "Records": records }).to_string()}).to_string().into_bytes()
    }

    #[test]
    fn the_others_stay_in_their_records() {
        const OWN: &str = "nbiot:490154203237518";
        const OTHER: &str = "nbiot:490154203924649";
        let judged = |records: &[Value]| judge(OWN.parse().unwrap(), &object(records));
        assert_eq!(judged(&[kinesis(&[OTHER])]), Verdict::Keep);
        assert_eq!(judged(&[kinesis(&[OWN]), kinesis(&[OWN, OWN])]), Verdict::Delete);
        let Verdict::Replace(content) = judged(&[kinesis(&[OWN, OTHER]), kinesis(&[OWN]), kinesis(&[OTHER])]) else {
            panic!("not replaced")
        };
        assert_eq!(content, object(&[kinesis(&[OTHER]), kinesis(&[OTHER])]));
        assert_eq!(judge(OWN.parse().unwrap(), b"noise"), Verdict::Unreadable);
        assert_eq!(judge(OWN.parse().unwrap(), b"{}"), Verdict::Unreadable);
    }
}
