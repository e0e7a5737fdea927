//! [`PulseReader`] on the pulses table.

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_model::pulse::PulseItem;
use pulsegate_pipeline::ports::{PulseReader, ReadError};
use tokio::time::Instant;

use crate::items::Item;
use crate::table_reader::{Pages, Part, Scope};

/// Items of one request. DynamoDB ends a page after 1 MB, some thousand items.
const PAGE: usize = 1_000;

/// Reads the pulses table. An item may be missing for about a second after it was written, as with every read of
/// [`Pages`].
#[derive(Debug, Clone)]
pub struct PulseTableReader<P> {
    /// The table.
    pub table: P,
}

impl<P: Pages + Sync> PulseReader for PulseTableReader<P> {
    async fn items(&self, device: DeviceId, from: At, to: At, deadline: Instant) -> Result<Vec<PulseItem>, ReadError> {
        // DynamoDB rejects such a range of keys.
        if from > to {
            return Ok(Vec::new());
        }
        // A part excludes its end. Behind the last time there is none.
        let part = Part { scope: Scope::Device(device), from: Some(from), to: to.checked_add(1) };
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let page = self.table.page(&part, after.as_ref(), PAGE, deadline).await?;
            for item in page.items {
                items.push(pulse(device, item)?);
            }
            after = page.next;
            if after.is_none() {
                return Ok(items);
            }
        }
    }
}

/// Attributes of the table only, such as `expires_at`, are ignored.
fn pulse(device: DeviceId, item: Item) -> Result<PulseItem, ReadError> {
    let failed =
        |source: serde_dynamo::Error| ReadError { what: format!("a pulse item of {device}"), source: source.into() };
    serde_dynamo::from_item(item).map_err(failed)
}
