use std::time::Duration;

use proptest::prelude::*;
use pulsegate_model::at::At;
use pulsegate_model::uplink::testing::any_uplink;

use super::*;
use crate::archive::tombstones;
use crate::archive::writer::ArchiveWriter;
use crate::batch::Failed;
use crate::fakes::{FakeObjects, FakeQueue, FakeStore};
use crate::tombstones::ERASED;

type Stage = RawStage<FakeStore<Uplink>, FakeStore<Arrived<DeviceEvent>>, FakeQueue>;

const BAD: usize = 3;

/// The time so many hours after the uplinks' own.
fn at(hours: usize) -> At {
    At::from_unix(1_795_176_000 + 3_600 * i64::try_from(hours).unwrap()).unwrap()
}

fn record(position: usize) -> BatchRecord {
    if position == BAD { of_body(position, "noise") } else { of_payload(position, "46800000009f00000002") }
}

fn of_payload(position: usize, payload: &str) -> BatchRecord {
    let body = format!(
        r#"{{"v":1,"uplinks":[{{"device":"sigfox:{position:X}","kind":"data","at":"2026-11-20T12:00:00Z",
        "time_source":"network","sequence":1,"profile":"adeunis-pulse-v4","payload":"{payload}"}}]}}"#
    );
    of_body(position, &body)
}

fn of_body(position: usize, body: &str) -> BatchRecord {
    BatchRecord::new(format!("id-{position}"), at(position), body)
}

fn ten() -> Vec<BatchRecord> {
    (0..10).map(record).collect()
}

fn stage() -> Stage {
    RawStage {
        raw: FakeStore::default(),
        events: Some(FakeStore::default()),
        pulse: Some(FakeQueue::default()),
        quarantine: FakeQueue::default(),
    }
}

/// The messages to the next stage.
fn published(stage: &Stage) -> Vec<String> {
    stage.pulse.as_ref().unwrap().sent()
}

async fn run(stage: &Stage, records: &[BatchRecord]) -> BatchOutcome {
    stage.run("raw-test", records, Instant::now() + Duration::from_secs(1)).await
}

