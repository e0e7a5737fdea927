use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::archive::file;
use crate::archive::place::PartitionBits;
use crate::archive::row;
use crate::archive::settle::Settle;
use crate::archive::store::{Condition, Page, Put};
use crate::archive::tests::{block, crowded, put, soon};
use crate::fakes::FakeObjects;
use crate::ports::Refused;

async fn all<S: ObjectStore>(archive: &Archive<S>, from: At, to: At, chunk: usize) -> Vec<Uplink> {
    let scan = archive.scan(from, to, soon()).await.unwrap();
    let mut all = Vec::new();
    for place in scan.places() {
        let mut uplinks = scan.open(place, soon()).await.unwrap();
        loop {
            let some = uplinks.next_chunk(chunk).unwrap();
            assert!(some.len() <= chunk && some.iter().all(|uplink| archive.bits.place(uplink) == place));
            if some.is_empty() {
                break;
            }
            all.extend(some);
        }
        assert_eq!(uplinks.next_uplink().unwrap(), None);
    }
    all
}

/// The valid uplinks of the span, by place and in order.
fn expected(uplinks: &[Uplink], bits: &PartitionBits, from: At, to: At) -> Vec<Uplink> {
    let mut places: BTreeMap<Place, BTreeSet<Row>> = BTreeMap::new();
    for uplink in uplinks.iter().filter(|uplink| (from..=to).contains(&uplink.at)) {
        places.entry(bits.place(uplink)).or_default().insert(uplink.into());
    }
    places.into_values().flat_map(row::valid).map(|row| row.uplink().unwrap()).collect()
}

fn uplink(device: u32, at: &str, payload: &str) -> Uplink {
    let text = format!(
        r#"{{"device":"sigfox:{device:X}","kind":"data","at":"{at}","time_source":"network","profile":"p",
        "payload":"{payload}"}}"#
    );
    serde_json::from_str(&text).unwrap()
}

/// Settles before the nth request.
struct Settled<'a> {
    store: &'a FakeObjects,
    bits: PartitionBits,
    before: usize,
    requests: AtomicUsize,
}

impl Settled<'_> {
    async fn request(&self) {
        if self.requests.fetch_add(1, Ordering::Relaxed) == self.before {
            Settle { store: self.store, bits: &self.bits, stop: soon(), deadline: soon() }.run().await.unwrap();
        }
    }
}

impl ObjectStore for Settled<'_> {
    async fn list(&self, prefix: &str, after: Option<&str>, deadline: Instant) -> Result<Page, StoreError> {
        self.request().await;
        self.store.list(prefix, after, deadline).await
    }

    async fn get(&self, request: Get<'_>, deadline: Instant) -> Result<Got, StoreError> {
        self.request().await;
        self.store.get(request, deadline).await
    }

    async fn put(&self, _: &str, _: Bytes, _: Condition<'_>, _: Instant) -> Result<Put, StoreError> {
        unreachable!("a scan writes nothing")
    }

    async fn delete(&self, _: &[String], _: Instant) -> Refused {
        unreachable!("a scan deletes nothing")
    }
}

proptest! {
    #[test]
    fn a_scan_has_each_key_of_the_span_once_settled_or_not(
        uplinks in vec(crowded(), 1..60),
        settled in 0..60_usize,
        (from, to) in (1_795_100_000..1_900_300_000_i64, 0..300_000_i64),
        chunk in 1..20_usize,
        before in 0..40_usize,
    ) {
        let span = (At::from_unix(from).unwrap(), At::from_unix(from + to).unwrap());
        let bits: PartitionBits = "1970-01-01=0,2030-01-01=2".parse().unwrap();
        let (first, second) = uplinks.split_at(settled.min(uplinks.len()));
        for (from, to) in [span, (At::EPOCH, At::MAX)] {
            let store = FakeObjects::of_pages(4);
            let read = block(async {
                put(&store, first).await;
                Settle { store: &store, bits: &bits, stop: soon(), deadline: soon() }.run().await.unwrap();
                for batch in second.chunks(7) {
                    put(&store, batch).await;
                }
                let store = Settled { store: &store, bits: bits.clone(), before, requests: AtomicUsize::new(0) };
                all(&Archive { store, bits: bits.clone() }, from, to, chunk).await
            });
            prop_assert_eq!(read, expected(&uplinks, &bits, from, to));
        }
    }
}

#[test]
fn a_scan_that_settle_overtakes_at_any_request_misses_nothing() {
    let uplinks: Vec<Uplink> = (0..24)
        .map(|n| uplink(n % 3 + 1, &format!("2026-11-{:02}T{:02}:00:00Z", 19 + n % 4, n), &format!("{n:02x}")))
        .collect();
    let bits: PartitionBits = "2026-11-21=2".parse().unwrap();
    for before in 0.. {
        let fake = FakeObjects::of_pages(2);
        let store = Settled { store: &fake, bits: bits.clone(), before, requests: AtomicUsize::new(0) };
        let archive = Archive { store, bits: bits.clone() };
        let read = block(async {
            for batch in uplinks.chunks(5) {
                put(&fake, batch).await;
            }
            all(&archive, At::EPOCH, At::MAX, 100).await
        });
        assert_eq!(read, expected(&uplinks, &bits, At::EPOCH, At::MAX), "settled before request {before}");
        if archive.store.requests.into_inner() <= before {
            assert!(before > 10, "it made {before} requests only");
            return;
        }
    }
}

#[test]
fn a_span_lists_the_files_of_its_days_and_of_no_date() {
    let days = ["1970-01-01", "2026-11-19", "2026-11-20", "2026-11-21", "2026-11-22"];
    let bits = PartitionBits::default();
    let store = FakeObjects::of_pages(2);
    for day in days {
        let uplink = uplink(1, &format!("{day}T12:00:00Z"), "46");
        let content = file::union(None, vec![Row::from(&uplink)]).unwrap();
        store.set(&bits.place(&uplink).to_string(), content);
    }
    store.set("day/2026-11-20/notes.txt", "noise");
    let archive = Archive { store, bits };
    let places = |from: &str, to: &str| -> Vec<String> {
        let scan = block(archive.scan(from.parse().unwrap(), to.parse().unwrap(), soon())).unwrap();
        scan.places().map(|place| place.day.to_string()).collect()
    };
    assert_eq!(places("2026-11-20T23:00:00Z", "2026-11-21T00:00:00Z"), ["2026-11-20", "2026-11-21", "odd"]);
    assert_eq!(places("1970-01-01T00:00:00Z", "2026-11-19T00:00:00Z"), ["2026-11-19", "odd"]);
    assert_eq!(places("2026-11-23T00:00:00Z", "9999-11-19T00:00:00Z"), ["odd"]);
}
