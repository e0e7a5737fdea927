//! Contract tests of the ports. They run with the fakes and with the real adapters, so that no fake promises more than
//! AWS keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pulsegate_aws::items::Item;
use pulsegate_aws::{Key, Lookup, Pages, Part, Scope, Table};
use pulsegate_model::aggregate::StreamRecord;
use pulsegate_model::at::At;
use pulsegate_model::pulse::{self, PulseItem};
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::downlink;
use pulsegate_pipeline::downlink::{Downlink, DownlinkAdmin, DownlinkAnswer, DownlinkOutcome, Entry, Timeliness};
use pulsegate_pipeline::ports::{
    PulseReader, Queue, ReceiveQueue, Received, Secret, Stream, Unfinished, Watermark, Watermarks,
};
use tokio::time::Instant;

mod objects;

pub use objects::an_object_store_keeps_its_promises;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn item(uplink: usize, text: &str) -> Item {
    let value = serde_json::json!({"device": "contract", "uplink": format!("{uplink:05}"), "text": text});
    serde_dynamo::to_item(value).unwrap_or_else(|e| panic!("{e}"))
}

/// A table stores every item once, however often it is put and however many requests that takes. Of two items with one
/// key the last stays. `all` reads the table's items of the device `contract`.
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

/// A queue stores every message unchanged, however many there are. `all` takes the messages out of the queue.
pub async fn a_queue_keeps_every_message<F: Future<Output = Vec<String>>>(queue: &impl Queue, all: impl Fn() -> F) {
    assert!(queue.send(&[], soon()).await.is_empty());
    // One has the size of a full envelope; the others have characters that services often handle wrongly.
    let mut bodies: Vec<String> = (0..23).map(|n| format!("{n} \u{e9}\u{1F6B0}\t\n\"<&>")).collect();
    bodies.push("x".repeat(pulsegate_model::envelope::MAX_BYTES));
    assert!(queue.send(&bodies, soon()).await.is_empty());
    let mut received = all().await;
    received.sort();
    bodies.sort();
    assert_eq!(received, bodies);
}

/// A received message is held: it is received again only after it was given back, and never after it was deleted.
/// `inbox` receives from `queue`. The queue is empty at the start.
pub async fn a_message_is_held_until_it_is_given_back_or_deleted(queue: &impl Queue, inbox: &impl ReceiveQueue) {
    const HOLD: Duration = Duration::from_mins(5);
    let all = async || {
        let (mut all, mut nothing): (Vec<Received>, u32) = (Vec::new(), 0);
        while nothing < 2 {
            let some = inbox.receive(HOLD, soon()).await.unwrap();
            nothing += u32::from(some.is_empty());
            all.extend(some);
        }
        all
    };
    let ids = |messages: &[Received]| messages.iter().map(|message| message.id.clone()).collect::<BTreeSet<_>>();
    let handles = |messages: &[Received]| messages.iter().map(|message| message.handle.clone()).collect::<Vec<_>>();
    assert!(inbox.give_back(&[], soon()).await.is_empty() && inbox.delete(&[], soon()).await.is_empty());

    let bodies: BTreeSet<String> = (0..123).map(|n| format!("message {n}")).collect();
    assert!(queue.send(&bodies.iter().cloned().collect::<Vec<_>>(), soon()).await.is_empty());
    let held = all().await;
    assert_eq!((held.len(), ids(&held).len()), (123, 123), "each once, for all of them are held");
    assert_eq!(held.iter().map(|message| message.body.clone()).collect::<BTreeSet<_>>(), bodies);
    assert!(held.iter().all(|message| message.sent > 1_700_000_000_000), "milliseconds since 1970");

    assert!(inbox.give_back(&handles(&held[..40]), soon()).await.is_empty());
    let again = all().await;
    assert_eq!(ids(&again), ids(&held[..40]), "the same IDs");
    assert!(inbox.delete(&handles(&again[..30]), soon()).await.is_empty());
    assert!(inbox.give_back(&handles(&again[30..]), soon()).await.is_empty());
    assert!(inbox.delete(&handles(&held[40..]), soon()).await.is_empty());
    let left = all().await;
    assert_eq!(ids(&left), ids(&again[30..]));
    assert!(inbox.delete(&handles(&left), soon()).await.is_empty());
    assert!(all().await.is_empty());
}

