//! Writes to tables of items, and the typed stores on top of them.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures_util::{StreamExt as _, stream};
use pulsegate_model::event::DeviceEvent;
use pulsegate_model::pulse::PulseItem;
use pulsegate_pipeline::ports::{Arrived, EventStore, PulseStore, Refused};
use tokio::time::Instant;

use crate::items::{self, Item, text};
use crate::resend::{Undone, all_undone, until_accepted};

/// The most items of one `BatchWriteItem`.
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>)
const MAX_BATCH: usize = 25;

/// Concurrent requests.
const CONCURRENCY: usize = 10;

/// Names of the sort key: in the tables of uplinks and pulses, and in the events table.
const SORT_KEYS: [&str; 2] = ["uplink", "event"];

/// A table whose items have the key `device` and `uplink`, or `device` and `event`.
pub trait Table {
    /// Puts every item, replacing one with the same key. Of several with the same key, keeps the last. Makes no request
    /// if there are none. Returns the positions of items that are not durable.
    fn put(&self, items: &[Item], deadline: Instant) -> impl Future<Output = Refused> + Send;
}

/// [`PulseStore`] in a table.
#[derive(Debug, Clone)]
pub struct PulseTable<T> {
    /// The table.
    pub table: T,
    /// The table may delete an item so many days after its arrival; never if 0.
    pub retention_days: u32,
}

/// [`EventStore`] in a table.
#[derive(Debug, Clone)]
pub struct EventTable<T> {
    /// The table.
    pub table: T,
    /// The table may delete an event so many days after its arrival.
    pub retention_days: u32,
}

impl<T: Table + Sync> PulseStore for PulseTable<T> {
    async fn put(&self, pulses: &[Arrived<PulseItem>], deadline: Instant) -> Refused {
        let item = |Arrived { value, arrived }: &_| items::expiring_pulse_item(value, *arrived, self.retention_days);
        self.table.put(&pulses.iter().map(item).collect::<Vec<_>>(), deadline).await
    }
}

impl<T: Table + Sync> EventStore for EventTable<T> {
    async fn put(&self, events: &[Arrived<DeviceEvent>], deadline: Instant) -> Refused {
        let item = |Arrived { value, arrived }: &_| items::event_item(value, *arrived, self.retention_days);
        self.table.put(&events.iter().map(item).collect::<Vec<_>>(), deadline).await
    }
}

type Attributes = HashMap<String, AttributeValue>;

/// A DynamoDB table with the string keys `device` and `uplink`, or `device` and `event`.
#[derive(Debug, Clone)]
pub struct DynamoTable {
    client: Client,
    name: String,
}

impl DynamoTable {
    /// The actions that the template must grant on the table.
    pub const ACTIONS: &[&str] = &["dynamodb:BatchWriteItem"];

    /// Writes to the table with this name.
    pub fn new(config: &aws_config::SdkConfig, name: impl Into<String>) -> Self {
        Self { client: Client::new(config), name: name.into() }
    }

    async fn request(&self, items: &[Item], pending: Vec<usize>) -> Undone {
        let puts = pending.iter().map(|&position| put(items[position].clone().into())).collect();
        match self.client.batch_write_item().request_items(&self.name, puts).send().await {
            Ok(answer) => {
                undone(answer.unprocessed_items.and_then(|mut by_table| by_table.remove(&self.name)), &pending, items)
            }
            Err(e) => all_undone(pending, &e),
        }
    }
}

impl Table for DynamoTable {
    async fn put(&self, items: &[Item], deadline: Instant) -> Refused {
        put_all(items, deadline, |pending| self.request(items, pending)).await
    }
}

/// Puts every item, in requests as large as DynamoDB allows. `request` puts the items at these positions; no two of
/// them have the same key.
pub async fn put_all<F>(items: &[Item], deadline: Instant, request: impl Fn(Vec<usize>) -> F) -> Refused
where
    F: Future<Output = Undone>,
{
    let groups = by_key(items);
    // Write only the last item of each group.
    let distinct: Vec<usize> = groups.iter().filter_map(|group| group.last().copied()).collect();
    let batches: Vec<Vec<usize>> = distinct.chunks(MAX_BATCH).map(<[_]>::to_vec).collect();
    let refused: Refused = stream::iter(batches)
        .map(|batch| until_accepted(batch, deadline, &request))
        .buffer_unordered(CONCURRENCY)
        .concat()
        .await;
    groups.into_iter().filter(|group| group.iter().any(|p| refused.contains(p))).flatten().collect()
}

#[expect(clippy::expect_used, reason = "the one required field is set right here")]
fn put(item: Attributes) -> WriteRequest {
    WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(item)).build().expect("an item")).build()
}

/// Returns the texts of an item's key.
fn key(item: &Item) -> [Option<&str>; 2] {
    [text(item, "device"), SORT_KEYS.iter().find_map(|name| text(item, name))]
}

/// Groups positions of items by key: DynamoDB rejects a whole batch that contains a key twice.
fn by_key(items: &[Item]) -> Vec<Vec<usize>> {
    let mut group_of: HashMap<[Option<&str>; 2], usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (position, item) in items.iter().enumerate() {
        let group = *group_of.entry(key(item)).or_insert(groups.len());
        match groups.get_mut(group) {
            Some(group) => group.push(position),
            None => groups.push(vec![position]),
        }
    }
    groups
}

/// Returns the positions of unprocessed items. If the response lists an item that was never sent, it cannot be trusted,
/// so everything is retried.
fn undone(unprocessed: Option<Vec<WriteRequest>>, pending: &[usize], items: &[Item]) -> Undone {
    let unprocessed = unprocessed.unwrap_or_default();
    let position = |request: &WriteRequest| {
        let item = Item::from(request.put_request.as_ref()?.item().clone());
        pending.iter().copied().find(|&position| key(&items[position]) == key(&item))
    };
    let positions: Option<Vec<usize>> = unprocessed.iter().map(position).collect();
    Undone { again: positions.unwrap_or_else(|| pending.to_vec()), ..Undone::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(device: &str, uplink: &str) -> Item {
        serde_dynamo::to_item(serde_json::json!({"device": device, "uplink": uplink})).unwrap()
    }

    #[test]
    fn what_came_back_unprocessed_is_found_by_its_key() {
        let items = [item("a", "1"), item("a", "2"), item("b", "1")];
        let answer = Some(vec![put(item("b", "1").into()), put(item("a", "2").into())]);
        assert_eq!(undone(answer, &[0, 1, 2], &items).again, [2, 1]);
        assert_eq!(undone(None, &[0, 1, 2], &items), Undone::default());
    }

    #[test]
    fn an_answer_about_an_item_that_was_never_sent_is_not_believed() {
        let items = [item("a", "1"), item("a", "2")];
        assert_eq!(undone(Some(vec![put(item("c", "3").into())]), &[0, 1], &items).again, [0, 1]);
    }

    #[test]
    fn items_with_one_key_are_one_write() {
        let items = [item("a", "1"), item("b", "1"), item("a", "1")];
        assert_eq!(by_key(&items), [vec![0, 2], vec![1]]);
    }
}
