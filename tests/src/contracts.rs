//! What every port promises, whatever is behind it. Run over the fakes and over the real adapters, so that a fake that
//! other tests trust cannot promise more than AWS keeps.

use std::time::Duration;

use shared::ports::{Item, Queue, Secret, Stream, StreamRecord, Table, Unfinished, Watermark, Watermarks};
use tokio::time::Instant;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn item(uplink: usize, text: &str) -> Item {
    let value = serde_json::json!({"device": "contract", "uplink": format!("{uplink:05}"), "text": text});
    serde_dynamo::to_item(value).unwrap_or_else(|e| panic!("{e}"))
}

/// Everything put is there; put again it is still there once; more than one request holds is no matter, and neither is
/// the same key twice, of which the last stays. `all` reads the table's items of the device `contract`.
pub async fn a_table_keeps_every_item_once<F: Future<Output = Vec<Item>>>(table: &impl Table, all: impl Fn() -> F) {
    assert!(table.put(&[], soon()).await.is_empty());
    let mut items: Vec<Item> = (0..60).map(|n| item(n, "first")).collect();
    items.push(item(7, "second"));
    for _ in 0..2 {
        assert!(table.put(&items, soon()).await.is_empty());
        let stored = all().await;
        assert_eq!(stored.len(), 60);
        assert!(stored.contains(&item(7, "second")) && stored.contains(&item(59, "first")));
    }
}

/// Every message sent is there, whole, however many there are. `all` takes what is in the queue.
pub async fn a_queue_keeps_every_message<F: Future<Output = Vec<String>>>(queue: &impl Queue, all: impl Fn() -> F) {
    assert!(queue.send(&[], soon()).await.is_empty());
    // Some of the size of a full envelope, and the characters that services like to stumble over.
    let mut bodies: Vec<String> = (0..23).map(|n| format!("{n} \u{e9}\u{1F6B0}\t\n\"<&>")).collect();
    bodies.push("x".repeat(shared::envelope::MAX_BYTES));
    assert!(queue.send(&bodies, soon()).await.is_empty());
    let mut received = all().await;
    received.sort();
    bodies.sort();
    assert_eq!(received, bodies);
}

/// Every record put is there. `all` reads the data of the stream's records.
pub async fn a_stream_keeps_every_record<F: Future<Output = Vec<Vec<u8>>>>(stream: &impl Stream, all: impl Fn() -> F) {
    assert!(stream.put(&[], soon()).await.is_empty());
    let record = |n: u32| StreamRecord { partition_key: format!("device-{n}"), data: n.to_be_bytes().to_vec() };
    let records: Vec<StreamRecord> = (0..1_001).map(record).collect();
    assert!(stream.put(&records.iter().collect::<Vec<_>>(), soon()).await.is_empty());
    let mut received = all().await;
    received.sort();
    assert_eq!(received, records.into_iter().map(|record| record.data).collect::<Vec<_>>());
}

/// A watermark is read as it was set last, unfinished pass and all, and none is there before it is set.
pub async fn watermarks_are_read_as_they_were_set(watermarks: &impl Watermarks) {
    assert_eq!(watermarks.get("one", soon()).await.unwrap(), None);
    let unfinished = Watermark { since: 7, unfinished: Some(Unfinished { before: 1_795_176_000_123, offset: 200 }) };
    let finished = Watermark { since: 1_795_176_000_123, unfinished: None };
    for watermark in [unfinished, finished] {
        watermarks.set("one", &watermark, soon()).await.unwrap();
        watermarks.set("another", &unfinished, soon()).await.unwrap();
        assert_eq!(watermarks.get("one", soon()).await.unwrap(), Some(watermark));
    }
    assert_eq!(watermarks.get("another", soon()).await.unwrap(), Some(unfinished));
}

/// Both the text that is valid and the one before it, and none that was before that. `put` makes another text the current
/// one, `forget` makes the one before it invalid.
pub async fn a_secret_has_the_current_and_the_previous_text<F: Future<Output = ()>, G: Future<Output = ()>>(
    secret: &impl Secret,
    put: impl Fn(&'static str) -> F,
    forget: impl Fn() -> G,
) {
    let versions = async || secret.versions().await.unwrap_or_else(|e| panic!("{e}"));
    put("first").await;
    assert_eq!(versions().await, ["first"]);
    put("second").await;
    assert_eq!(versions().await, ["second", "first"]);
    put("third").await;
    assert_eq!(versions().await, ["third", "second"]);
    forget().await;
    assert_eq!(versions().await, ["third"]);
}
