//! In-memory implementation of [`Downlinks`].

use std::collections::BTreeMap;
use std::sync::Mutex;

use pulsegate_model::device::DeviceId;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::lock;
use crate::downlink::{
    Downlink, DownlinkAdmin, DownlinkAnswer, DownlinkId, DownlinkOutcome, Downlinks, Entry, Unavailable,
};

/// A table of downlinks that keeps its items, or is down.
#[derive(Debug, Default)]
pub struct FakeDownlinks {
    items: Mutex<Items>,
    down: bool,
}

type Items = BTreeMap<(String, String), Value>;

impl FakeDownlinks {
    /// Every call fails.
    pub fn down() -> Self {
        Self { down: true, ..Self::default() }
    }

    /// A table with these downlinks.
    pub fn holding(downlinks: impl IntoIterator<Item = Downlink>) -> Self {
        let fake = Self::default();
        for downlink in downlinks {
            fake.put(json!(downlink));
        }
        fake
    }

    /// Puts any item, as an operator may who edits the table by hand.
    pub fn put(&self, item: Value) {
        lock(&self.items).insert((text(&item, "device"), text(&item, "downlink")), item);
    }

    /// The items, in the order of their keys.
    pub fn items(&self) -> Vec<Value> {
        lock(&self.items).values().cloned().collect()
    }

    fn access<T>(&self, deadline: Instant, answer: impl FnOnce(&mut Items) -> T) -> Result<T, Unavailable> {
        if self.down || Instant::now() >= deadline {
            return Err(Unavailable::new("down"));
        }
        Ok(answer(&mut lock(&self.items)))
    }
}

impl Downlinks for FakeDownlinks {
    async fn of_device(&self, device: DeviceId, deadline: Instant) -> Result<Vec<Entry>, Unavailable> {
        let device = device.to_string();
        let of_device = |items: &mut Items| {
            items.values().filter(|item| text(item, "device") == device).cloned().map(Entry::read).collect()
        };
        self.access(deadline, of_device)
    }

    async fn answer_with(&self, answer: &DownlinkAnswer, deadline: Instant) -> Result<bool, Unavailable> {
        self.access(deadline, |items| {
            let marker = (answer.downlink.device.to_string(), answer.marker.clone());
            let as_it_was = items
                .get(&key(&answer.downlink))
                .is_some_and(|item| text(item, "data") == answer.downlink.data.as_str() && item["uplink"].is_null());
            if items.contains_key(&marker) || !as_it_was {
                return false;
            }
            let DownlinkAnswer { downlink, expires_at, .. } = answer;
            let item =
                json!({"device": marker.0, "downlink": marker.1, "answer": downlink.id, "expires_at": expires_at});
            items.insert(marker, item);
            let changes = json!({"uplink": answer.uplink, "expires_at": answer.expires_at});
            change(items, &answer.downlink, &changes);
            true
        })
    }

    async fn close(&self, outcome: &DownlinkOutcome, deadline: Instant) -> Result<(), Unavailable> {
        self.access(deadline, |items| {
            let open = items.get(&key(&outcome.downlink)).is_some_and(|item| item["code"].is_null());
            if open {
                let DownlinkOutcome { code, message, told_at, .. } = outcome;
                change(items, &outcome.downlink, &json!({"code": code, "message": message, "told_at": told_at}));
            }
        })
    }
}

impl DownlinkAdmin for FakeDownlinks {
    async fn all(&self, deadline: Instant) -> Result<Vec<Entry>, Unavailable> {
        self.access(deadline, |items| items.values().cloned().map(Entry::read).collect())
    }

    async fn add(&self, downlink: &Downlink, deadline: Instant) -> Result<bool, Unavailable> {
        self.access(deadline, |items| {
            let is_new = !items.contains_key(&key(downlink));
            if is_new {
                items.insert(key(downlink), json!(downlink));
            }
            is_new
        })
    }

    async fn cancel(&self, device: DeviceId, id: &DownlinkId, deadline: Instant) -> Result<bool, Unavailable> {
        self.access(deadline, |items| {
            let key = (device.to_string(), id.to_string());
            let waits = items.get(&key).is_some_and(|item| item["uplink"].is_null());
            waits && items.remove(&key).is_some()
        })
    }
}

fn key(downlink: &Downlink) -> (String, String) {
    (downlink.device.to_string(), downlink.id.to_string())
}

fn change(items: &mut Items, downlink: &Downlink, changes: &Value) {
    let (Some(item), Some(changes)) = (items.get_mut(&key(downlink)), changes.as_object()) else { return };
    for (name, value) in changes {
        item[name] = value.clone();
    }
}

/// Returns a key attribute. The real table also refuses an item without one.
fn text(item: &Value, name: &str) -> String {
    match item[name].as_str() {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => panic!("the key {name:?} of an item is {}", item[name]),
    }
}
