//! The pulse items of archived uplinks, by today's codecs.

use std::collections::BTreeMap;

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_model::pulse::{self, PulseError, PulseItem};
use pulsegate_model::uplink::{Kind, Uplink};
use tokio::time::Instant;

use super::reader::Archive;
use super::store::ObjectStore;
use crate::ports::{PulseReader, ReadError};

/// The items of one device's uplinks.
#[derive(Debug, Default)]
pub struct Decoded {
    /// By their key `uplink`.
    pub items: BTreeMap<String, PulseItem>,
    /// Uplinks that no codec reads, each with the reason.
    pub undecodable: Vec<(Uplink, PulseError)>,
}

impl Decoded {
    /// Decodes one device's uplinks, which are in order. Of an uplink that arrived in two kinds, the later in order counts
    /// if it decodes. Skips [`Kind::Event`]: there is nothing to decode.
    pub fn of(uplinks: Vec<Uplink>) -> Self {
        let mut decoded = Self::default();
        for uplink in uplinks.into_iter().filter(|uplink| uplink.kind != Kind::Event) {
            match pulse::decode(&uplink) {
                Ok(item) => {
                    decoded.items.insert(item.uplink.clone(), item);
                }
                Err(reason) => decoded.undecodable.push((uplink, reason)),
            }
        }
        decoded
    }
}

impl<S: ObjectStore + Sync> PulseReader for Archive<S> {
    async fn items(&self, device: DeviceId, from: At, to: At, deadline: Instant) -> Result<Vec<PulseItem>, ReadError> {
        let uplinks = self.uplinks(device, from, to, deadline).await;
        let uplinks = uplinks.map_err(|e| ReadError { what: "the archive".to_owned(), source: e.into() })?;
        Ok(Decoded::of(uplinks).items.into_values().collect())
    }
}
