//! Lists of undelivered callbacks, and what the function does with their items.

use futures_util::StreamExt as _;
use pulsegate_aws::fakes::FakeTable;
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::archive::writer::ArchiveWriter;
use pulsegate_pipeline::fakes::{FakeObjects, FakeQueue};
use pulsegate_pipeline::ports::Watermark;
use pulsegate_pipeline::raw::RawStage;
use pulsegate_tests::archived;
use pulsegate_tests::sigfox::api::{self, Api};
use pulsegate_tests::sigfox::sender::{self, Pace, Sent};
use pulsegate_tests::sigfox::{Message, Oddity, Template};
use serde_json::{Value, json};
use sigfox_recovery::Tally;
use tokio::time::Instant;

use crate::harness::*;

#[tokio::test(start_paused = true)]
async fn what_was_not_delivered_is_enqueued_under_its_natural_key_in_whole_seconds() {
    let api = with_undelivered(3);
    let recovery = recovery(&api);
    let tally = run(&recovery).await.unwrap();
    assert_eq!(keys(&recovery), expected_keys(3));
    assert!(enqueued(&recovery).iter().all(|uplink| uplink.payload.bytes().len() == 10));
    let counts = Tally { found: 3, recovered: 3, requests: 1, lag: Some(30 * 60), ..Tally::default() };
    assert_eq!(tally, counts);
    assert_eq!(recovery.watermarks.of(TYPE), Some(FINISHED));
}

