//! Reads a file of reports device by device.

use pulsegate_model::day::Report;
use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use super::file::ReadColumns;
use super::key_of;
use crate::archive::place::Place;
use crate::archive::store::{ETag, ObjectStore};
use crate::archive::stream::{DeviceStream, SourceError};

/// A file of reports, of one version from the first byte to the last. It takes some two megabytes of memory, whatever its
/// size.
pub struct ReportsSource {
    stream: DeviceStream<ReadColumns>,
}

impl ReportsSource {
    /// Opens the file of a place; `None` if there is none.
    ///
    /// # Errors
    /// [`SourceError::Archive`].
    pub async fn open(store: &impl ObjectStore, place: Place, deadline: Instant) -> Result<Option<Self>, SourceError> {
        let stream = DeviceStream::open(store, key_of(place), deadline).await?;
        Ok(stream.map(|stream| Self { stream }))
    }

    /// The version of the file.
    pub fn etag(&self) -> &ETag {
        self.stream.etag()
    }

    /// The next device in order, of which all reports are in memory then; `None` after the last. Without a call of
    /// [`take`](Self::take) it stays the next.
    ///
    /// # Errors
    /// [`SourceError`]; after one, the file has to be opened again.
    pub async fn next_device(
        &mut self,
        store: &impl ObjectStore,
        deadline: Instant,
    ) -> Result<Option<DeviceId>, SourceError> {
        self.stream.next_device(store, deadline).await
    }

    /// Takes the reports of this device, in order; none if it is not the next.
    pub fn take(&mut self, device: DeviceId) -> Vec<Report> {
        self.stream.take(device).unwrap_or_default()
    }
}
