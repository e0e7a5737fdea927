//! The DynamoDB items of each table, as `docs/data-model.md` describes them. No other crate knows their layout.
//!
//! An item depends only on its value and on the arrival of its record, so writing a record again is idempotent. The
//! arrival is in no attribute but `expires_at`.

use pulsegate_model::at::At;
use pulsegate_model::event::DeviceEvent;
use pulsegate_model::pulse::PulseItem;
use serde::Serialize;

mod event;
mod size;

pub use size::item_size;

/// An item of a table: names and values, in the types of DynamoDB.
pub type Item = serde_dynamo::Item;

/// Builds the item of the events table. The table may delete it so many days after its arrival.
pub fn event_item(event: &DeviceEvent, arrived: At, retention_days: u32) -> Item {
    to_item(&event::EventItem::new(event, arrived, retention_days))
}

/// Builds the item of the pulses table.
pub fn pulse_item(item: &PulseItem) -> Item {
    to_item(item)
}

/// Builds the item of the pulses table. The table may delete it so many days after its arrival; never if 0.
pub fn expiring_pulse_item(item: &PulseItem, arrived: At, retention_days: u32) -> Item {
    if retention_days == 0 {
        return pulse_item(item);
    }
    let mut attributes = pulse_item(item).into_inner();
    let expires_at = arrived.expires_at(retention_days).to_string();
    attributes.insert("expires_at".to_owned(), serde_dynamo::AttributeValue::N(expires_at));
    attributes.into()
}

/// Builds the item of a value from its serialized form.
#[expect(clippy::expect_used, reason = "items are structs of texts and numbers, which a table always holds")]
pub(crate) fn to_item(value: &impl Serialize) -> Item {
    serde_dynamo::to_item(value).expect("an item is a struct")
}

/// Returns the text of an attribute; `None` if it is absent or not a string.
pub(crate) fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    match item.inner().get(name)? {
        serde_dynamo::AttributeValue::S(text) => Some(text),
        _ => None,
    }
}