/// The parts together are the table, each item once, whatever the page size. A time span includes its start and
/// excludes its end. A lookup returns the items that exist. The table is empty at the start.
pub async fn a_table_is_read_in_parts_and_by_keys(table: &impl Table, pages: &impl Pages, lookup: &impl Lookup) {
    const DEVICES: u32 = 20;
    let key = |device: u32, hour: u32| Key {
        device: format!("sigfox:{device:X}"),
        uplink: format!("2026-11-{:02}T{:02}:00:00Z#-#data", 1 + hour / 24, hour % 24),
    };
    let keys: BTreeSet<Key> = (0..DEVICES * 30).map(|n| key(n % DEVICES, n / DEVICES)).collect();
    let items: Vec<Item> = keys.iter().map(|key| serde_dynamo::to_item(key).unwrap()).collect();
    assert!(table.put(&items, soon()).await.is_empty());

    let read = async |part: Part, limit| {
        let (mut read, mut after): (Vec<Key>, Option<Key>) = (Vec::new(), None);
        loop {
            let page = pages.page(&part, after.as_ref(), limit, soon()).await.unwrap();
            assert!(page.items.len() <= limit && page.units.is_none_or(|units| units > 0.0));
            read.extend(page.items.iter().filter_map(Key::of));
            after = page.next;
            if after.is_none() {
                return read;
            }
        }
    };
    let from = "2026-11-01T10:00:00Z".parse().ok();
    let to = "2026-11-01T12:00:00Z".parse().ok();
    for (from, to, hours) in [(None, None, 0..30), (from, None, 10..30), (None, to, 0..12), (from, to, 10..12)] {
        let expected: BTreeSet<Key> = hours.clone().flat_map(|hour| (0..DEVICES).map(move |d| key(d, hour))).collect();
        for (of, limit) in [(1, 7), (3, 100), (5, 1_000)] {
            let mut all = Vec::new();
            for number in 0..of {
                let part = read(Part { scope: Scope::Segment { number, of }, from, to }, limit).await;
                assert!(part.windows(2).all(|two| two[0].device != two[1].device || two[0] < two[1]), "by uplink");
                all.extend(part);
            }
            assert_eq!(all.len(), expected.len(), "each once");
            assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expected);
        }
        let one = read(Part { scope: Scope::Device("sigfox:7".parse().unwrap()), from, to }, 4).await;
        assert_eq!(one, hours.map(|hour| key(7, hour)).collect::<Vec<_>>());
    }

    assert!(lookup.get(&[], soon()).await.unwrap().items.is_empty());
    let absent = (100..500).map(|device| key(device, 0));
    let asked: Vec<Key> = keys.iter().cloned().chain(absent).collect();
    let found = lookup.get(&asked, soon()).await.unwrap();
    assert_eq!(found.items.len(), keys.len());
    assert_eq!(found.items.iter().filter_map(Key::of).collect::<BTreeSet<_>>(), keys);
}

