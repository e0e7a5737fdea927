//! What already went through, and is asked for again: for those who send quarantined records again, or decode history again.

use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Item, Refused};
use crate::at::At;
use crate::device::DeviceId;

/// What can be received of a queue at once, at most.
pub const MAX_RECEIVED: usize = 100;

/// What is asked for in one go, at most, of a table by keys.
pub const MAX_KEYS: usize = 1_000;

/// A queue whose messages somebody takes. A message that was received is held: nobody else receives it until it is given
/// back, or the time for which it is held is over. It is gone only once it is deleted.
pub trait Inbox {
    /// Some of the messages that nobody holds, in any order, at most [`MAX_RECEIVED`], each held for so long from now
    /// on. None may mean that there are none, or that it is to be asked again.
    fn receive(
        &self,
        hold: Duration,
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<Received>, ReadError>> + Send;

    /// Gives back what was received, by its handles, for whoever receives next. The answer tells positions of what is
    /// not, which comes back by itself when its time is over.
    fn give_back(&self, handles: &[String], deadline: Instant) -> impl Future<Output = Refused> + Send;

    /// Deletes what was received, by its handles. The answer tells positions of what may still be there.
    fn delete(&self, handles: &[String], deadline: Instant) -> impl Future<Output = Refused> + Send;
}

/// A message, held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The same whenever it is received.
    pub id: String,
    /// This time's, to delete it by or to give it back.
    pub handle: String,
    /// When it was sent, by the queue's clock: milliseconds since 1970.
    pub sent: u64,
    /// What was sent.
    pub body: String,
}

/// A table with the keys `device` and `uplink` that is read from one end to the other.
pub trait Pages {
    /// The next items of a part, behind a key or from the beginning: those of so many that fit the part's time, so it may
    /// be that there are none, and that there is a next page all the same. Items of one device come one after the other,
    /// by `uplink`. Asks again what is refused for the moment, until the deadline.
    fn page(
        &self,
        part: &Part,
        after: Option<&Key>,
        limit: usize,
        deadline: Instant,
    ) -> impl Future<Output = Result<Page, ReadError>> + Send;
}

/// A table with the keys `device` and `uplink` that is asked for items by their keys.
pub trait Lookup {
    /// The items with these keys, those that there are, in any order. No key twice, and at most [`MAX_KEYS`]; no key, no
    /// request. All of them or an error: what the table leaves undone is asked for again until the deadline.
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

/// A part of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Whose items.
    pub whose: Whose,
    /// From this time on, which is in it.
    pub from: Option<At>,
    /// Until this time, which is not.
    pub to: Option<At>,
}

/// Whose items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those of one device.
    Device(DeviceId),
    /// Of the parts into which the devices are divided, one. All of them together are the table.
    Segment {
        /// Which, from 0.
        number: u32,
        /// Of how many.
        of: u32,
    },
}

/// Items that follow each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// In their order.
    pub items: Vec<Item>,
    /// The last key that was looked at, if there may be more behind it.
    pub next: Option<Key>,
    /// The read units that it took, if the table tells.
    pub units: Option<f64>,
}

/// Items that were asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Those that there are.
    pub items: Vec<Item>,
    /// The read units that it took, if the table tells.
    pub units: Option<f64>,
}

/// A queue or a table cannot be read, for now or at all.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot be read")]
pub struct ReadError {
    /// Which.
    pub what: String,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl Key {
    /// The key of an item, if it has one.
    pub fn of(item: &Item) -> Option<Self> {
        let text = |name| match item.inner().get(name) {
            Some(serde_dynamo::AttributeValue::S(text)) => Some(text.clone()),
            _ => None,
        };
        Some(Self { device: text("device")?, uplink: text("uplink")? })
    }
}
