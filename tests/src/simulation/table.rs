//! A model of DynamoDB's `BatchWriteItem`: writes, unprocessed items, and their cost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use pulsegate_aws::fakes::names_are_valid;
use pulsegate_aws::items::Item;
use pulsegate_aws::resend::Undone;
use pulsegate_aws::{Table, put_all};
use pulsegate_pipeline::ports::Refused;
use serde_dynamo::AttributeValue;
use tokio::time::Instant;

use super::faults::Fault;
use super::wire::{Wire, WireFaults};
use super::world::{World, lock};

/// Limits of a request and of an item.
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>)
const MAX_BATCH: usize = 25;
const MAX_ITEM: usize = 400 * 1024;

/// Bytes per write unit.
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>)
const UNIT: usize = 1024;

const FAULTS: WireFaults = WireFaults {
    refused: Fault::WriteThrottled,
    unanswered: Fault::WriteUnanswered,
    late: Fault::WriteLate,
    down: Fault::TableDown,
};

/// Partition key and sort key.
pub type Key = (String, String);

/// Contents of a table.
pub type Items = BTreeMap<Key, Arc<Item>>;

/// A table with the partition key `device` and a sort key.
#[derive(Debug, Clone)]
pub struct TableModel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    world: Arc<World>,
    wire: Wire,
    sort_key: &'static str,
    items: Mutex<Items>,
    units: AtomicUsize,
}

/// The items of a call, each with its key and its size in bytes.
pub type Puts = Arc<[(Key, usize, Arc<Item>)]>;

impl TableModel {
    /// Creates an empty table with this sort key.
    pub fn new(world: &Arc<World>, sort_key: &'static str) -> Self {
        let (world, wire) = (Arc::clone(world), Wire::new(world, FAULTS));
        Self(Arc::new(Inner { world, wire, sort_key, items: Mutex::default(), units: AtomicUsize::new(0) }))
    }

    /// Returns the contents.
    pub fn items(&self) -> Items {
        lock(&self.0.items).clone()
    }

    /// Returns the write units used so far.
    pub fn units(&self) -> usize {
        self.0.units.load(Ordering::Relaxed)
    }

    /// Converts items to the form that [`Self::request`] takes.
    pub fn puts(&self, items: &[Item]) -> Puts {
        let there = lock(&self.0.items);
        let text = |item: &Item, name| match item.inner().get(name) {
            Some(AttributeValue::S(text)) if !text.is_empty() => text.clone(),
            other => panic!("the key {name:?} of an item is {other:?}"),
        };
        let put = |item: &Item| {
            assert!(names_are_valid(item.inner().iter()), "{item:?}");
            let size = pulsegate_aws::items::item_size(item);
            assert!(size <= MAX_ITEM, "an item of {size} bytes");
            let key = (text(item, "device"), text(item, self.0.sort_key));
            // Most rewritten items are unchanged; sharing them saves memory.
            let same = there.get(&key).filter(|there| ***there == *item).cloned();
            (key, size, same.unwrap_or_else(|| Arc::new(item.clone())))
        };
        items.iter().map(put).collect()
    }

    /// Puts the items at these positions in one `BatchWriteItem`. Returns the unprocessed positions, or `None` if it
    /// fails.
    pub async fn request(&self, puts: &Puts, pending: Vec<usize>) -> Option<Vec<usize>> {
        let keys: BTreeSet<&Key> = pending.iter().map(|&position| &puts[position].0).collect();
        assert!(pending.len() <= MAX_BATCH && keys.len() == pending.len(), "DynamoDB rejects such a batch");
        let (this, puts) = (Arc::clone(&self.0), Arc::clone(puts));
        self.0.wire.carry(move || this.write(&puts, pending)).await
    }
}

impl Inner {
    fn write(&self, puts: &Puts, pending: Vec<usize>) -> Vec<usize> {
        let partly = self.world.is_due(Fault::ItemsUnprocessed);
        let (unprocessed, written): (Vec<usize>, Vec<usize>) =
            pending.into_iter().partition(|_| partly && self.world.coin());
        if !unprocessed.is_empty() {
            self.world.faults.happened(Fault::ItemsUnprocessed, 1);
        }
        let mut items = lock(&self.items);
        for position in &written {
            let (key, size, item) = &puts[*position];
            self.units.fetch_add(size.div_ceil(UNIT), Ordering::Relaxed);
            items.insert(key.clone(), Arc::clone(item));
        }
        self.world.happened(self.sort_key, written.len());
        unprocessed
    }
}

impl Table for TableModel {
    async fn put(&self, items: &[Item], deadline: Instant) -> Refused {
        let puts = self.puts(items);
        let request = |pending: Vec<usize>| async {
            let all = pending.clone();
            Undone { again: self.request(&puts, pending).await.unwrap_or(all), ..Undone::default() }
        };
        put_all(items, deadline, request).await
    }
}