/// Uplinks of two devices over three days: in two kinds, with a clock that is not set, and one that no codec reads.
pub fn uplinks_to_read() -> Vec<Uplink> {
    let uplink = |device: &str, at: &str, sequence: Option<u32>, more: serde_json::Value| -> Uplink {
        let mut uplink = serde_json::json!({
            "device": device, "at": at, "sequence": sequence, "kind": "data", "time_source": "network",
            "profile": "adeunis-pulse-v4", "payload": "46800000009f00000002",
        });
        uplink.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(uplink).unwrap()
    };
    let nothing = || serde_json::json!({});
    vec![
        uplink("sigfox:1", "2026-11-19T23:59:59Z", Some(7), nothing()),
        uplink("sigfox:1", "2026-11-20T00:00:00Z", None, nothing()),
        uplink("sigfox:1", "2026-11-20T00:00:00Z", Some(8), nothing()),
        uplink("sigfox:1", "2026-11-20T00:00:00Z", Some(8), serde_json::json!({"kind": "data-advanced"})),
        uplink("sigfox:1", "2026-11-20T00:00:00Z", Some(8), serde_json::json!({"time_source": "unset"})),
        uplink("sigfox:1", "2026-11-20T12:00:00Z", Some(99_999), nothing()),
        uplink("sigfox:1", "2026-11-20T12:00:00Z", Some(100_000), nothing()),
        uplink("sigfox:1", "2026-11-20T13:00:00Z", Some(10), serde_json::json!({"payload": "ff"})),
        uplink("sigfox:1", "2026-11-20T23:59:59Z", Some(11), serde_json::json!({"payload": "46800000019f00000003"})),
        uplink("sigfox:1", "2026-11-21T00:00:00Z", Some(12), nothing()),
        uplink("sigfox:1", "1970-01-01T00:00:37Z", Some(13), serde_json::json!({"time_source": "unset"})),
        uplink("sigfox:10", "2026-11-20T12:00:00Z", Some(1), nothing()),
    ]
}

/// A reader returns the items of a device and a span, both ends included, each key once and sorted. `reader` has the
/// [`uplinks_to_read`].
pub async fn a_reader_has_the_items_of_a_device_and_a_span(reader: &impl PulseReader) {
    let at = |text: &str| -> At { text.parse().unwrap() };
    let spans = [
        (At::EPOCH, At::MAX),
        (at("2026-11-20T00:00:00Z"), at("2026-11-20T23:59:59Z")),
        (at("2026-11-20T00:00:01Z"), at("2026-11-20T12:00:00Z")),
        (at("2026-11-20T12:00:00Z"), at("2026-11-21T00:00:00Z")),
        (at("2026-11-20T12:00:01Z"), at("2026-11-20T23:59:58Z")),
        (At::EPOCH, at("2026-11-19T23:59:58Z")),
        (At::MAX, At::MAX),
        (At::MAX, At::EPOCH),
    ];
    let mut found = 0;
    for device in ["sigfox:1", "sigfox:10", "sigfox:2"].map(|id| id.parse().unwrap()) {
        for (from, to) in spans {
            let uplinks = uplinks_to_read().into_iter();
            let uplinks = uplinks.filter(|uplink| uplink.device == device && (from..=to).contains(&uplink.at));
            let items = uplinks.filter_map(|uplink| pulse::decode(&uplink).ok());
            let expected: BTreeMap<String, PulseItem> = items.map(|item| (item.uplink.clone(), item)).collect();
            found += expected.len();
            let items = reader.items(device, from, to, soon()).await.unwrap();
            assert_eq!(items, expected.into_values().collect::<Vec<_>>(), "{device} {from} {to}");
        }
    }
    assert!(found > 25, "{found}");
}

/// A stream stores every record that was put. `all` reads the data of the stream's records.
pub async fn a_stream_keeps_every_record<F: Future<Output = Vec<Vec<u8>>>>(stream: &impl Stream, all: impl Fn() -> F) {
    assert!(stream.put(&[], soon()).await.is_empty());
    let record = |n: u32| StreamRecord { partition_key: format!("device-{n}"), data: n.to_be_bytes().to_vec() };
    let records: Vec<StreamRecord> = (0..1_001).map(record).collect();
    assert!(stream.put(&records.iter().collect::<Vec<_>>(), soon()).await.is_empty());
    let mut received = all().await;
    received.sort();
    assert_eq!(received, records.into_iter().map(|record| record.data).collect::<Vec<_>>());
}

