//! Reads from tables of items: pages of a whole table, and items by key.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::query::{QueryError, QueryOutput};
use aws_sdk_dynamodb::operation::scan::{ScanError, ScanOutput};
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity, KeysAndAttributes, ReturnConsumedCapacity};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::ports::ReadError;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::downlink::text;
use crate::items::{self, Item};
use crate::resend::{FIRST_PAUSE, until_answered, wait};

/// The most keys of one lookup.
pub const MAX_KEYS: usize = 1_000;

/// A table with the keys `device` and `uplink` that is read page by page.
pub trait Pages {
    /// Returns the next page of a part, after a key or from the beginning. Reads up to `limit` items and returns those
    /// in the part's time range, so a page may be empty although another one follows. Items of one device are adjacent,
    /// sorted by `uplink`. Retries transient refusals until the deadline.
    fn page(
        &self,
        part: &Part,
        after: Option<&Key>,
        limit: usize,
        deadline: Instant,
    ) -> impl Future<Output = Result<Page, ReadError>> + Send;
}

/// A table with the keys `device` and `uplink` that looks up items by key.
pub trait Lookup {
    /// Returns the existing items with these keys, in any order. The keys must be distinct, at most [`MAX_KEYS`]; makes
    /// no request if there are none. Returns an error unless all keys were looked up: retries unprocessed keys until
    /// the deadline.
    fn get(&self, keys: &[Key], deadline: Instant) -> impl Future<Output = Result<Found, ReadError>> + Send;
}

/// The key of an item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The partition key.
    pub device: String,
    /// The sort key.
    pub uplink: String,
}

/// A part of a table: a scope and a time range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The devices whose items are read.
    pub scope: Scope,
    /// Start of the time range, inclusive.
    pub from: Option<At>,
    /// End of the time range, exclusive.
    pub to: Option<At>,
}

/// The devices whose items are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One device.
    Device(DeviceId),
    /// One of the segments into which the devices are divided. All segments together are the table.
    Segment {
        /// The number of the segment, from 0.
        number: u32,
        /// The number of segments.
        of: u32,
    },
}

/// A page of adjacent items.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The items, in order.
    pub items: Vec<Item>,
    /// The last key that was read, if more items may follow.
    pub next: Option<Key>,
    /// The consumed read units, if the table reports them.
    pub units: Option<f64>,
}

/// The result of a lookup.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The existing items.
    pub items: Vec<Item>,
    /// The consumed read units, if the table reports them.
    pub units: Option<f64>,
}

impl Key {
    /// Returns the key of an item; `None` if it has none.
    pub fn of(item: &Item) -> Option<Self> {
        Some(Self { device: items::text(item, "device")?.to_owned(), uplink: items::text(item, "uplink")?.to_owned() })
    }
}

/// The most keys of one `BatchGetItem`.
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>)
const MAX_BATCH: usize = 100;

/// Concurrent requests.
const CONCURRENCY: usize = 10;

type Attributes = HashMap<String, AttributeValue>;

/// A DynamoDB table with the string keys `device` and `uplink`, to read from. Uses eventually consistent reads, which
/// cost half: an item may be missing for about a second after it was written.
#[derive(Debug, Clone)]
pub struct DynamoReader {
    client: Client,
    name: String,
}

impl DynamoReader {
    /// The actions to grant on the table: the first two for pages, the last for lookups.
    pub const ACTIONS: &[&str] = &["dynamodb:Query", "dynamodb:Scan", "dynamodb:BatchGetItem"];

    /// Reads the table with this name.
    pub fn new(config: &aws_config::SdkConfig, name: impl Into<String>) -> Self {
        Self { client: Client::new(config), name: name.into() }
    }

    async fn query(
        &self,
        device: DeviceId,
        (part, after, limit): (&Part, Option<Attributes>, i32),
    ) -> Result<QueryOutput, SdkError<QueryError>> {
        let time = match (part.from, part.to) {
            (None, None) => "",
            (Some(_), None) => " AND #uplink >= :from",
            (None, Some(_)) => " AND #uplink < :to",
            // The key of an uplink is longer than its time, so the end is exclusive.
            (Some(_), Some(_)) => " AND #uplink BETWEEN :from AND :to",
        };
        let request = self.client.query().table_name(&self.name).limit(limit).set_exclusive_start_key(after);
        let request = request
            .key_condition_expression(format!("#device = :device{time}"))
            .expression_attribute_names("#device", "device")
            .set_expression_attribute_values(times(part))
            .expression_attribute_values(":device", text(&device))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let request = if time.is_empty() { request } else { request.expression_attribute_names("#uplink", "uplink") };
        request.send().await
    }

