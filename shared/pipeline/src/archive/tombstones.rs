//! The tombstones of an archive: the object [`ERASED`], changed by compare-and-swap.

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use super::store::{Condition, ETag, Get, Got, ObjectStore, Put, StoreError};
use crate::tombstones::{ERASED, TombstoneError, Tombstones};

/// Reads the tombstones. An archive without the object has none.
///
/// # Errors
/// [`StoreError`] if they cannot be read. The caller must store nothing then: it could be of an erased device.
pub async fn load(store: &impl ObjectStore, deadline: Instant) -> Result<Tombstones, StoreError> {
    Ok(current(store, deadline).await?.0)
}

/// Adds the tombstone of a device, and returns its time: that of an earlier one, if there is one already.
///
/// # Errors
/// [`StoreError`]; the tombstone may have been added.
pub async fn bury(store: &impl ObjectStore, device: DeviceId, now: At, deadline: Instant) -> Result<At, StoreError> {
    loop {
        let (mut tombstones, version) = current(store, deadline).await?;
        if let Some(erased) = tombstones.of(device) {
            return Ok(erased);
        }
        tombstones.add(device, now);
        let condition = version.as_ref().map_or(Condition::Absent, Condition::Version);
        if let Put::Done(_) = store.put(ERASED, tombstones.content(), condition, deadline).await? {
            return Ok(now);
        }
    }
}

async fn current(store: &impl ObjectStore, deadline: Instant) -> Result<(Tombstones, Option<ETag>), StoreError> {
    let Got::Object(object) = store.get(Get::whole(ERASED), deadline).await? else { return Ok(Default::default()) };
    let failed = |error: TombstoneError| StoreError { what: "read the tombstones".to_owned(), source: error.into() };
    Ok((Tombstones::parse(&object.content).map_err(failed)?, Some(object.etag)))
}
