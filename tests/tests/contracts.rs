//! Contract tests of the fakes. `e2e` runs the same contracts with the real adapters, `models` with the simulation's
//! models.

use std::sync::Arc;
use std::time::Duration;

use pulsegate_aws::fakes::FakeTable;
use pulsegate_aws::{PulseTableReader, items};
use pulsegate_model::pulse;
use pulsegate_pipeline::archive::object;
use pulsegate_pipeline::archive::reader::Archive;
use pulsegate_pipeline::archive::settle::Settle;
use pulsegate_pipeline::archive::store::{Condition, ObjectStore as _};
use pulsegate_pipeline::fakes::{
    FakeDownlinks, FakeObjects, FakeQueue, FakeReceiveQueue, FakeSecret, FakeStream, FakeWatermarks,
};
use pulsegate_tests::contracts;
use tokio::time::Instant;

#[tokio::test]
async fn the_fake_table_keeps_the_contract() {
    let table = FakeTable::default();
    contracts::a_table_keeps_every_item_once(&table, async || table.items()).await;
}

#[tokio::test]
async fn the_fake_queue_keeps_the_contract() {
    let queue = FakeQueue::default();
    contracts::a_queue_keeps_every_message(&queue, async || queue.sent()).await;
}

#[tokio::test]
async fn the_fake_stream_keeps_the_contract() {
    let stream = Arc::new(FakeStream::default());
    let data = async || stream.records().into_iter().map(|record| record.data).collect();
    contracts::a_stream_keeps_every_record(&stream, data).await;
    contracts::records_of_a_key_keep_their_order(&stream, data).await;
}

#[tokio::test]
async fn the_fake_object_store_keeps_the_contract() {
    for page in [7, 1_000] {
        contracts::an_object_store_keeps_its_promises(&FakeObjects::of_pages(page)).await;
    }
}

#[tokio::test]
async fn the_fake_watermarks_keep_the_contract() {
    contracts::watermarks_are_read_as_they_were_set(&FakeWatermarks::default()).await;
}

#[tokio::test]
async fn the_fake_secret_keeps_the_contract() {
    let secret = FakeSecret::default();
    let put = async |text: &'static str| secret.put(text);
    contracts::a_secret_has_the_current_and_the_previous_text(&&secret, put, async || secret.forget()).await;
}

#[tokio::test]
async fn the_fake_downlinks_keep_the_contract() {
    contracts::downlinks_and_uplinks_belong_to_each_other_once(&FakeDownlinks::default()).await;
    contracts::a_device_has_all_its_downlinks(&FakeDownlinks::default()).await;
    contracts::requests_at_once_share_nothing_but_their_uplink(&FakeDownlinks::default()).await;
}

#[tokio::test]
async fn the_fake_inbox_keeps_the_contract() {
    let queue = FakeReceiveQueue::new();
    contracts::a_message_is_held_until_it_is_given_back_or_deleted(&queue, &queue).await;
    contracts::a_queue_keeps_every_message(&queue, async || queue.bodies()).await;
}

#[tokio::test]
async fn the_fake_table_is_read_as_the_contract_says() {
    let table = FakeTable::default();
    contracts::a_table_is_read_in_parts_and_by_keys(&table, &table, &table).await;
}

#[tokio::test]
async fn the_archive_and_the_pulses_table_are_read_alike() {
    let uplinks = contracts::uplinks_to_read();
    let deadline = Instant::now() + Duration::from_mins(1);
    let items = uplinks.iter().filter_map(|uplink| pulse::decode(uplink).ok());
    let table = FakeTable::of(items.map(|item| items::pulse_item(&item)));
    contracts::a_reader_has_the_items_of_a_device_and_a_span(&PulseTableReader { table }).await;

    let archive = Archive { store: FakeObjects::of_pages(2), bits: "2026-11-20=3".parse().unwrap() };
    let (settled, new) = uplinks.split_at(uplinks.len() / 2);
    for (uplinks, settles) in [(settled, true), (new, false)] {
        for batch in uplinks.chunks(2) {
            let object = object::encode(batch).unwrap();
            archive.store.put(&object.key, object.content, Condition::Always, deadline).await.unwrap();
        }
        if settles {
            Settle { store: &archive.store, bits: &archive.bits, stop: deadline, deadline }.run().await.unwrap();
        }
    }
    contracts::a_reader_has_the_items_of_a_device_and_a_span(&archive).await;
}
