//! In-memory typed stores.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use pulsegate_model::event::DeviceEvent;
use pulsegate_model::pulse::PulseItem;
use pulsegate_model::uplink::Uplink;
use tokio::time::{Instant, sleep_until};

use super::lock;
use crate::ports::{Arrived, EventStore, PulseStore, RawStore, Refused};

/// A store that keeps its values by key, refuses those of some devices, or is down.
#[derive(Debug)]
pub struct FakeStore<T> {
    values: Mutex<BTreeMap<(String, String), T>>,
    refused_devices: BTreeSet<String>,
    down: bool,
}

impl<T> Default for FakeStore<T> {
    fn default() -> Self {
        Self { values: Mutex::default(), refused_devices: BTreeSet::new(), down: false }
    }
}

impl<T: Clone> FakeStore<T> {
    /// Refuses everything.
    pub fn down() -> Self {
        Self { down: true, ..Self::default() }
    }

    /// Refuses the values of these devices.
    pub fn refusing<'a>(devices: impl IntoIterator<Item = &'a str>) -> Self {
        Self { refused_devices: devices.into_iter().map(str::to_owned).collect(), ..Self::default() }
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        lock(&self.values).len()
    }

    /// Returns `true` if the store is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> Vec<T> {
        lock(&self.values).values().cloned().collect()
    }

    async fn put(&self, values: &[T], key: impl Fn(&T) -> (String, String), deadline: Instant) -> Refused {
        let mut refused = Refused::new();
        for (position, value) in values.iter().enumerate() {
            let key = key(value);
            if self.down || self.refused_devices.contains(&key.0) {
                refused.insert(position);
            } else {
                lock(&self.values).insert(key, value.clone());
            }
        }
        if !refused.is_empty() {
            // A real store also waits: it retries refused values until the deadline.
            sleep_until(deadline).await;
        }
        refused
    }
}

impl RawStore for FakeStore<Uplink> {
    async fn put(&self, uplinks: &[Uplink], deadline: Instant) -> Refused {
        let key = |uplink: &Uplink| (uplink.device.to_string(), format!("{}#{}", uplink.key(), uplink.kind));
        self.put(uplinks, key, deadline).await
    }
}

impl PulseStore for FakeStore<Arrived<PulseItem>> {
    async fn put(&self, items: &[Arrived<PulseItem>], deadline: Instant) -> Refused {
        self.put(items, |Arrived { value, .. }| (value.device.to_string(), value.uplink.clone()), deadline).await
    }
}

impl EventStore for FakeStore<Arrived<DeviceEvent>> {
    async fn put(&self, events: &[Arrived<DeviceEvent>], deadline: Instant) -> Refused {
        self.put(events, |Arrived { value, .. }| (value.source.to_string(), value.key()), deadline).await
    }
}