/// Records with one key keep the order in which they were put, one request each. `all` reads the data of the stream's
/// records, in the order of their shard.
pub async fn records_of_a_key_keep_their_order<F: Future<Output = Vec<Vec<u8>>>>(
    stream: &impl Stream,
    all: impl Fn() -> F,
) {
    let records: Vec<StreamRecord> = (0..20)
        .map(|n| StreamRecord { partition_key: "one key".to_owned(), data: format!("in order: {n:02}").into_bytes() })
        .collect();
    for record in &records {
        assert!(stream.put(&[record], soon()).await.is_empty());
    }
    let received: Vec<Vec<u8>> = all().await.into_iter().filter(|data| data.starts_with(b"in order")).collect();
    assert_eq!(received, records.into_iter().map(|record| record.data).collect::<Vec<_>>());
}

/// The consumer of a queue.
pub trait Consumer {
    /// The handle of a received message, to delete it.
    type Receipt;

    /// Receives some messages with their handles; returns at once if there are none.
    fn receive(&self) -> impl Future<Output = Vec<(Self::Receipt, String)>>;

    /// Deletes one message.
    fn delete(&self, receipt: Self::Receipt) -> impl Future<Output = ()>;

    /// Waits longer than the visibility time-out.
    fn wait(&self) -> impl Future<Output = ()>;
}

/// A received message is invisible for a while and is then received again, until it is deleted. The queue is empty at
/// the start.
pub async fn a_message_comes_again_until_it_is_deleted(queue: &impl Queue, consumer: &impl Consumer) {
    assert!(queue.send(&["again".to_owned()], soon()).await.is_empty());
    let mut times = 0;
    while times < 2 {
        let received = consumer.receive().await;
        assert!(received.len() <= 1);
        let Some((_, body)) = received.into_iter().next() else { continue };
        assert_eq!(body, "again");
        assert!(consumer.receive().await.is_empty(), "it is invisible");
        times += 1;
        consumer.wait().await;
    }
    for (receipt, _) in consumer.receive().await {
        consumer.delete(receipt).await;
    }
    consumer.wait().await;
    assert!(consumer.receive().await.is_empty(), "it is gone");
}

/// A watermark is read as it was set last, with its unfinished pass; before it is set there is none.
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

/// A secret has its current and its previous version, and no older one. `put` makes another text the current version,
/// `forget` invalidates the previous one.
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

/// A downlink answers one uplink, and an uplink is answered by one downlink. What is stored of either stays. The table
/// is empty at the start.
pub async fn downlinks_and_uplinks_belong_to_each_other_once(table: &impl DownlinkAdmin) {
    let [first, second, third] = ["1", "2", "3"].map(waiting);
    for downlink in [&first, &second, &third] {
        assert!(table.add(downlink, soon()).await.unwrap());
        assert!(!table.add(downlink, soon()).await.unwrap(), "one is there already");
    }
    let done = async |downlink, uplink| table.answer_with(&answer(downlink, uplink), soon()).await.unwrap();
    assert!(done(&first, "12:00:00Z#00001").await);
    assert!(!done(&first, "12:00:00Z#00001").await, "a second time");
    assert!(!done(&first, "13:00:00Z#00002").await, "an answer already");
    assert!(!done(&second, "12:00:00Z#00001").await, "the uplink has one");
    let other = Downlink { data: "ffffffffffffffff".parse().unwrap(), ..second.clone() };
    assert!(!done(&other, "13:00:00Z#00002").await, "no longer what was read");

    let cancel = async |downlink: &Downlink| table.cancel(downlink.device, &downlink.id, soon()).await.unwrap();
    assert!(!cancel(&first).await, "an answer");
    assert!(cancel(&third).await);
    assert!(!cancel(&third).await, "gone");
    assert!(!done(&third, "13:00:00Z#00002").await, "gone");

    for (code, message) in [(3, "first word"), (0, "second word")] {
        table.close(&outcome(&first, code, message), soon()).await.unwrap();
        table.close(&outcome(&third, code, message), soon()).await.unwrap();
    }
    let items = table.of_device(first.device, soon()).await.unwrap();
    let outcome = outcome(&first, 3, "first word");
    let closed = Downlink {
        uplink: Some("2026-11-20T12:00:00Z#00001".to_owned()),
        expires_at: Some(1),
        code: Some(outcome.code),
        message: Some(outcome.message),
        told_at: Some(outcome.told_at),
        ..first
    };
    assert_eq!(items.len(), 3, "and the mark of the uplink");
    let left: Vec<Downlink> = items
        .into_iter()
        .filter_map(|entry| if let Entry::Downlink(downlink) = entry { Some(downlink) } else { None })
        .collect();
    assert_eq!(left, [closed, second]);
    assert_eq!(table.all(soon()).await.unwrap().len(), 3);
}

