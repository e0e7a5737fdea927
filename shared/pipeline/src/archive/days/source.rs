//! Reads files device by device, a row group of each at a time.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use parquet::data_type::{ByteArrayType, Int32Type, Int64Type};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::RowGroupReader;
use parquet::file::serialized_reader::SerializedRowGroupReader;
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::consumption::{Count, Reading};
use pulsegate_model::day::{Carry, Readings};
use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use super::build::BuildError;
use super::file;
use crate::archive::columns::{FileError, Last, Reader};
use crate::archive::points::file::ValueKind;
use crate::archive::reader::{ArchiveError, FilePart, Footer, footer, range_of};
use crate::archive::store::{ETag, Get, Got, ObjectStore, Part};

/// What a source has of a device, from a row group.
pub(super) trait Portion: Sized {
    /// The portions of a row group, in order of devices. A device may have several.
    fn read(group: &dyn RowGroupReader) -> Result<Vec<(DeviceId, Self)>, FileError>;
}

/// A file, of one version from the first byte to the last.
pub(super) struct Source<P> {
    pub(super) key: String,
    pub(super) etag: ETag,
    pub(super) footer: ParquetMetaData,
    size: u64,
    next_group: usize,
    portions: VecDeque<(DeviceId, P)>,
}

impl<P: Portion> Source<P> {
    /// Opens a file; `None` if there is no such file.
    pub(super) async fn open(
        store: &impl ObjectStore,
        key: String,
        deadline: Instant,
    ) -> Result<Option<Self>, BuildError> {
        let Some(Footer { etag, size, content }) = footer(store, &key, deadline).await? else { return Ok(None) };
        Ok(Some(Self { key, etag, footer: content, size, next_group: 0, portions: VecDeque::new() }))
    }

    /// Reads on until all portions of the next device are in memory.
    pub(super) async fn advance(&mut self, store: &impl ObjectStore, deadline: Instant) -> Result<(), BuildError> {
        while self.is_behind() {
            let range = range_of(&self.footer, self.next_group);
            let request = Get { key: &self.key, part: Part::Range(range.clone()), version: Some(&self.etag) };
            let Got::Object(part) = store.get(request, deadline).await.map_err(ArchiveError::from)? else {
                return Err(BuildError::Changed);
            };
            let part = FilePart { start: range.start, size: self.size, content: part.content };
            let read = self.decode(part).map_err(|source| ArchiveError::File { key: self.key.clone(), source })?;
            self.portions.extend(read);
            self.next_group += 1;
        }
        Ok(())
    }

    /// True if the next row group may have more of the next device.
    pub(super) fn is_behind(&self) -> bool {
        let device_of = |portion: Option<&(DeviceId, P)>| portion.map(|(device, _)| *device);
        self.next_group < self.footer.num_row_groups()
            && device_of(self.portions.front()) == device_of(self.portions.back())
    }

    /// The next device; `None` after the last. The source must not be behind.
    pub(super) fn next_device(&self) -> Option<DeviceId> {
        self.portions.front().map(|(device, _)| *device)
    }

    /// Takes the next portion of this device, if there is one.
    pub(super) fn take(&mut self, device: DeviceId) -> Option<P> {
        self.portions.pop_front_if(|(of, _)| *of == device).map(|(_, portion)| portion)
    }

    fn decode(&self, part: FilePart) -> Result<Vec<(DeviceId, P)>, FileError> {
        let properties = Arc::new(ReaderProperties::builder().build());
        let (group, index) =
            (self.footer.row_group(self.next_group), self.footer.page_index_for_row_group(self.next_group));
        P::read(&SerializedRowGroupReader::new(Arc::new(part), group, index, properties)?)
    }
}

/// The points of a channel, of one kind and with the counter's width: few bytes for each, so that a row group of 67 files
/// fits into memory.
pub(super) struct PointsOf {
    channel: Channel,
    kind: ValueKind,
    counter_bits: Option<u8>,
    rows: Range<usize>,
    times: Arc<Vec<i64>>,
    values: Arc<Vec<i64>>,
}

impl PointsOf {
    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Adds them to the readings of their channel.
    pub(super) fn add_to(&self, readings: &mut Readings) -> Result<(), FileError> {
        for (time, value) in self.times[self.rows.clone()].iter().zip(&self.values[self.rows.clone()]) {
            let (at, value) = (At::from_unix(time.div_euclid(1_000))?, value.cast_unsigned());
            match self.kind {
                ValueKind::Index => {
                    readings.points.push(Reading { at, index: value, counter_bits: self.counter_bits });
                }
                ValueKind::Counted => readings.counted.push(Count { at, pulses: value }),
            }
        }
        Ok(())
    }
}

impl Portion for PointsOf {
    fn read(group: &dyn RowGroupReader) -> Result<Vec<(DeviceId, Self)>, FileError> {
        let mut columns = Reader::new(group);
        let devices = columns.required::<ByteArrayType>()?;
        let channels = columns.required::<ByteArrayType>()?;
        let kinds = columns.required::<ByteArrayType>()?;
        let times = Arc::new(columns.required::<Int64Type>()?);
        let values = Arc::new(columns.required::<Int64Type>()?);
        columns.required::<ByteArrayType>()?;
        let mut bits = columns.optional::<Int32Type>()?;
        let bits: Vec<Option<i32>> = devices.iter().map(|_| bits.next()).collect();
        let mut device = Last::default();
        let mut portions = Vec::new();
        let of = |row: usize| (&devices[row], &channels[row], &kinds[row], bits[row]);
        let mut begin = 0;
        for end in 1..=devices.len() {
            if end < devices.len() && of(end) == of(begin) {
                continue;
            }
            let portion = Self {
                channel: file::parse("channel", &channels[begin])?,
                kind: crate::archive::points::file::KINDS.value(&kinds[begin])?,
                counter_bits: bits[begin].and_then(|bits| bits.try_into().ok()),
                rows: begin..end,
                times: times.clone(),
                values: values.clone(),
            };
            portions.push((device.parse(&devices[begin])?, portion));
            begin = end;
        }
        Ok(portions)
    }
}

impl Portion for Carry {
    fn read(group: &dyn RowGroupReader) -> Result<Vec<(DeviceId, Self)>, FileError> {
        file::read_carries(group)
    }
}
