//! Tests that the models of the simulation keep the ports' contracts under all faults, and behave as AWS documents.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use pulsegate_aws::Table as _;
use pulsegate_aws::items::Item;
use pulsegate_model::aggregate::StreamRecord;
use pulsegate_pipeline::ports::{Queue as _, Stream as _};
use pulsegate_tests::contracts::{self, Consumer};
use pulsegate_tests::simulation::archive::objects::ObjectsModel;
use pulsegate_tests::simulation::queue::{QueueModel, Received};
use pulsegate_tests::simulation::queue_mapping;
use pulsegate_tests::simulation::stream::{Next, StreamModel};
use pulsegate_tests::simulation::table::TableModel;
use pulsegate_tests::simulation::world::World;
use tokio::time::{Instant, sleep};

const VISIBILITY: Duration = Duration::from_secs(30);

fn calm() -> Arc<World> {
    World::new(0, false)
}

fn queue(world: &Arc<World>) -> QueueModel {
    let dead_letters = QueueModel::new(world, "dead letters", VISIBILITY, None);
    QueueModel::new(world, "contract", VISIBILITY, Some((dead_letters, 3)))
}

struct Reader(QueueModel);

impl Consumer for Reader {
    type Receipt = Received;

    async fn receive(&self) -> Vec<(Received, String)> {
        let received = self.0.receive(10).into_iter();
        received.map(|received| (received.clone(), received.body.to_string())).collect()
    }

    async fn delete(&self, receipt: Received) {
        self.0.delete(&receipt);
    }

    async fn wait(&self) {
        sleep(VISIBILITY).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_table_keeps_the_contract_and_counts_a_write_unit_for_each_kilobyte() {
    let table = TableModel::new(&calm(), "uplink");
    let all = async || table.items().into_values().map(|item| Item::clone(&item)).collect();
    contracts::a_table_keeps_every_item_once(&table, all).await;

    let before = table.units();
    let item = serde_json::json!({"device": "contract", "uplink": "large", "text": "x".repeat(1_024)});
    assert!(table.put(&[serde_dynamo::to_item(item).unwrap()], soon()).await.is_empty());
    assert_eq!(table.units() - before, 2);
}

#[tokio::test(start_paused = true)]
async fn the_queue_keeps_the_contracts() {
    let world = calm();
    let one = queue(&world);
    let all = async || one.take_all().iter().map(ToString::to_string).collect();
    contracts::a_queue_keeps_every_message(&one, all).await;
    let another = queue(&world);
    contracts::a_message_comes_again_until_it_is_deleted(&another, &Reader(another.clone())).await;
}

#[tokio::test(start_paused = true)]
async fn the_stream_keeps_the_contracts_also_after_a_reshard() {
    let stream = StreamModel::new(&calm(), 2);
    let all = async || stream.data().concat();
    contracts::a_stream_keeps_every_record(&stream, all).await;
    stream.reshard();
    contracts::records_of_a_key_keep_their_order(&stream, all).await;
}

#[tokio::test(start_paused = true)]
async fn the_object_store_keeps_the_contract_whatever_its_etags_and_pages() {
    for seed in 0..10 {
        contracts::an_object_store_keeps_its_promises(&ObjectsModel::new(&World::new(seed, false))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn children_are_not_read_before_their_parents() {
    let stream = StreamModel::new(&calm(), 1);
    let record = StreamRecord { partition_key: "key".to_owned(), data: b"data".to_vec() };
    stream.add(record.clone());
    stream.reshard();
    stream.add(record);
    assert_eq!(stream.readable(), [0]);
    let Next::Records(records) = stream.next(0, 10) else { panic!("the shard has a record") };
    stream.checkpoint(0, records.len());
    assert!(matches!(stream.next(0, 10), Next::End));
    assert_eq!(stream.readable(), [0, 1, 2]);
    assert!(!stream.is_read());
}

#[tokio::test(start_paused = true)]
async fn what_was_received_too_often_is_a_dead_letter() {
    let queue = queue(&calm());
    queue.add("poison".into());
    for _ in 0..3 {
        assert_eq!(queue.receive(10).len(), 1);
        sleep(VISIBILITY).await;
    }
    assert!(queue.receive(10).is_empty());
    assert_eq!((queue.len(), queue.dead_letters().map(QueueModel::len)), (0, Some(1)));
}

fn settled(failed: Option<&[&str]>) -> usize {
    let queue = queue(&calm());
    for body in ["a", "b", "c"] {
        queue.add(body.into());
    }
    let messages = queue.receive(10);
    let answer = failed.map(|failed| {
        let mut answer = SqsBatchResponse::default();
        answer.set_failures(failed.iter().copied());
        answer
    });
    queue_mapping::settle(&queue, &messages, answer);
    queue.len()
}

#[tokio::test(start_paused = true)]
async fn exactly_what_a_partial_answer_names_stays_in_the_queue() {
    assert_eq!(settled(Some(&[])), 0);
    assert_eq!(settled(Some(&["1"])), 1);
    assert_eq!(settled(Some(&["0", "2"])), 2);
    // With an unknown ID, an empty one, or no answer, all messages stay.
    assert_eq!([settled(Some(&["7"])), settled(Some(&[""])), settled(None)], [3, 3, 3]);
}

/// Under faults, too, everything that a port has not rejected is durable.
#[tokio::test(start_paused = true)]
async fn what_is_not_refused_is_durable_whatever_goes_wrong() {
    for seed in 0..50 {
        let world = World::new(seed, true);
        let (queue, table, stream) = (queue(&world), TableModel::new(&world, "uplink"), StreamModel::new(&world, 2));
        let texts: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let item = |text| serde_dynamo::to_item(serde_json::json!({"device": "d", "uplink": text})).unwrap();
        let items: Vec<Item> = texts.iter().map(item).collect();
        let record = |text: &String| StreamRecord { partition_key: text.clone(), data: text.clone().into_bytes() };
        let records: Vec<StreamRecord> = texts.iter().map(record).collect();

        let unsent = queue.send(&texts, soon()).await;
        let unwritten = table.put(&items, soon()).await;
        let unput = stream.put(&records.iter().collect::<Vec<_>>(), soon()).await;

        let sent: BTreeSet<String> = queue.bodies().iter().map(ToString::to_string).collect();
        let written: BTreeSet<String> = table.items().into_keys().map(|(_, key)| key).collect();
        let put: BTreeSet<Vec<u8>> = stream.data().concat().into_iter().collect();
        for (position, text) in texts.iter().enumerate() {
            assert!(unsent.contains(&position) || sent.contains(text), "seed {seed}: {text} is not in the queue");
            assert!(unwritten.contains(&position) || written.contains(text), "seed {seed}: {text} is not in the table");
            assert!(
                unput.contains(&position) || put.contains(text.as_bytes()),
                "seed {seed}: {text} is not in the stream"
            );
        }
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}
