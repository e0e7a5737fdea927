//! Reads a points file device by device, for those who read many files at once: 24 bytes a point, and of each file a row
//! group at a time.

use std::collections::BTreeMap;

use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::file::reader::RowGroupReader;
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::consumption::{Count, Reading};
use pulsegate_model::day::Readings;
use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use super::file::{KINDS, ValueKind};
use super::key_of;
use crate::archive::columns::{FileError, Last, Reader};
use crate::archive::place::Place;
use crate::archive::store::{ETag, ObjectStore};
use crate::archive::stream::{CompactRow, DeviceRows, DeviceStream, SourceError};

/// Rows decoded at once: their texts fit into the processor's cache.
const BATCH: usize = 2_048;

/// A points file, of one version from the first byte to the last.
#[derive(Debug)]
pub struct PointsSource {
    stream: DeviceStream<CompactPoint>,
}

/// A point without its device. Its channel is a position among [`Channels`].
#[derive(Debug, Clone, Copy)]
struct CompactPoint {
    at: At,
    value: u64,
    channel: u16,
    kind: ValueKind,
    counter_bits: Option<u8>,
}

/// The channels of a file. There are few.
#[derive(Debug, Default)]
struct Channels {
    channels: Vec<Channel>,
    /// The last text, and its position.
    last: Option<(ByteArray, u16)>,
}

impl PointsSource {
    /// Opens the points file of a place; `None` if there is none.
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

    /// The next device in order, of which all points are in memory then; `None` after the last. Without a call of
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

    /// Moves the points of this device, if it is the next, to the readings of its channels, in the order of the file.
    pub fn take(&mut self, device: DeviceId, readings: &mut BTreeMap<Channel, Readings>) {
        let channels = std::mem::take(&mut self.stream.texts);
        let mut rows = self.stream.take(device).peekable();
        while let Some(&CompactPoint { channel: of, .. }) = rows.peek() {
            let Some(channel) = channels.channels.get(usize::from(of)) else { break };
            if !readings.contains_key(channel) {
                readings.insert(channel.clone(), Readings::default());
            }
            let Some(Readings { points, counted }) = readings.get_mut(channel) else { break };
            while let Some(point) = rows.next_if(|point| point.channel == of) {
                let CompactPoint { at, value, kind, counter_bits, .. } = point;
                match kind {
                    ValueKind::Index => points.push(Reading { at, index: value, counter_bits }),
                    ValueKind::Counted => counted.push(Count { at, pulses: value }),
                }
            }
        }
        drop(rows);
        self.stream.texts = channels;
    }
}

impl Channels {
    fn position(&mut self, text: &ByteArray) -> Result<u16, FileError> {
        if let Some((last, position)) = &self.last
            && last == text
        {
            return Ok(*position);
        }
        let channel: Channel = text.as_utf8()?.parse()?;
        let found = self.channels.iter().position(|known| *known == channel).unwrap_or_else(|| {
            self.channels.push(channel);
            self.channels.len() - 1
        });
        let position = u16::try_from(found).map_err(|_| FileError::Texts("channel"))?;
        self.last = Some((text.clone(), position));
        Ok(position)
    }
}

impl CompactRow for CompactPoint {
    type Texts = Channels;

    /// `device` to `counter_bits`.
    const COLUMNS: usize = 7;

    fn read(group: &dyn RowGroupReader, texts: &mut Channels, rows: &mut DeviceRows<Self>) -> Result<(), FileError> {
        let mut columns = Reader::new(group);
        let mut devices = columns.batches::<ByteArrayType>()?;
        let mut channels = columns.batches::<ByteArrayType>()?;
        let mut kinds = columns.batches::<ByteArrayType>()?;
        let mut times = columns.batches::<Int64Type>()?;
        let mut values = columns.batches::<Int64Type>()?;
        columns.skip();
        let mut counter_bits = columns.batches::<Int32Type>()?;
        let mut left = columns.len();
        rows.reserve(left);
        let mut device = Last::default();
        while left > 0 {
            let len = left.min(BATCH);
            let (devices, channels) = (devices.required(len)?, channels.required(len)?);
            let (kinds, times, values) = (kinds.required(len)?, times.required(len)?, values.required(len)?);
            for (nth, bits) in counter_bits.optional(len)?.enumerate() {
                let row = Self {
                    at: At::from_unix(times[nth].div_euclid(1_000))?,
                    value: values[nth].cast_unsigned(),
                    channel: texts.position(&channels[nth])?,
                    kind: KINDS.value(&kinds[nth])?,
                    counter_bits: bits.and_then(|&bits| bits.try_into().ok()),
                };
                rows.push(device.parse(&devices[nth])?, row);
            }
            left -= len;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
