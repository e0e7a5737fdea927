use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::archive::days::file;
use pulsegate_pipeline::archive::file::union;
use pulsegate_pipeline::archive::points::{Derive, decoder};
use pulsegate_pipeline::archive::row::Row;
use pulsegate_pipeline::fakes::{FakeObjects, FakeQueue};

use super::*;

const SCHEDULED: &str = include_str!("../../../events/days-scheduled.json");
const QUEUED: &str = include_str!("../../../events/days-queued.json");

const FILE: &str = "days/month=2026-11/00.parquet";

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(15)
}

fn now() -> At {
    "2026-11-22T00:00:00Z".parse().unwrap()
}

/// An archive with the points of one uplink.
async fn archive() -> FakeObjects {
    let uplink: Uplink = serde_json::from_value(json!({
        "device": "sigfox:1A2345", "kind": "data", "at": "2026-11-20T12:00:00Z", "time_source": "network",
        "sequence": 7, "profile": "adeunis-pulse-v4", "payload": "46800000009f00000002",
    }))
    .unwrap();
    let (store, bits) = (FakeObjects::default(), PartitionBits::default());
    store.set("day/2026-11-20/00.parquet", union(None, vec![Row::from(&uplink)]).unwrap());
    Derive { store: &store, bits: &bits, decoder, stop: soon(), deadline: soon() }.run().await.unwrap();
    store
}

fn queued(bodies: &[String]) -> Value {
    let message = |(n, body): (usize, &String)| json!({ "messageId": n.to_string(), "body": body });
    json!({ "Records": bodies.iter().enumerate().map(message).collect::<Vec<_>>() })
}

#[tokio::test(start_paused = true)]
async fn what_the_schedule_sends_is_what_the_queue_hands_over() {
    let (store, queue) = (archive().await, FakeQueue::default());
    let handler = Handler { store: &store, bits: &PartitionBits::default(), queue: &queue };
    let planned = handler.handle(serde_json::from_str(SCHEDULED).unwrap(), now(), soon()).await.unwrap();
    assert_eq!(planned, json!({ "planned": 1, "unsent": 0 }));
    assert_eq!(queue.sent(), [r#"{"partition":"00","bits":0,"month":"2026-11"}"#]);
    let answer = handler.handle(queued(&queue.sent()), now(), soon()).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    let days = file::read(store.all()[FILE].clone()).unwrap().rows;
    let of_rows: Vec<_> = days.iter().map(|row| (row.channel.as_str(), row.day.to_string())).collect();
    let expected = [("A", "2026-11-20"), ("A", "2026-11-21"), ("B", "2026-11-20"), ("B", "2026-11-21")];
    assert_eq!(of_rows, expected.map(|(channel, day)| (channel, day.to_owned())));
    assert_eq!(handler.handle(json!({}), now(), soon()).await.unwrap(), json!({ "planned": 0, "unsent": 0 }));
}

#[tokio::test(start_paused = true)]
async fn a_message_without_a_month_makes_all_months() {
    let (store, queue) = (archive().await, FakeQueue::default());
    let handler = Handler { store: &store, bits: &PartitionBits::default(), queue: &queue };
    let answer = handler.handle(serde_json::from_str(QUEUED).unwrap(), now(), soon()).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    assert!(store.all().contains_key(FILE));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_no_partition_is_given_back_alone() {
    let (store, queue) = (archive().await, FakeQueue::default());
    let handler = Handler { store: &store, bits: &PartitionBits::default(), queue: &queue };
    let bodies = ["noise".to_owned(), r#"{"partition":"00","bits":0}"#.to_owned()];
    let answer = handler.handle(queued(&bodies), now(), soon()).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "0" }] }));
    assert!(store.all().contains_key(FILE));
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_cannot_be_sent_fails() {
    let (store, queue) = (archive().await, FakeQueue::down());
    let handler = Handler { store: &store, bits: &PartitionBits::default(), queue: &queue };
    assert!(matches!(handler.handle(json!({}), now(), soon()).await, Err(HandleError::Unsent(1))));
}