#[tokio::test(start_paused = true)]
async fn of_ten_with_one_unreadable_nine_are_stored_and_one_is_quarantined_and_none_comes_back() {
    let stage = stage();
    let outcome = run(&stage, &ten()).await;
    assert_eq!(outcome.failed, Failed::new());
    assert_eq!(outcome.counts, OutcomeCounts { received: 10, stored: 9, quarantined: 1, ..OutcomeCounts::default() });
    assert_eq!(stage.raw.len(), 9);
    assert_eq!(published(&stage).len(), 1);
    assert!(stage.quarantine.sent()[0].contains(r#""record":{"text":"noise"}"#));
}

#[tokio::test(start_paused = true)]
async fn what_the_store_refuses_comes_back_and_is_not_published() {
    let stage = RawStage { raw: FakeStore::refusing(["sigfox:2", "sigfox:7"]), ..stage() };
    let outcome = run(&stage, &ten()).await;
    assert_eq!(outcome.failed, Failed::from([2, 7]));
    assert_eq!(
        outcome.counts,
        OutcomeCounts { received: 10, stored: 7, quarantined: 1, given_back: 2, ..OutcomeCounts::default() }
    );
    assert_eq!(envelope::unpack(published(&stage)[0].as_bytes()).unwrap().uplinks.len(), 7);
}

#[tokio::test(start_paused = true)]
async fn without_a_next_stage_what_no_codec_reads_is_stored_and_quarantined() {
    let records: Vec<BatchRecord> = (0..3).map(record).chain([of_payload(4, "ff")]).collect();
    let stage = RawStage { pulse: None, ..stage() };
    let outcome = run(&stage, &records).await;
    assert_eq!(outcome.failed, Failed::new());
    let counts = OutcomeCounts { received: 4, stored: 3, quarantined: 1, ..OutcomeCounts::default() };
    assert_eq!((outcome.counts, stage.raw.len()), (counts, 4));
    assert!(stage.quarantine.sent()[0].contains(r#""stage":"raw-test""#));

    let stage = RawStage { pulse: None, quarantine: FakeQueue::down(), ..self::stage() };
    let outcome = run(&stage, &records).await;
    assert_eq!(outcome.failed, Failed::from([3]));
    assert_eq!((outcome.counts.stored, outcome.counts.given_back), (3, 1));
}

fn of_event(position: usize, device: &str, sequence: Option<u32>) -> BatchRecord {
    let event = serde_json::json!({
        "device": device, "kind": "status", "at": "2026-11-20T12:00:00Z", "sequence": sequence,
        "profile": "adeunis-pulse-v4", "says": {"battery_volts": 3.1},
    });
    of_body(position, &envelope::of_event(&serde_json::from_value(event).unwrap()))
}

#[tokio::test(start_paused = true)]
async fn an_event_with_a_number_is_a_row_too_and_is_not_passed_on() {
    let group = "sigfox-group:57309674171c857460043085";
    let records =
        [record(0), of_event(1, "sigfox:A", Some(43)), of_event(2, "sigfox:B", None), of_event(4, group, Some(44))];
    let stage = stage();
    let outcome = run(&stage, &records).await;
    assert_eq!(outcome.failed, Failed::new());
    assert_eq!(outcome.counts, OutcomeCounts { received: 4, stored: 4, ..OutcomeCounts::default() });
    let rows = stage.raw.values().into_iter().map(|row| (row.device.to_string(), row.kind.to_string(), row.sequence));
    let expected = [("sigfox:0", "data", Some(1)), ("sigfox:A", "event", Some(43))];
    assert!(rows.eq(expected.map(|(device, kind, number)| (device.to_owned(), kind.to_owned(), number))));
    assert_eq!(stage.events.as_ref().unwrap().len(), 3);
    assert_eq!(envelope::unpack(published(&stage)[0].as_bytes()).unwrap().uplinks.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_row_or_item_is_refused_comes_back() {
    let records = [record(0), of_event(1, "sigfox:A", Some(43)), of_event(2, "sigfox:B", Some(44))];
    let stage = RawStage { raw: FakeStore::refusing(["sigfox:B"]), ..stage() };
    let outcome = run(&stage, &records).await;
    assert_eq!(outcome.failed, Failed::from([2]));
    assert_eq!((outcome.counts.stored, outcome.counts.given_back), (2, 1));

    let stage = RawStage { events: Some(FakeStore::down()), ..self::stage() };
    let outcome = run(&stage, &records).await;
    assert_eq!(outcome.failed, Failed::from([1, 2]));
    assert_eq!((outcome.counts.stored, outcome.counts.given_back), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_claims_to_be_a_row_of_an_event_is_quarantined() {
    let Uplink { device, at, profile, .. } = stored_uplink().await;
    let body = format!(
        r#"{{"v":1,"uplinks":[{{"device":"{device}","kind":"event","at":"{at}","time_source":"network",
        "sequence":2,"profile":"{}","payload":""}}]}}"#,
        profile.as_str(),
    );
    let event = Uplink { kind: pulsegate_model::uplink::Kind::Event, ..stored_uplink().await };
    let mut data = Vec::new();
    pulsegate_model::record::encode(&event, &mut data);
    let stage = stage();
    let outcome = run(&stage, &[of_body(0, &body), BatchRecord::of_stream("1", at, data)]).await;
    assert_eq!((outcome.failed.len(), outcome.counts.quarantined, outcome.counts.stored), (0, 2, 0));
    assert_eq!(stage.raw.len(), 0);
}

async fn stored_uplink() -> Uplink {
    let stage = stage();
    run(&stage, &[record(0)]).await;
    stage.raw.values().remove(0)
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_published_comes_back() {
    let stage = RawStage { pulse: Some(FakeQueue::down()), ..stage() };
    let outcome = run(&stage, &ten()).await;
    assert_eq!(outcome.failed, (0..10).filter(|&record| record != BAD).collect());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_quarantined_comes_back() {
    let stage = RawStage { quarantine: FakeQueue::down(), ..stage() };
    assert_eq!(run(&stage, &ten()).await.failed, Failed::from([BAD]));
}

#[tokio::test(start_paused = true)]
async fn what_is_of_an_erased_device_is_dropped_and_counted() {
    let store = FakeObjects::default();
    tombstones::bury(&store, "sigfox:2".parse().unwrap(), At::EPOCH, Instant::now()).await.unwrap();
    let Stage { events, pulse, quarantine, .. } = stage();
    let stage = RawStage { raw: ArchiveWriter { store }, events, pulse, quarantine };
    let outcome = stage.run("raw-test", &ten(), Instant::now() + Duration::from_secs(1)).await;
    assert_eq!(outcome.failed, Failed::new());
    let counts = OutcomeCounts { received: 10, stored: 8, quarantined: 1, erased: 1, ..OutcomeCounts::default() };
    assert_eq!(outcome.counts, counts);
    let sent = stage.pulse.unwrap().sent();
    assert!(sent.len() == 1 && !sent[0].contains(r#""sigfox:2""#));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_stored_while_the_erased_devices_are_not_known() {
    let store = FakeObjects::default();
    store.set(ERASED, "noise");
    let Stage { events, pulse, quarantine, .. } = stage();
    let stage = RawStage { raw: ArchiveWriter { store }, events, pulse, quarantine };
    let outcome = stage.run("raw-test", &ten(), Instant::now() + Duration::from_secs(1)).await;
    assert_eq!((outcome.failed.len(), outcome.counts.given_back, outcome.counts.stored), (10, 10, 0));
    assert_eq!((stage.raw.store.keys("new/").len(), stage.quarantine.sent().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_empty_batch_asks_nothing_of_anybody() {
    let stage =
        RawStage { raw: FakeStore::down(), pulse: Some(FakeQueue::down()), quarantine: FakeQueue::down(), ..stage() };
    assert_eq!(run(&stage, &[]).await, BatchOutcome { failed: Failed::new(), counts: OutcomeCounts::default() });
}

proptest! {
    #[test]
    fn any_order_repetition_and_split_into_batches_ends_in_the_same_table(
        uplinks in proptest::collection::vec(any_uplink(), 1..20),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
        batch in 1..10_usize,
    ) {
        let once: Vec<&Uplink> = uplinks.iter().collect();
        // Every uplink at least once, and some again in random order.
        let mut again: Vec<&Uplink> = order.iter().map(|index| index.get(&uplinks)).collect();
        again.extend(&once);
        again.reverse();
        prop_assert_eq!(table_after(&once, 1), table_after(&again, batch));
    }
}

fn table_after(uplinks: &[&Uplink], batch: usize) -> Vec<Uplink> {
    let stage = stage();
    let records: Vec<BatchRecord> =
        uplinks.iter().map(|uplink| BatchRecord::new("id", At::EPOCH, envelope::of_one(uplink))).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for batch in records.chunks(batch) {
        runtime.block_on(run(&stage, batch));
    }
    stage.raw.values()
}
