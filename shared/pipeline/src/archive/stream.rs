//! Reads a file of the archive row group by row group, all of one version, and device by device: a reader of many files
//! holds a row group of each, never a file.

use std::collections::VecDeque;
use std::sync::Arc;

use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::RowGroupReader;
use parquet::file::serialized_reader::SerializedRowGroupReader;
use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use super::columns::FileError;
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
        let rows = self.read_part(part, group, read);
        let rows = rows.map_err(|source| ArchiveError::File { key: self.key.clone(), source })?;
        Ok(Some((group, rows)))
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

/// A row without its device.
pub(super) trait CompactRow: Sized {
    /// The texts to which rows refer by their position.
    type Texts: Default;

    /// The number of columns that are read. `device` is the first.
    const COLUMNS: usize;

    /// Reads a row group.
    fn read(group: &dyn RowGroupReader, texts: &mut Self::Texts, rows: &mut DeviceRows<Self>) -> Result<(), FileError>;
}

/// Rows of devices, in the order of a file.
#[derive(Debug)]
pub(super) struct DeviceRows<T> {
    /// Each device with the number of its rows.
    devices: VecDeque<(DeviceId, usize)>,
    rows: VecDeque<T>,
}

impl<T> Default for DeviceRows<T> {
    fn default() -> Self {
        Self { devices: VecDeque::new(), rows: VecDeque::new() }
    }
}

impl<T> DeviceRows<T> {
    /// Makes room for so many rows, and no more: there may be dozens of files.
    pub(super) fn reserve(&mut self, rows: usize) {
        self.rows.reserve_exact(rows);
    }

    /// Adds a row.
    pub(super) fn push(&mut self, device: DeviceId, row: T) {
        match self.devices.back_mut() {
            Some((last, count)) if *last == device => *count += 1,
            _ => self.devices.push_back((device, 1)),
        }
        self.rows.push_back(row);
    }
}

/// A file, device by device.
#[derive(Debug)]
pub(super) struct DeviceStream<T: CompactRow> {
    groups: Groups,
    pub(super) texts: T::Texts,
    rows: DeviceRows<T>,
}

impl<T: CompactRow> DeviceStream<T> {
    /// Opens a file; `None` if there is no such file.
    pub(super) async fn open(
        store: &impl ObjectStore,
        key: String,
        deadline: Instant,
    ) -> Result<Option<Self>, SourceError> {
        let groups = Groups::open(store, key, deadline).await?;
        Ok(groups.map(|groups| Self { groups, texts: T::Texts::default(), rows: DeviceRows::default() }))
    }

    /// The version of the file.
    pub(super) fn etag(&self) -> &ETag {
        &self.groups.etag
    }

    /// Its layout.
    pub(super) fn footer(&self) -> &ParquetMetaData {
        self.groups.footer()
    }

    /// The device of the next rows, all of which are in memory then; `None` after the last.
    pub(super) async fn next_device(
        &mut self,
        store: &impl ObjectStore,
        deadline: Instant,
    ) -> Result<Option<DeviceId>, SourceError> {
        // The last device's rows may go on in the next row group.
        while self.rows.devices.len() < 2 {
            let (texts, rows) = (&mut self.texts, &mut self.rows);
            let read = |group: &dyn RowGroupReader| T::read(group, texts, rows);
            if self.groups.next(T::COLUMNS, read, store, deadline).await?.is_none() {
                break;
            }
        }
        Ok(self.rows.devices.front().map(|(device, _)| *device))
    }

    /// Takes the rows of this device, if it is the next.
    pub(super) fn take(&mut self, device: DeviceId) -> impl Iterator<Item = T> + use<'_, T> {
        let next = self.rows.devices.pop_front_if(|(next, _)| *next == device);
        self.rows.rows.drain(..next.map_or(0, |(_, count)| count))
    }
}
