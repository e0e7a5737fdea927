//! Reads a points file device by device, for those who read dozens of files at once.

use std::collections::BTreeMap;

use parquet::data_type::{ByteArrayType, Int32Type, Int64Type};
use parquet::file::reader::RowGroupReader;
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::consumption::{Count, Reading};
use pulsegate_model::day::Readings;
use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use super::file::{KINDS, ValueKind};
use super::key_of;
use crate::archive::columns::{Batches, FileError, Reader};
use crate::archive::place::Place;
use crate::archive::store::{ETag, ObjectStore};
use crate::archive::stream::{DeviceColumns, DeviceStream, Devices, SourceError};

/// A points file, of one version from the first byte to the last. It takes some two megabytes of memory, whatever its size.
pub struct PointsSource {
    stream: DeviceStream<PointColumns>,
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
        for (channel, Readings { points, counted }) in self.stream.take(device).into_iter().flatten() {
            let of_channel = readings.entry(channel).or_default();
            of_channel.points.extend(points);
            of_channel.counted.extend(counted);
        }
    }
}

/// The columns `device` to `counter_bits`, without `time_source`.
struct PointColumns {
    device: Batches<ByteArrayType>,
    channel: Batches<ByteArrayType>,
    kind: Batches<ByteArrayType>,
    at: Batches<Int64Type>,
    value: Batches<Int64Type>,
    counter_bits: Batches<Int32Type>,
}

impl DeviceColumns for PointColumns {
    type Rows = Vec<(Channel, Readings)>;

    const COLUMNS: usize = 7;

    fn open(group: &dyn RowGroupReader) -> Result<Self, FileError> {
        let mut columns = Reader::new(group);
        Ok(Self {
            device: columns.batches()?,
            channel: columns.batches()?,
            kind: columns.batches()?,
            at: columns.batches()?,
            value: columns.batches()?,
            counter_bits: {
                columns.skip();
                columns.batches()?
            },
        })
    }

    fn read(&mut self, len: usize, rows: &mut Devices<Self::Rows>) -> Result<(), FileError> {
        let (devices, channels, kinds) =
            (self.device.required(len)?, self.channel.required(len)?, self.kind.required(len)?);
        let (times, values) = (self.at.required(len)?, self.value.required(len)?);
        for (nth, bits) in self.counter_bits.optional(len)?.enumerate() {
            let of_device = rows.of(&devices[nth])?;
            let channel = &channels[nth];
            if of_device.last().is_none_or(|(last, _)| last.as_str().as_bytes() != channel.data()) {
                of_device.push((channel.as_utf8()?.parse()?, Readings::default()));
            }
            let Some((_, Readings { points, counted })) = of_device.last_mut() else { continue };
            let (at, value) = (At::from_unix(times[nth].div_euclid(1_000))?, values[nth].cast_unsigned());
            match KINDS.value(&kinds[nth])? {
                ValueKind::Index => {
                    let counter_bits = bits.and_then(|&bits| bits.try_into().ok());
                    points.push(Reading { at, index: value, counter_bits });
                }
                ValueKind::Counted => counted.push(Count { at, pulses: value }),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
