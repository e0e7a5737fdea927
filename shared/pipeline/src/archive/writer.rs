//! Writes batches of uplinks: one object for each.

use tokio::time::Instant;

use super::object;
use super::store::{Condition, ObjectStore};
use super::tombstones;
use crate::ports::{RawStore, ReadError, Refused};
use crate::tombstones::Tombstones;
use pulsegate_model::uplink::Uplink;

/// The archive, to add uplinks to. A batch is stored as a whole or not at all.
#[derive(Debug, Clone)]
pub struct ArchiveWriter<S> {
    /// The object store.
    pub store: S,
}

impl<S: ObjectStore + Sync> RawStore for ArchiveWriter<S> {
    async fn erased(&self, deadline: Instant) -> Result<Tombstones, ReadError> {
        let loaded = tombstones::load(&self.store, deadline).await;
        loaded.map_err(|error| ReadError { what: "the object of erased devices".to_owned(), source: error.source })
    }

    async fn put(&self, uplinks: &[Uplink], deadline: Instant) -> Refused {
        let (Some(_), all) = (uplinks.first(), || (0..uplinks.len()).collect()) else { return Refused::new() };
        let object = match object::encode(uplinks) {
            Ok(object) => object,
            Err(error) => {
                tracing::error!(reason = %error, "a batch cannot be encoded");
                return all();
            }
        };
        match self.store.put(&object.key, object.content, Condition::Always, deadline).await {
            Ok(_) => Refused::new(),
            Err(error) => {
                tracing::warn!(reason = %error, cause = %error.source, "a batch is not stored");
                all()
            }
        }
    }
}
