//! Reads the uplinks of a device between two times: settled ones from files, the others from `new/`.
//!
//! `new/` is listed first. A row that is acknowledged at that moment is in an object of the list or in a file already, even
//! if the list has several pages, since rows move only towards its end (see [`object`]). If an object of the list is gone, a run has merged and deleted it meanwhile, perhaps after its file was read: the read
//! begins anew. A file may change between its footer and its rows; the version in the request tells.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedRowGroupReader;
use pulsegate_model::at::At;
use pulsegate_model::device::{DeviceId, Network};
use pulsegate_model::uplink::{Uplink, UplinkError};
use tokio::time::Instant;

use super::columns::FileError;
use super::file;
use super::object::{self, ObjectError};
use super::place::{Day, NEW, PartitionBits};
use super::row::{self, Row};
use super::store::{ETag, Get, Got, ObjectStore, Part, StoreError};
use super::tombstones;

/// Bytes read from the end of a file, for its footer. A file of a million rows has a footer of 42 KB.
pub(super) const FOOTER: u64 = 64 * 1024;

/// Files of a device read at once: a year has hundreds, and S3 takes a tenth of a second for each request.
const READS_AT_ONCE: usize = 16;

/// Restarts of a read until it fails. Each means that a run of `settle` has deleted objects meanwhile; one every quarter
/// of an hour is usual.
pub(super) const MAX_RESTARTS: usize = 10;

/// Reads the archive.
#[derive(Debug)]
pub struct Archive<S> {
    /// The store.
    pub store: S,
    /// The number of partitions.
    pub bits: PartitionBits,
}

/// A read that failed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An object cannot be read.
    #[error("{key}: {source}")]
    Object {
        /// Its key.
        key: String,
        /// The cause.
        source: ObjectError,
    },
    /// A file cannot be read.
    #[error("{key}: {source}")]
    File {
        /// Its key.
        key: String,
        /// The cause.
        source: FileError,
    },
    /// A row is not an uplink.
    #[error("a row is not an uplink: {0}")]
    Row(#[from] UplinkError),
    /// The archive changed faster than it could be read.
    #[error("the archive changed during each of {MAX_RESTARTS} attempts to read it; try again")]
    Restless,
}

impl<S: ObjectStore> Archive<S> {
    /// The uplinks of a device from one time to another, both included, in order, each key once; none of an erased device.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn uplinks(
        &self,
        device: DeviceId,
        from: At,
        to: At,
        deadline: Instant,
    ) -> Result<Vec<Uplink>, ArchiveError> {
        if tombstones::load(&self.store, deadline).await?.contains(device) {
            return Ok(Vec::new());
        }
        for _ in 0..MAX_RESTARTS {
            let Some(rows) = self.attempt(device, from, to, deadline).await? else { continue };
            return row::valid(rows).iter().map(|row| Ok(row.uplink()?)).collect();
        }
        Err(ArchiveError::Restless)
    }

    /// All rows of the device; `None` if the archive changed meanwhile.
    async fn attempt(
        &self,
        device: DeviceId,
        from: At,
        to: At,
        deadline: Instant,
    ) -> Result<Option<BTreeSet<Row>>, ArchiveError> {
        let of_device = |uplink: &Uplink| uplink.device == device;
        let Some(new) = self.read_new(of_device, deadline).await? else { return Ok(None) };
        let mut rows: BTreeSet<Row> = new.iter().map(Row::from).collect();
        // An uplink whose time is no date can be of any time in the span.
        let days = Day::between(from, to).chain([Day::Odd]);
        let reads = days.map(|day| self.file_rows(self.bits.place_of(device, day).to_string(), device, deadline));
        let mut reads = stream::iter(reads).buffered(READS_AT_ONCE);
        while let Some(of_file) = reads.try_next().await? {
            let Some(of_file) = of_file else { return Ok(None) };
            rows.extend(of_file);
        }
        rows.retain(|row| (from..=to).contains(&row.at()));
        Ok(Some(rows))
    }

    /// The uplinks of `new/` to keep; `None` if an object of the list is gone.
    pub(super) async fn read_new(
        &self,
        keep: impl Fn(&Uplink) -> bool,
        deadline: Instant,
    ) -> Result<Option<Vec<Uplink>>, ArchiveError> {
        let mut kept = Vec::new();
        for name in self.list_new(deadline).await? {
            let Got::Object(object) = self.store.get(Get::whole(&name), deadline).await? else { return Ok(None) };
            let uplinks = object::decode(&name, &object.content)
                .map_err(|source| ArchiveError::Object { key: name.clone(), source })?;
            kept.extend(uplinks.into_iter().filter(&keep));
        }
        Ok(Some(kept))
    }

    async fn list_new(&self, deadline: Instant) -> Result<Vec<String>, StoreError> {
        let mut names: Vec<String> = Vec::new();
        loop {
            let page = self.store.list(NEW, names.last().map(String::as_str), deadline).await?;
            names.extend(page.objects.into_iter().map(|listed| listed.key));
            if !page.truncated {
                return Ok(names);
            }
        }
    }

    /// The rows of a device in a file; none if there is no such file. `None` if the file changed meanwhile.
    async fn file_rows(
        &self,
        key: String,
        device: DeviceId,
        deadline: Instant,
    ) -> Result<Option<Vec<Row>>, ArchiveError> {
        let failed = |source: FileError| ArchiveError::File { key: key.clone(), source };
        let Some(Footer { etag, size, content: footer }) = footer(&self.store, &key, deadline).await? else {
            return Ok(Some(Vec::new()));
        };
        let mut groups = file::groups_of(device, &footer);
        // The row group where the networks meet comes last: by its bounds it may have nearly any device.
        if device.network() == Network::Nbiot {
            groups.reverse();
        }
        let (mut rows, mut last) = (Vec::new(), None);
        for group in groups {
            // The rows of a device follow each other.
            if !rows.is_empty() && last.is_some_and(|last: usize| last.abs_diff(group) > 1) {
                break;
            }
            last = Some(group);
            let range = range_of(&footer, group);
            let request = Get { key: &key, part: Part::Range(range.clone()), version: Some(&etag) };
            let Got::Object(part) = self.store.get(request, deadline).await? else { return Ok(None) };
            let part = FilePart { start: range.start, size, content: part.content };
            let of_group = read_part(part, &footer, group).map_err(failed)?;
            rows.extend(of_group.into_iter().filter(|row| row.device() == device));
        }
        Ok(Some(rows))
    }
}

