//! The columns of a points file for those who read dozens of files at once, device by device: a
//! [`DeviceStream`](crate::archive::stream::DeviceStream) of them takes some two megabytes of memory, whatever its size.

use parquet::data_type::{ByteArrayType, Int32Type, Int64Type};
use parquet::file::reader::RowGroupReader;
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::consumption::{Count, Reading};
use pulsegate_model::day::Readings;

use super::file::{KINDS, ValueKind};
use crate::archive::columns::{Batches, FileError, Reader};
use crate::archive::stream::{DeviceColumns, Devices};

/// The columns `device` to `counter_bits`, without `time_source`.
pub(in crate::archive) struct PointColumns {
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
