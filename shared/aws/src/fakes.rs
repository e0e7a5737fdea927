//! In-memory tables of items for tests, which can be set to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use pulsegate_pipeline::fakes::{Mortal, lock};
use pulsegate_pipeline::ports::{ReadError, Refused};
use tokio::time::{Instant, sleep_until};

use crate::items::Item;
use crate::{Found, Key, Lookup, MAX_KEYS, Page, Pages, Part, Scope, Table};

/// A table that keeps its items, refuses those of some devices, or is down.
#[derive(Debug, Default)]
pub struct FakeTable {
    items: Mutex<BTreeMap<(String, String), Item>>,
    refused_devices: BTreeSet<String>,
    down: bool,
}

impl FakeTable {
    /// Refuses everything.
    pub fn down() -> Self {
        Self { down: true, ..Self::default() }
    }

    /// Refuses the items of these devices.
    pub fn refusing<'a>(devices: impl IntoIterator<Item = &'a str>) -> Self {
        Self { refused_devices: devices.into_iter().map(str::to_owned).collect(), ..Self::default() }
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        lock(&self.items).len()
    }

    /// Returns `true` if the table is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items, in the order of their keys.
    pub fn items(&self) -> Vec<Item> {
        lock(&self.items).values().cloned().collect()
    }
}

impl Table for FakeTable {
    async fn put(&self, items: &[Item], deadline: Instant) -> Refused {
        let mut refused = Refused::new();
        for (position, item) in items.iter().enumerate() {
            let sort_key = if item.inner().contains_key("event") { "event" } else { "uplink" };
            let key = (text(item, "device"), text(item, sort_key));
            if self.down || self.refused_devices.contains(&key.0) || !names_are_valid(item.inner().iter()) {
                refused.insert(position);
            } else {
                lock(&self.items).insert(key, item.clone());
            }
        }
        if !refused.is_empty() {
            // A real table also waits: it retries refused items until the deadline.
            sleep_until(deadline).await;
        }
        refused
    }
}

/// DynamoDB rejects an attribute without a name at any depth.
pub fn names_are_valid<'a>(
    mut attributes: impl Iterator<Item = (&'a String, &'a serde_dynamo::AttributeValue)>,
) -> bool {
    attributes.all(|(name, value)| {
        let inner = match value {
            serde_dynamo::AttributeValue::M(inner) => names_are_valid(inner.iter()),
            _ => true,
        };
        !name.is_empty() && inner
    })
}

/// Returns a key attribute. The real table also refuses an item without one.
fn text(item: &Item, name: &str) -> String {
    match item.inner().get(name) {
        Some(serde_dynamo::AttributeValue::S(text)) if !text.is_empty() => text.clone(),
        other => panic!("the key {name:?} of an item is {other:?}"),
    }
}

impl Pages for FakeTable {
    async fn page(&self, part: &Part, after: Option<&Key>, limit: usize, _: Instant) -> Result<Page, ReadError> {
        if self.down {
            return Err(down("the table"));
        }
        let within = |key: &(String, String)| match part.scope {
            Scope::Device(device) => key.0 == device.to_string(),
            Scope::Segment { number, of } => key.0.bytes().map(u32::from).sum::<u32>() % of == number,
        };
        let behind =
            |key: &(String, String)| after.is_none_or(|after| (&after.device, &after.uplink) < (&key.0, &key.1));
        let items = lock(&self.items);
        let looked_at: Vec<_> = items.iter().filter(|(key, _)| within(key) && behind(key)).take(limit).collect();
        let next = looked_at.last().filter(|_| looked_at.len() == limit);
        let next = next.map(|(key, _)| Key { device: key.0.clone(), uplink: key.1.clone() });
        let in_time = |uplink: &str| {
            part.from.is_none_or(|from| *uplink >= *from.to_string())
                && part.to.is_none_or(|to| *uplink < *to.to_string())
        };
        let items = looked_at.into_iter().filter(|((_, uplink), _)| in_time(uplink)).map(|(_, item)| item.clone());
        Ok(Page { items: items.collect(), next, units: None })
    }
}

impl Lookup for FakeTable {
    async fn get(&self, keys: &[Key], _: Instant) -> Result<Found, ReadError> {
        if self.down {
            return Err(down("the table"));
        }
        assert!(keys.len() <= MAX_KEYS, "{} keys at once", keys.len());
        let distinct: std::collections::BTreeSet<&Key> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len(), "duplicate key");
        let items = lock(&self.items);
        let find = |key: &Key| items.get(&(key.device.clone(), key.uplink.clone())).cloned();
        Ok(Found { items: keys.iter().filter_map(find).collect(), units: None })
    }
}

impl FakeTable {
    /// A table with these items.
    pub fn of(items: impl IntoIterator<Item = Item>) -> Self {
        let key = |item: &Item| (text(item, "device"), text(item, "uplink"));
        let items = items.into_iter().map(|item| (key(&item), item)).collect();
        Self { items: Mutex::new(items), ..Self::default() }
    }
}

impl<P: Table + Sync> Table for Mortal<'_, P> {
    async fn put(&self, items: &[Item], deadline: Instant) -> Refused {
        self.call(self.port.put(items, deadline)).await
    }
}

impl<P: Pages + Sync> Pages for Mortal<'_, P> {
    async fn page(&self, part: &Part, after: Option<&Key>, limit: usize, deadline: Instant) -> Result<Page, ReadError> {
        self.call(self.port.page(part, after, limit, deadline)).await
    }
}

impl<P: Lookup + Sync> Lookup for Mortal<'_, P> {
    async fn get(&self, keys: &[Key], deadline: Instant) -> Result<Found, ReadError> {
        self.call(self.port.get(keys, deadline)).await
    }
}

fn down(what: &str) -> ReadError {
    ReadError { what: what.to_owned(), source: "down on purpose".into() }
}