/// The footer of a file.
#[derive(Debug)]
pub(super) struct Footer {
    /// The version of the file.
    pub(super) etag: ETag,
    /// Its length in bytes.
    pub(super) size: u64,
    /// Its layout.
    pub(super) content: ParquetMetaData,
}

/// Reads the footer of a file; `None` if there is no such file.
pub(super) async fn footer(
    store: &impl ObjectStore,
    key: &str,
    deadline: Instant,
) -> Result<Option<Footer>, ArchiveError> {
    let failed = |source: ParquetError| ArchiveError::File { key: key.to_owned(), source: source.into() };
    let mut last = FOOTER;
    loop {
        let request = Get { key, part: Part::Last(last), version: None };
        let Got::Object(end) = store.get(request, deadline).await? else { return Ok(None) };
        let mut reader = ParquetMetaDataReader::new();
        match reader.try_parse_sized(&end.content, end.size) {
            Ok(()) => {
                let content = reader.finish().map_err(failed)?;
                return Ok(Some(Footer { etag: end.etag, size: end.size, content }));
            }
            Err(ParquetError::NeedMoreData(needed)) if needed as u64 > last => last = needed as u64,
            Err(error) => return Err(failed(error)),
        }
    }
}

/// The bytes of a row group.
fn range_of(footer: &ParquetMetaData, group: usize) -> Range<u64> {
    columns_range(footer, group, usize::MAX)
}

/// The bytes of the first columns of a row group, so many.
pub(super) fn columns_range(footer: &ParquetMetaData, group: usize, columns: usize) -> Range<u64> {
    let ranges = footer.row_group(group).columns().iter().take(columns).map(ColumnChunkMetaData::byte_range);
    let (start, end) = ranges.fold((u64::MAX, 0), |(start, end), (from, len)| (start.min(from), end.max(from + len)));
    start..end
}

fn read_part(part: FilePart, footer: &ParquetMetaData, group: usize) -> Result<Vec<Row>, FileError> {
    let properties = Arc::new(ReaderProperties::builder().build());
    let of_group = footer.row_group(group);
    let reader =
        SerializedRowGroupReader::new(Arc::new(part), of_group, footer.page_index_for_row_group(group), properties)?;
    file::read_group(&reader)
}

/// A part of a file, at its place.
pub(super) struct FilePart {
    pub(super) start: u64,
    pub(super) size: u64,
    pub(super) content: Bytes,
}

impl FilePart {
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let outside = || ParquetError::EOF(format!("byte {start} is not in the part that was read"));
        let skip = start.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok()).ok_or_else(outside)?;
        if skip > self.content.len() { Err(outside()) } else { Ok(self.content.slice(skip..)) }
    }
}

impl Length for FilePart {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for FilePart {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start)?;
        let short = || ParquetError::EOF(format!("{length} bytes from byte {start} are not in the part that was read"));
        if length > bytes.len() { Err(short()) } else { Ok(bytes.slice(..length)) }
    }
}