    async fn scan(
        &self,
        (segment, segments): (u32, u32),
        (part, after, limit): (&Part, Option<Attributes>, i32),
    ) -> Result<ScanOutput, SdkError<ScanError>> {
        let conditions = [part.from.map(|_| "#uplink >= :from"), part.to.map(|_| "#uplink < :to")];
        let conditions: Vec<&str> = conditions.into_iter().flatten().collect();
        let request = self.client.scan().table_name(&self.name).limit(limit).set_exclusive_start_key(after);
        let request = request
            .segment(i32::try_from(segment).unwrap_or(i32::MAX))
            .total_segments(i32::try_from(segments).unwrap_or(i32::MAX))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        if conditions.is_empty() {
            return request.send().await;
        }
        let request = request.filter_expression(conditions.join(" AND "));
        let request = request.expression_attribute_names("#uplink", "uplink");
        request.set_expression_attribute_values(times(part)).send().await
    }

    /// Looks up these keys, at most as many as one request allows.
    async fn batch(&self, mut keys: Vec<Attributes>, deadline: Instant) -> Result<Found, ReadError> {
        let mut found = Found::default();
        let mut pause = FIRST_PAUSE;
        loop {
            let asked = KeysAndAttributes::builder().set_keys(Some(keys)).build();
            let asked = asked.map_err(|e| self.unread(e.into()))?;
            let answer = until_answered(deadline, || {
                let request = self.client.batch_get_item().request_items(&self.name, asked.clone());
                request.return_consumed_capacity(ReturnConsumedCapacity::Total).send()
            });
            let answer = answer.await.map_err(|source| self.unread(source))?;
            let items = answer.responses.and_then(|mut by_table| by_table.remove(&self.name)).unwrap_or_default();
            found.items.extend(items.into_iter().map(Item::from));
            found.units = sum(found.units, units(answer.consumed_capacity.iter().flatten()));
            let undone = answer.unprocessed_keys.and_then(|mut by_table| by_table.remove(&self.name));
            keys = undone.map(|undone| undone.keys).unwrap_or_default();
            if keys.is_empty() {
                return Ok(found);
            }
            if Instant::now() + pause >= deadline {
                return Err(self.unread("keys were still unprocessed at the deadline".into()));
            }
            wait(&mut pause).await;
        }
    }

    fn unread(&self, source: Box<dyn std::error::Error + Send + Sync>) -> ReadError {
        ReadError { what: format!("the table {}", self.name), source }
    }
}

impl Pages for DynamoReader {
    async fn page(&self, part: &Part, after: Option<&Key>, limit: usize, deadline: Instant) -> Result<Page, ReadError> {
        let what = (part, after.map(attributes), i32::try_from(limit).unwrap_or(i32::MAX));
        let page = match part.scope {
            Scope::Device(device) => {
                let answer = until_answered(deadline, || self.query(device, what.clone())).await;
                answer.map(|a| page(a.items, a.last_evaluated_key, a.consumed_capacity.as_ref()))
            }
            Scope::Segment { number, of } => {
                let answer = until_answered(deadline, || self.scan((number, of), what.clone())).await;
                answer.map(|a| page(a.items, a.last_evaluated_key, a.consumed_capacity.as_ref()))
            }
        };
        page.map_err(|source| self.unread(source))
    }
}

impl Lookup for DynamoReader {
    async fn get(&self, keys: &[Key], deadline: Instant) -> Result<Found, ReadError> {
        let batches: Vec<Vec<Attributes>> =
            keys.chunks(MAX_BATCH).map(|batch| batch.iter().map(attributes).collect()).collect();
        let found = stream::iter(batches).map(|batch| self.batch(batch, deadline)).buffer_unordered(CONCURRENCY);
        found
            .try_fold(Found::default(), async |mut all, found| {
                all.items.extend(found.items);
                all.units = sum(all.units, found.units);
                Ok(all)
            })
            .await
    }
}

fn times(part: &Part) -> Option<Attributes> {
    let times = [(":from", part.from), (":to", part.to)];
    let times = times.into_iter().filter_map(|(name, time)| Some((name.to_owned(), text(&time?))));
    Some(times.collect::<Attributes>()).filter(|times| !times.is_empty())
}

fn attributes(key: &Key) -> Attributes {
    [("device", &key.device), ("uplink", &key.uplink)].map(|(name, value)| (name.to_owned(), text(value))).into()
}

fn page(items: Option<Vec<Attributes>>, last: Option<Attributes>, consumed: Option<&ConsumedCapacity>) -> Page {
    Page {
        items: items.unwrap_or_default().into_iter().map(Item::from).collect(),
        next: last.filter(|last| !last.is_empty()).map(Item::from).as_ref().and_then(Key::of),
        units: units(consumed.into_iter()),
    }
}

fn units<'a>(consumed: impl Iterator<Item = &'a ConsumedCapacity>) -> Option<f64> {
    consumed.fold(None, |all, consumed| sum(all, consumed.capacity_units))
}

fn sum(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    if a.is_none() && b.is_none() { None } else { Some(a.unwrap_or_default() + b.unwrap_or_default()) }
}