#[tokio::test(start_paused = true)]
async fn an_item_is_the_same_uplink_whichever_way_it_tells_it() {
    for oddity in Oddity::ALL {
        let api = Api::start();
        api.list(TYPE, [oddity.of(item(0))]);
        let recovery = recovery(&api);
        run(&recovery).await.unwrap();
        let uplink = &enqueued(&recovery)[0];
        assert_eq!((uplink.device.to_string(), uplink.at.unix()), ("sigfox:1A0000".to_owned(), 1_795_176_000));
        assert_eq!(uplink.payload.bytes().len(), 10, "{oddity:?}");
        // `OnlyItself` has no sequence number.
        let sequence = if oddity == Oddity::OnlyItself { "-" } else { "00000" };
        assert_eq!(uplink.key().to_string(), format!("2026-11-20T12:00:00Z#{sequence}"), "{oddity:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn callbacks_of_others_are_counted_and_left_alone() {
    let api = with_undelivered(1);
    let elsewhere = Template { url: "https://example.com/hook?id={device}".to_owned(), ..template() };
    let mut mail = item(3);
    mail["callback"] = json!({"subject": "a message", "message": "of a device"});
    api.list(TYPE, [elsewhere.callback(&message(2)).item(TYPE, 500), mail]);
    let recovery = recovery(&api);
    let tally = run(&recovery).await.unwrap();
    assert_eq!((tally.found, tally.recovered, tally.foreign), (3, 1, 2));
    assert_eq!((recovery.raw.sent().len(), recovery.quarantine.sent().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_quarantined_without_the_secret_and_holds_nobody_up() {
    let api = with_undelivered(2);
    let nowhere = Template { url: URL.replace("adeunis-pulse-v4", "acme"), ..template() };
    let mut noise = item(4);
    noise["callback"]["body"] = "noise".into();
    noise["parameters"] = json!({});
    noise["time"] = json!(null);
    api.list(TYPE, [nowhere.callback(&message(3)).item(TYPE, 404), noise, json!(7), json!({"time": NOW - HOUR})]);
    let recovery = recovery(&api);
    let tally = run(&recovery).await.unwrap();
    assert_eq!((tally.found, tally.recovered, tally.quarantined), (6, 2, 4));
    let quarantined = recovery.quarantine.sent();
    assert_eq!(quarantined.len(), 4);
    assert!(quarantined.iter().all(|record| !record.contains("local-secret")));
    let with_data = quarantined.iter().filter(|record| record.contains(&message(4).data));
    assert_eq!(with_data.count(), 2, "the items of the unknown profile and of the noise are whole");
    assert_eq!(recovery.watermarks.of(TYPE), Some(FINISHED));
}

#[tokio::test(start_paused = true)]
async fn a_long_list_is_fetched_page_by_page_with_both_ends_fixed() {
    let api = with_undelivered(250);
    let recovery = recovery(&api);
    assert_eq!(run(&recovery).await.unwrap().requests, 3);
    assert_eq!(keys(&recovery), expected_keys(250));
    let asked = api.asked();
    assert_eq!(asked.iter().map(|asked| asked.offset).collect::<Vec<_>>(), [0, 100, 200]);
    assert!(asked.iter().all(|asked| (asked.since, asked.before) == (NOW - 72 * HOUR, NOW - 15 * MINUTE)));
}

#[tokio::test(start_paused = true)]
async fn a_list_of_exactly_a_page_is_followed_by_an_empty_one_at_most() {
    let api = with_undelivered(100);
    let recovery = recovery(&api);
    assert!(run(&recovery).await.unwrap().requests <= 2);
    assert_eq!(recovery.watermarks.of(TYPE), Some(FINISHED));
}

#[tokio::test(start_paused = true)]
async fn what_has_not_settled_is_left_to_sigfox() {
    let api = Api::start();
    let mut young = item(0);
    young["time"] = (NOW - 14 * MINUTE).into();
    api.list(TYPE, [young]);
    let recovery = recovery(&api);
    assert_eq!(run(&recovery).await.unwrap().found, 0);
    assert_eq!(run_at(&recovery, NOW + 2 * MINUTE).await.unwrap().found, 1);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_holds_nothing_is_not_asked_for() {
    let api = with_undelivered(1);
    let recovery = recovery(&api);
    let ahead = Watermark { since: NOW + HOUR, unfinished: None };
    recovery.watermarks.put(TYPE, ahead);
    assert_eq!(run(&recovery).await.unwrap(), Tally { lag: Some(0), ..Tally::default() });
    assert_eq!((api.asked().len(), recovery.watermarks.of(TYPE)), (0, Some(ahead)));
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_moves_the_watermark() {
    let api = with_undelivered(0);
    let recovery = recovery(&api);
    assert_eq!(run(&recovery).await.unwrap().found, 0);
    assert_eq!(recovery.watermarks.of(TYPE), Some(FINISHED));
}

#[tokio::test(start_paused = true)]
async fn a_message_found_twice_or_delivered_after_all_is_the_same_item() {
    // The answer to the first came too late: Sigfox lists it, although it is stored.
    let live = recovery(&with_undelivered(1));
    let api = with_undelivered(5);
    let once = recovery(&api);
    let twice = recovery(&api);
    run(&once).await.unwrap();
    for _ in 0..2 {
        let from_the_start = Watermark { since: NOW - 72 * HOUR, unfinished: None };
        twice.watermarks.put(TYPE, from_the_start);
        run(&twice).await.unwrap();
    }
    assert_eq!(enqueued(&twice).len(), 10);
    assert_eq!(stored([&once]).await, stored([&twice, &live]).await);
}

/// Returns the archived uplinks after all enqueued messages are processed.
async fn stored<'a>(runs: impl IntoIterator<Item = &'a Faked>) -> Vec<Uplink> {
    let stage = RawStage {
        raw: ArchiveWriter { store: FakeObjects::default() },
        events: None::<pulsegate_aws::EventTable<FakeTable>>,
        pulse: Some(FakeQueue::default()),
        quarantine: FakeQueue::default(),
    };
    for run in runs {
        let record =
            |body: String| json!({"messageId": "id", "body": body, "attributes": {"SentTimestamp": NOW.to_string()}});
        let records: Vec<Value> = run.raw.sent().into_iter().map(record).collect();
        let event = serde_json::from_value(json!({"Records": records})).unwrap();
        raw_sigfox::handle(event, &stage, Instant::now() + TIMEOUT).await.unwrap();
    }
    archived(&stage.raw.store)
}

#[tokio::test]
async fn callbacks_that_nobody_answers_are_sent_four_times_and_then_found_on_the_list() {
    let nobody = Template { url: "http://127.0.0.1:1/sigfox/adeunis-pulse-v4/uplink".to_owned(), ..template() };
    let messages: Vec<Message> = (0..3).map(message).collect();
    let sent: Vec<Sent> = sender::send(&nobody, &messages, Pace { scale: 0.0, at_once: 2 }).collect().await;
    assert!(sent.iter().all(|sent| (sent.attempts, sent.status) == (4, 600)));
    let api = Api::start();
    api::list_undelivered(api.url(), TYPE, &sent);
    let recovery = recovery(&api);
    run(&recovery).await.unwrap();
    assert_eq!(keys(&recovery), expected_keys(3));
}
