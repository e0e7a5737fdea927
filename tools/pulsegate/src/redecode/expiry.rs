//! The expiry of pulse items: an attribute of the table, which is no part of the comparison.

use pulsegate_aws::items::Item;
use pulsegate_model::at::At;
use serde_dynamo::AttributeValue;

const ATTRIBUTE: &str = "expires_at";

/// The retention of new items.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expiry {
    /// Days; 0 is for ever.
    pub(super) days: u32,
    /// The beginning of the run.
    pub(super) now: At,
}

/// An item that would have expired already.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expired;

impl Expiry {
    /// The expiry of the item of an uplink of this time. The arrival is not in the archive; an uplink of a clock that is
    /// not set has no time, and counts from the beginning of the run, rather too late than too soon.
    pub(super) fn of_new(self, time: Option<At>) -> Result<Option<AttributeValue>, Expired> {
        if self.days == 0 {
            return Ok(None);
        }
        let expires_at = time.unwrap_or(self.now).expires_at(self.days);
        if expires_at <= self.now.unix() { Err(Expired) } else { Ok(Some(AttributeValue::N(expires_at.to_string()))) }
    }
}

/// An item without its expiry, and the expiry.
pub(super) fn without(item: Item) -> (Item, Option<AttributeValue>) {
    let mut attributes = item.into_inner();
    let expires_at = attributes.remove(ATTRIBUTE);
    (attributes.into(), expires_at)
}

/// An item with this expiry.
pub(super) fn with(item: Item, expires_at: Option<AttributeValue>) -> Item {
    let Some(expires_at) = expires_at else { return item };
    let mut attributes = item.into_inner();
    attributes.insert(ATTRIBUTE.to_owned(), expires_at);
    attributes.into()
}