/// Two concurrent requests for each of two uplinks: an uplink gets the same bytes twice, and the two uplinks get
/// different bytes. The device has no downlinks at the start.
pub async fn requests_at_once_share_nothing_but_their_uplink(table: &impl DownlinkAdmin) {
    let device = "sigfox:CAFE".parse().unwrap();
    for n in 0..3 {
        let data = format!("{n:016x}").parse().unwrap();
        assert!(table.add(&Downlink { device, data, ..waiting(&n.to_string()) }, soon()).await.unwrap());
    }
    let uplink = |at: &str| {
        let uplink = serde_json::from_value::<Uplink>(serde_json::json!({
            "device": device, "kind": "data", "at": at, "time_source": "network", "profile": "p", "payload": "",
        }));
        uplink.unwrap().key()
    };
    let [a, b] = ["2026-11-20T12:00:00Z", "2026-11-20T12:00:01Z"].map(uplink);
    let ask =
        async |uplink| downlink::answer(table, uplink, Timeliness::InTime, At::EPOCH, soon()).await.unwrap().unwrap();
    let (a1, b1, a2, b2) = tokio::join!(ask(&a), ask(&b), ask(&a), ask(&b));
    assert!(a1 == a2 && b1 == b2 && a1 != b1, "{a1:?} {a2:?} {b1:?} {b2:?}");
}

/// All downlinks of a device are read, however many pages they fill. The table has no other entries of that device.
pub async fn a_device_has_all_its_downlinks(table: &impl DownlinkAdmin) {
    let device = "sigfox:F00D".parse().unwrap();
    // A page ends after 1 MB.
    for n in 0..6 {
        let message = Some("x".repeat(200_000));
        assert!(table.add(&Downlink { device, message, ..waiting(&n.to_string()) }, soon()).await.unwrap());
    }
    assert_eq!(table.of_device(device, soon()).await.unwrap().len(), 6);
    assert_eq!(table.of_device("sigfox:BEEF".parse().unwrap(), soon()).await.unwrap().len(), 0);
}

fn waiting(name: &str) -> Downlink {
    let id = format!("5#2026-11-20T09:00:00Z#{name}").parse().unwrap();
    Downlink::pending("sigfox:1A2345".parse().unwrap(), id, "00000000000000fF".parse().unwrap(), None)
}

fn answer(downlink: &Downlink, uplink: &str) -> DownlinkAnswer {
    let uplink = format!("2026-11-20T{uplink}");
    DownlinkAnswer { downlink: downlink.clone(), marker: format!("answered#{uplink}"), uplink, expires_at: 1 }
}

fn outcome(downlink: &Downlink, code: u32, message: &str) -> DownlinkOutcome {
    let told_at = "2026-11-20T12:00:30Z".parse().unwrap();
    DownlinkOutcome { downlink: downlink.clone(), code, message: message.to_owned(), told_at }
}
