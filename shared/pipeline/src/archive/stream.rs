//! Reads a file of the archive row group by row group, all of one version, and device by device: a reader of many files
//! holds the bytes of a row group of each, never a file.

use std::collections::VecDeque;
use std::sync::Arc;

use parquet::data_type::ByteArray;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::RowGroupReader;
use parquet::file::serialized_reader::SerializedRowGroupReader;
use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use super::columns::{FileError, Last, Reader};
use super::reader::{ArchiveError, FilePart, Footer, columns_range, footer};
use super::store::{ETag, Get, Got, ObjectStore, Part};

/// A file that cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file changed between its footer and its rows.
    #[error("a file changed while it was read")]
    Changed,
    /// The store cannot be reached, or the file cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// The row groups of a file, of one version from the first byte to the last.
#[derive(Debug)]
pub(super) struct Groups {
    pub(super) etag: ETag,
    key: String,
    size: u64,
    footer: ParquetMetaData,
    /// Row groups that are not read yet.
    left: VecDeque<usize>,
}

impl Groups {
    /// Opens a file; `None` if there is no such file.
    pub(super) async fn open(
        store: &impl ObjectStore,
        key: String,
        deadline: Instant,
    ) -> Result<Option<Self>, ArchiveError> {
        let Some(Footer { etag, size, content }) = footer(store, &key, deadline).await? else { return Ok(None) };
        let left = (0..content.num_row_groups()).collect();
        Ok(Some(Self { etag, key, size, footer: content, left }))
    }

    /// Its layout.
    pub(super) fn footer(&self) -> &ParquetMetaData {
        &self.footer
    }

    /// Skips the row groups for which this is false.
    pub(super) fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        self.left.retain(|group| keep(*group));
    }

    /// Reads the first columns of the next row group, so many, and returns its number; `None` after the last.
    pub(super) async fn next<T>(
        &mut self,
        columns: usize,
        read: impl FnOnce(&dyn RowGroupReader) -> Result<T, FileError>,
        store: &impl ObjectStore,
        deadline: Instant,
    ) -> Result<Option<(usize, T)>, SourceError> {
        let Some(group) = self.left.pop_front() else { return Ok(None) };
        let range = columns_range(&self.footer, group, columns);
        let request = Get { key: &self.key, part: Part::Range(range.clone()), version: Some(&self.etag) };
        let Got::Object(part) = store.get(request, deadline).await.map_err(ArchiveError::from)? else {
            return Err(SourceError::Changed);
        };
        let part = FilePart { start: range.start, size: self.size, content: part.content };
        let rows = self.read_part(part, group, read).map_err(|source| self.failed(source))?;
        Ok(Some((group, rows)))
    }

    fn failed(&self, source: FileError) -> ArchiveError {
        ArchiveError::File { key: self.key.clone(), source }
    }

    fn read_part<T>(
        &self,
        part: FilePart,
        group: usize,
        read: impl FnOnce(&dyn RowGroupReader) -> Result<T, FileError>,
    ) -> Result<T, FileError> {
        let properties = Arc::new(ReaderProperties::builder().build());
        let (of_group, index) = (self.footer.row_group(group), self.footer.page_index_for_row_group(group));
        read(&SerializedRowGroupReader::new(Arc::new(part), of_group, index, properties)?)
    }
}

/// Rows that are decoded at once.
const BATCH: usize = 2_048;

/// The columns of a row group, read in batches.
pub(super) trait DeviceColumns: Sized {
    /// The rows of a device.
    type Rows: Default;

    /// The number of columns to read. `device` is the first.
    const COLUMNS: usize;

    /// Opens the columns.
    fn open(group: &dyn RowGroupReader) -> Result<Self, FileError>;

    /// Reads the next rows, so many, of each of which [`Devices::of`] has the place.
    fn read(&mut self, len: usize, devices: &mut Devices<Self::Rows>) -> Result<(), FileError>;
}

/// Devices with their rows, in the order of a file.
pub(super) struct Devices<T> {
    devices: VecDeque<(DeviceId, T)>,
    last: Last,
}

impl<T> Default for Devices<T> {
    fn default() -> Self {
        Self { devices: VecDeque::new(), last: Last::default() }
    }
}

impl<T: Default> Devices<T> {
    /// The devices.
    pub(super) fn into_inner(self) -> Vec<(DeviceId, T)> {
        self.devices.into()
    }

    /// The rows of the device that has this ID.
    pub(super) fn of(&mut self, id: &ByteArray) -> Result<&mut T, FileError> {
        let device = self.last.parse(id)?;
        if self.devices.back().is_none_or(|(last, _)| *last != device) {
            self.devices.push_back((device, T::default()));
        }
        self.devices.back_mut().map(|(_, rows)| rows).ok_or(FileError::Order)
    }
}

/// A file, device by device. In memory are the bytes of a row group, compressed, and a batch of rows.
pub(super) struct DeviceStream<C: DeviceColumns> {
    groups: Groups,
    /// The row group that is being read, and the number of its rows that are left.
    columns: Option<(C, usize)>,
    devices: Devices<C::Rows>,
}

impl<C: DeviceColumns> DeviceStream<C> {
    /// Opens a file; `None` if there is no such file.
    pub(super) async fn open(
        store: &impl ObjectStore,
        key: String,
        deadline: Instant,
    ) -> Result<Option<Self>, SourceError> {
        let Some(groups) = Groups::open(store, key, deadline).await? else { return Ok(None) };
        Ok(Some(Self { groups, columns: None, devices: Devices::default() }))
    }

    /// The version of the file.
    pub(super) fn etag(&self) -> &ETag {
        &self.groups.etag
    }

    /// Its layout.
    pub(super) fn footer(&self) -> &ParquetMetaData {
        self.groups.footer()
    }

    /// The next device, of which all rows are in memory then; `None` after the last.
    pub(super) async fn next_device(
        &mut self,
        store: &impl ObjectStore,
        deadline: Instant,
    ) -> Result<Option<DeviceId>, SourceError> {
        // The rows of a device end where those of the next begin.
        while self.devices.devices.len() < 2 && self.read(store, deadline).await? {}
        Ok(self.devices.devices.front().map(|(device, _)| *device))
    }

    /// Reads a batch. Returns false after the last.
    async fn read(&mut self, store: &impl ObjectStore, deadline: Instant) -> Result<bool, SourceError> {
        let (mut columns, left) = match self.columns.take() {
            Some(columns) => columns,
            None => {
                let open = |group: &dyn RowGroupReader| Ok((C::open(group)?, Reader::new(group).len()));
                let Some((_, opened)) = self.groups.next(C::COLUMNS, open, store, deadline).await? else {
                    return Ok(false);
                };
                opened
            }
        };
        let len = left.min(BATCH);
        columns.read(len, &mut self.devices).map_err(|source| self.groups.failed(source))?;
        self.columns = Some((columns, left - len)).filter(|(_, left)| *left > 0);
        Ok(true)
    }

    /// Takes the rows of this device, if it is the next.
    pub(super) fn take(&mut self, device: DeviceId) -> Option<C::Rows> {
        self.devices.devices.pop_front_if(|(next, _)| *next == device).map(|(_, rows)| rows)
    }
}
