//! Ports of the function on the stream: a table of limited write capacity, and a queue that drops its messages.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pulsegate_aws::Table;
use pulsegate_aws::items::{Item, item_size};
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::ports::{Queue, RawStore, Refused};
use tokio::time::{Instant, sleep_until};

use super::found_uplinks::FoundUplinks;
use crate::load::sigfox::lock;
use crate::meters::Fleet;

/// Bytes of a write unit (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>).
const UNIT: usize = 1_024;

/// Items of a `BatchWriteItem` (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>).
const BATCH: usize = 25;

/// Unused capacity expires after this time, so that a late timer does not throttle.
const SLACK: Duration = Duration::from_millis(50);

/// A table that stores only the session of each item, so that millions fit into memory.
pub(super) struct RawTable {
    fleet: Arc<Fleet>,
    /// Units a second.
    capacity: u32,
    /// Time until which the capacity is used up.
    used: Mutex<Option<Instant>>,
    contents: Arc<TableContents>,
}

/// Content of the table.
#[derive(Debug)]
pub(super) struct TableContents {
    /// Items, by session.
    pub(super) items: Mutex<FoundUplinks>,
    /// Number of writes, repetitions included.
    pub(super) written: AtomicU64,
    /// Write units of these.
    pub(super) units: AtomicU64,
}

impl TableContents {
    /// Empty.
    pub(super) fn none(fleet: &Fleet) -> Self {
        Self { items: Mutex::new(FoundUplinks::none(fleet)), written: AtomicU64::new(0), units: AtomicU64::new(0) }
    }
}

impl RawTable {
    /// An empty table.
    pub(super) fn new(fleet: Arc<Fleet>, capacity: u32, contents: Arc<TableContents>) -> Self {
        Self { fleet, capacity: capacity.max(1), used: Mutex::new(None), contents }
    }

    /// Content of the table.
    pub(super) fn contents(&self) -> &TableContents {
        &self.contents
    }

    /// Reserves write units and returns when they may be written; `None`, without a reservation, if that is too late.
    fn reserve(&self, units: usize, deadline: Instant) -> Option<Instant> {
        let mut used = lock(&self.used);
        let earliest = Instant::now().checked_sub(SLACK).unwrap_or_else(Instant::now);
        let begin = used.map_or(earliest, |used| used.max(earliest));
        if begin >= deadline {
            return None;
        }
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        *used = Some(begin + Duration::from_secs(1) * units / self.capacity);
        Some(begin)
    }

    fn keep(&self, item: &Item) {
        let mut items = lock(&self.contents.items);
        match pulsegate_aws::items::uplink_of(item.clone()) {
            Ok(uplink) => items.take(&uplink, &self.fleet),
            Err(_) => items.unreadable += 1,
        }
    }
}

impl Table for RawTable {
    /// Writes in order and, like the real table, refuses what does not fit into the time: the last items.
    async fn put(&self, items: &[Item], deadline: Instant) -> Refused {
        for (nth, batch) in items.chunks(BATCH).enumerate() {
            let units: usize = batch.iter().map(|item| item_size(item).div_ceil(UNIT)).sum();
            let Some(begin) = self.reserve(units, deadline) else {
                sleep_until(deadline).await;
                return (nth * BATCH..items.len()).collect();
            };
            sleep_until(begin).await;
            for item in batch {
                self.keep(item);
            }
            self.contents.written.fetch_add(batch.len() as u64, Ordering::Relaxed);
            self.contents.units.fetch_add(units as u64, Ordering::Relaxed);
        }
        Refused::new()
    }
}

impl RawStore for RawTable {
    async fn put(&self, uplinks: &[Uplink], deadline: Instant) -> Refused {
        let item = |uplink: &Uplink| pulsegate_aws::items::raw_item(uplink, uplink.at, 400);
        Table::put(self, &uplinks.iter().map(item).collect::<Vec<_>>(), deadline).await
    }
}

/// A queue that drops its messages.
pub(super) struct NullQueue;

impl Queue for NullQueue {
    async fn send(&self, _: &[String], _: Instant) -> Refused {
        Refused::new()
    }
}
