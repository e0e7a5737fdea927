//! Callbacks of every kind, through the deployed template.

use aws_sdk_dynamodb::types::AttributeValue;
use pulsegate_model::at::At;
use pulsegate_pipeline::downlink::Entry;
use pulsegate_tests::events;
use serde_json::{Value, json};

use crate::cloud::{Cloud, text, until};

/// The store of uplinks.
const ARCHIVE: &str = "ARCHIVE_BUCKET";

/// The callbacks of `events/`, by file name, with the place where each is stored, its device and its key there.
const STORED: [(&str, &str, &str, &str); 10] = [
    ("uplink", ARCHIVE, "sigfox:1A2345", "2026-11-20T12:00:00Z#00042#data"),
    ("uplink-form", ARCHIVE, "sigfox:1A2345", "2026-11-20T12:00:00Z#00042#data"),
    ("bidir", ARCHIVE, "sigfox:1A2345", "2026-11-20T12:00:00Z#00042#data"),
    ("data-advanced", ARCHIVE, "sigfox:1A2345", "2026-11-20T12:00:00Z#00042#data-advanced"),
    ("data-advanced", "EVENTS_TABLE", "sigfox:1A2345", "2026-11-20T12:00:00Z#00042#data-advanced"),
    ("status", "EVENTS_TABLE", "sigfox:1A2345", "2026-11-20T12:00:00Z#00043#status"),
    ("geoloc", "EVENTS_TABLE", "sigfox:1A2345", "2026-11-20T12:00:00Z#00042#geoloc"),
    ("repeater", "EVENTS_TABLE", "sigfox:1FD48BE", "2026-11-20T12:00:00Z#-#repeater"),
    ("error", "EVENTS_TABLE", "sigfox:1A2345", "2026-11-20T12:00:00Z#-#error"),
    ("event", "EVENTS_TABLE", "sigfox:1A2345", "2026-11-20T12:00:00Z#-#event:break-in-message-sequence"),
];

pub async fn a_callback_of_every_kind_by_every_method_is_stored_under_its_natural_key(cloud: Cloud) {
    let quarantined = cloud.waiting("QUARANTINE_QUEUE_URL").await;
    for (name, table, device, key) in STORED {
        let answer = cloud.call(&events::read(&format!("sigfox-callback-{name}.json")));
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{name}");
        until(&format!("{key} of {name}"), async || {
            if table == ARCHIVE {
                let uplinks = cloud.archived_of(device).await;
                uplinks.iter().any(|uplink| format!("{}#{}", uplink.key(), uplink.kind) == key)
            } else {
                cloud.items_of(table, device).await.iter().any(|item| text(item, "event") == key)
            }
        })
        .await;
    }
    cloud.settled().await;
    // All were answered 2xx, and none of them is in quarantine.
    assert_eq!(cloud.waiting("QUARANTINE_QUEUE_URL").await, quarantined);
    // Uplink, form, bidirectional and advanced callback of one uplink become one pulse item.
    let pulses = cloud.items_of("PULSE_TABLE", "sigfox:1A2345").await;
    let of_it = pulses.iter().filter(|item| text(item, "uplink") == "2026-11-20T12:00:00Z#00042");
    assert_eq!(of_it.count(), 1);
    let events = cloud.items_of("EVENTS_TABLE", "sigfox:1A2345").await;
    let gap = events.into_iter().find(|item| text(item, "event").contains("#event:")).unwrap();
    let gap: Value = serde_dynamo::from_item(gap).unwrap();
    assert_eq!(gap["sequence_break"], json!({"expected": 39, "received": 42, "missed": 3}));
}

