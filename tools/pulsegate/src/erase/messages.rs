//! Decides what is to become of a message of a queue.

use std::collections::BTreeSet;

use pulsegate_model::aggregate;
use pulsegate_model::device::DeviceId;
use pulsegate_model::envelope::{self, Packed, Unpacked};
use pulsegate_model::event::DeviceEvent;
use pulsegate_model::quarantine::QuarantinedRecord;
use pulsegate_model::record;
use pulsegate_model::uplink::Uplink;
use serde_json::Value;

use super::mentions::mentions;
use crate::redrive::route::{Load, route};

/// The fate of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has nothing of the device.
    Keep,
    /// It is deleted, once these are in the same queue: messages with what it has of other devices.
    Delete(Vec<String>),
    /// It has something of the device and of others, which this code cannot take apart.
    Inseparable,
}

/// Judges a message of quarantine or of a queue of dead letters.
pub(super) fn judge(device: DeviceId, id: &str, body: &str) -> Verdict {
    match QuarantinedRecord::from_message(body) {
        Ok(kept) => quarantined(device, id, body, &kept),
        Err(_) => enveloped(device, body.as_bytes()),
    }
}

fn quarantined(device: DeviceId, id: &str, body: &str, kept: &QuarantinedRecord) -> Verdict {
    let record = kept.record().unwrap_or_default();
    let is_told = || mentions(device, body.as_bytes()) || mentions(device, &record);
    if kept.device == Some(device) {
        return Verdict::Delete(Vec::new());
    }
    match enveloped(device, &record) {
        Verdict::Delete(others) => Verdict::Delete(others.iter().filter_map(|other| holding(body, other)).collect()),
        // Callbacks and datagrams, which are parsed as they would be now.
        _ if is_told() => match route(id, kept).map(|route| devices(&route.load)) {
            Ok(devices) if devices.iter().any(|found| *found != device) => Verdict::Inseparable,
            _ => Verdict::Delete(Vec::new()),
        },
        _ => Verdict::Keep,
    }
}

/// Judges an envelope, or anything else.
fn enveloped(device: DeviceId, body: &[u8]) -> Verdict {
    let Ok(Unpacked { uplinks, events, unreadable }) = envelope::unpack(body) else {
        return if mentions(device, body) { Verdict::Delete(Vec::new()) } else { Verdict::Keep };
    };
    let all = uplinks.len() + events.len() + unreadable.len();
    let uplinks: Vec<Uplink> = uplinks.into_iter().filter(|uplink| uplink.device != device).collect();
    let is_other = |event: &DeviceEvent| !mentions(device, envelope::of_event(event).as_bytes());
    let events: Vec<DeviceEvent> = events.into_iter().filter(is_other).collect();
    let unreadable = unreadable.into_iter().map(|member| member.envelope);
    let unreadable: Vec<String> = unreadable.filter(|member| !mentions(device, member.as_bytes())).collect();
    if uplinks.len() + events.len() + unreadable.len() == all {
        return Verdict::Keep;
    }
    let packed = envelope::pack(&uplinks).into_iter().chain(envelope::pack_events(&events));
    Verdict::Delete(packed.map(|Packed { body, .. }| body).chain(unreadable).collect())
}

/// A message of quarantine, with another record.
fn holding(message: &str, record: &str) -> Option<String> {
    let mut message: Value = serde_json::from_str(message).ok()?;
    message["record"] = serde_json::json!({ "text": record });
    Some(message.to_string())
}

/// The devices of what would be sent.
fn devices(load: &Load) -> BTreeSet<DeviceId> {
    let of_body = |body: &String| envelope::unpack(body.as_bytes()).unwrap_or_default();
    match load {
        Load::Bodies(bodies) => bodies
            .iter()
            .map(of_body)
            .flat_map(|unpacked| {
                let events = unpacked.events.into_iter().filter_map(|event| event.source.device());
                unpacked.uplinks.into_iter().map(|uplink| uplink.device).chain(events).collect::<Vec<_>>()
            })
            .collect(),
        Load::Record(sent) => {
            let records = aggregate::user_records(&sent.data).unwrap_or_else(|| vec![sent.data.clone()]);
            records.iter().filter_map(|record| Some(record::decode(record).ok()?.device)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use pulsegate_model::quarantine::Quarantined;

    use super::*;

    fn uplink(device: &str) -> Uplink {
        let text = format!(
            r#"{{"device":"{device}","kind":"data","at":"2026-11-20T12:00:00Z","time_source":"network","profile":"p","payload":"46"}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn judged(body: &str) -> Verdict {
        judge("sigfox:1A2345".parse().unwrap(), "id", body)
    }

    fn message(uplinks: &[Uplink]) -> String {
        envelope::pack(uplinks).remove(0).body
    }

    #[test]
    fn of_an_envelope_the_others_stay() {
        let (own, other) = (uplink("sigfox:1A2345"), uplink("sigfox:2"));
        assert_eq!(judged(&message(std::slice::from_ref(&other))), Verdict::Keep);
        assert_eq!(judged(&message(std::slice::from_ref(&own))), Verdict::Delete(vec![]));
        let others = Verdict::Delete(vec![message(std::slice::from_ref(&other))]);
        assert_eq!(judged(&message(&[own, other])), others);
        let unreadable = r#"{"v":1,"uplinks":[{"device":"sigfox:1A2345"},{"device":"sigfox:2"}]}"#;
        assert_eq!(
            judged(unreadable),
            Verdict::Delete(vec![r#"{"v":1,"uplinks":[{"device":"sigfox:2"}]}"#.to_owned()])
        );
    }

    #[test]
    fn a_record_of_the_device_is_deleted_whatever_its_stage_and_those_of_others_stay() {
        let own = Quarantined::new("pulse", &"why", envelope::of_one(&uplink("sigfox:1A2345")).as_bytes());
        assert_eq!(judged(&own.to_message()), Verdict::Delete(vec![]));
        let other = Quarantined::new("pulse", &"why", envelope::of_one(&uplink("sigfox:2")).as_bytes());
        assert_eq!(judged(&other.to_message()), Verdict::Keep);
        let callback = |device: &str| {
            let body = format!(r#"{{"device":"{device}","data":"46"}}"#);
            Quarantined::new("sigfox-callback", &"no time", body.as_bytes())
                .under("adeunis-pulse-v4")
                .of_callback("uplink", "")
        };
        assert_eq!(judged(&callback("001A2345").to_message()), Verdict::Delete(vec![]));
        assert_eq!(judged(&callback("2A2345").to_message()), Verdict::Keep);
        assert_eq!(judged("noise"), Verdict::Keep);
    }

    #[test]
    fn a_quarantined_envelope_keeps_the_others_with_stage_and_reason() {
        let both = message(&[uplink("sigfox:1A2345"), uplink("sigfox:2")]);
        let Verdict::Delete(again) = judged(&Quarantined::new("raw-sigfox", &"why", both.as_bytes()).to_message())
        else {
            panic!("it stays")
        };
        let kept = QuarantinedRecord::from_message(&again[0]).unwrap();
        assert_eq!((kept.stage.as_str(), kept.reason.as_str(), again.len()), ("raw-sigfox", "why", 1));
        assert_eq!(kept.text(), Some(message(&[uplink("sigfox:2")]).as_str()));
    }
}
