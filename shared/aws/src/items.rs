//! DynamoDB's items: what each table holds, as `docs/data-model.md` describes it. No other crate knows these types' layout.
//!
//! An item is a function of the value alone, so writing it again changes nothing.

use pulsegate_model::event::DeviceEvent;
use pulsegate_model::pulse::PulseItem;
use serde::Serialize;

mod event;
mod raw;
mod size;

pub use raw::{RawItemError, raw_item, uplink_of};
pub use size::item_size;

/// An item of a table: names and values, in the database's types.
pub type Item = serde_dynamo::Item;

/// The item of the events table. It may be deleted so many days after the event's own time.
pub fn event_item(event: &DeviceEvent, retention_days: u32) -> Item {
    to_item(&event::EventItem::new(event, retention_days))
}

/// The item of the pulses table.
pub fn pulse_item(item: &PulseItem) -> Item {
    to_item(item)
}

/// The item of a value, by its serialized form.
#[expect(clippy::expect_used, reason = "items are structs of texts, numbers and bytes, which a table always holds")]
pub(crate) fn to_item(value: &impl Serialize) -> Item {
    serde_dynamo::to_item(value).expect("an item is a struct")
}

/// The text of an attribute, if it is one.
pub(crate) fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    match item.inner().get(name)? {
        serde_dynamo::AttributeValue::S(text) => Some(text),
        _ => None,
    }
}