pub async fn of_a_batch_of_500_lines_with_3_bad_ones_497_are_stored_once_and_3_quarantined(cloud: Cloud) {
    cloud.settled().await;
    cloud.take_all(&cloud.address("QUARANTINE_QUEUE_URL")).await;
    let line = |n: u32| match n {
        100 => "noise".to_owned(),
        200 => format!("BA7{n:03X};later;46800000009f00000002;1"),
        300 => "XYZ;1795176000;46800000009f00000002;1".to_owned(),
        n => format!("BA7{n:03X};1795176000;46800000009f00000002;{n}"),
    };
    let lines = (0..500).map(line).collect::<Vec<_>>().join("\n").replace(';', "%3B").replace('\n', "%0A");
    let mut batch = events::read("sigfox-callback-uplink-batch.json");
    batch["isBase64Encoded"] = false.into();
    batch["body"] = format!("batch={lines}").into();
    let of_it = |device: &str| device.starts_with("sigfox:BA7") && device.len() == 13;
    let stored = async || {
        let archived = cloud.archived().await;
        let items = cloud.items("PULSE_TABLE").await;
        let archived = archived.iter().filter(|uplink| of_it(&uplink.device.to_string())).count();
        (archived, items.iter().filter(|item| of_it(&text(item, "device"))).count())
    };
    // The second round is the repetition that Sigfox sends if the answer is lost.
    for round in 1..=2 {
        assert_eq!(cloud.call(&batch).status, 204);
        until("497 of 500 in archive and table", async || stored().await == (497, 497)).await;
        cloud.settled().await;
        assert_eq!(stored().await, (497, 497), "round {round}");
        let quarantined = cloud.take_all(&cloud.address("QUARANTINE_QUEUE_URL")).await;
        let mut records: Vec<String> = quarantined
            .iter()
            .map(|record| serde_json::from_str::<Value>(record).unwrap()["record"]["text"].as_str().unwrap().to_owned())
            .collect();
        records.sort();
        assert_eq!(records, [line(200), line(300), line(100)]);
    }
}

pub async fn a_downlink_asked_for_twice_is_the_same_and_consumes_nothing_else_and_its_end_is_told(cloud: Cloud) {
    for (id, data) in
        [("3#2026-11-20T10:00:00Z#first", "0102030405060708"), ("5#2026-11-20T09:00:00Z#second", "ffffffffffffffff")]
    {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let put = cloud.dynamodb.put_item().table_name(cloud.address("DOWNLINK_TABLE"));
        let put = put.item("device", text("sigfox:D0417")).item("downlink", text(id)).item("data", text(data));
        put.send().await.unwrap();
    }
    let mut asking = events::read("sigfox-callback-bidir.json");
    let ask = |event: &mut Value, sequence: u32| {
        let query = format!("device=000D0417&time=1795176000&data=46800000009f00000002&seqNumber={sequence}&ack=true");
        event["rawQueryString"] = query.into();
        let answer = cloud.call(event);
        (answer.status, serde_json::from_str::<Value>(&answer.body).unwrap_or_default())
    };
    let first = (200, json!({"000D0417": {"downlinkData": "0102030405060708"}}));
    for _ in 0..2 {
        assert_eq!(ask(&mut asking, 1), first);
    }
    let mut told = events::read("sigfox-callback-acknowledge.json");
    told["body"] =
        json!({"device": "D0417", "time": 1_795_176_021, "infoCode": 0, "infoMessage": "Acked"}).to_string().into();
    assert_eq!(cloud.call(&told).status, 204);
    assert_eq!(ask(&mut asking, 2), (200, json!({"000D0417": {"downlinkData": "ffffffffffffffff"}})));
    assert_eq!(ask(&mut asking, 3).0, 204);

    let items = cloud.items_of("DOWNLINK_TABLE", "sigfox:D0417").await;
    let states: Vec<&str> = items
        .into_iter()
        .filter_map(|item| match Entry::read(serde_dynamo::from_item(item).unwrap()) {
            Entry::Downlink(downlink) => Some(downlink),
            _ => None,
        })
        .map(|downlink| downlink.state(At::from_unix(1_795_176_100).unwrap()).name())
        .collect();
    assert_eq!(states, ["delivered", "answered"]);
    until("the three uplinks", async || cloud.archived_of("sigfox:D0417").await.len() == 3).await;
}
