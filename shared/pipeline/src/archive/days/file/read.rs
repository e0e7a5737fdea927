//! Reads files of days: rows, or what devices leave to the next month.

use std::collections::BTreeMap;
use std::str::FromStr;

use bytes::Bytes;
use jiff::civil::Date;
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader as _, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use pulsegate_model::at::At;
use pulsegate_model::consumption::{Marks, Quality};
use pulsegate_model::day::{Carry, DayRow};
use pulsegate_model::device::DeviceId;
use pulsegate_model::ledger::Ledger;

use super::{ORIGIN, QUALITIES, UNITS};
use crate::archive::columns::{Batches, FileError, Last, Reader};
use crate::archive::days::month;
use crate::archive::days::origin::Origin;
use crate::archive::stream::{DeviceColumns, Devices};

/// The origin of a file's rows; `None` if this code did not write it.
pub(in crate::archive::days) fn origin(footer: &ParquetMetaData) -> Option<Origin> {
    let entries = footer.file_metadata().key_value_metadata()?;
    Origin::from_json(entries.iter().find(|entry| entry.key == ORIGIN)?.value.as_deref()?)
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DaysFile {
    /// The origin; `None` if this code did not write the file.
    pub origin: Option<Origin>,
    /// The rows, in order of device, channel and day.
    pub rows: Vec<DayRow>,
    /// The rows of devices that the file's days leave to the next month.
    pub carries: BTreeMap<DeviceId, Carry>,
}

/// Reads a file.
///
/// # Errors
/// [`FileError`].
pub fn read(content: Bytes) -> Result<DaysFile, FileError> {
    let file = SerializedFileReader::new(content)?;
    let mut read = DaysFile { origin: origin(file.metadata()), ..DaysFile::default() };
    for group in 0..file.num_row_groups() {
        let group = file.get_row_group(group)?;
        read.rows.extend(read_group(group.as_ref())?);
        let mut devices = Devices::default();
        CarryColumns::open(group.as_ref())?.read(Reader::new(group.as_ref()).len(), &mut devices)?;
        let carries = devices.into_inner().into_iter();
        read.carries.extend(carries.filter_map(|(device, carry)| Some((device, carry?))));
    }
    Ok(read)
}

/// The columns of what devices leave to the next month.
pub(in crate::archive::days) struct CarryColumns {
    devices: Batches<ByteArrayType>,
    carries: Batches<ByteArrayType>,
}

impl DeviceColumns for CarryColumns {
    type Rows = Option<Carry>;

    /// All: `carry` is the last.
    const COLUMNS: usize = usize::MAX;

    fn open(group: &dyn RowGroupReader) -> Result<Self, FileError> {
        let mut columns = Reader::new(group);
        let devices = columns.batches()?;
        columns.skip_to_last();
        Ok(Self { devices, carries: columns.batches()? })
    }

    fn read(&mut self, len: usize, devices: &mut Devices<Option<Carry>>) -> Result<(), FileError> {
        let ids = self.devices.required(len)?;
        for (id, text) in ids.iter().zip(self.carries.optional(len)?) {
            let of_device = devices.of(id)?;
            if let Some(text) = text {
                let unknown = |_| FileError::Unknown { column: "carry", text: shortened(text) };
                *of_device = Some(serde_json::from_slice(text.data()).map_err(unknown)?);
            }
        }
        Ok(())
    }
}

/// Reads all rows of a row group.
///
/// # Errors
/// [`FileError`].
pub fn read_group(group: &dyn RowGroupReader) -> Result<Vec<DayRow>, FileError> {
    let mut columns = Reader::new(group);
    let devices = columns.required::<ByteArrayType>()?;
    let channels = columns.required::<ByteArrayType>()?;
    let days = columns.required::<Int32Type>()?;
    let zones = columns.required::<ByteArrayType>()?;
    let starts = columns.required::<Int64Type>()?;
    let ends = columns.required::<Int64Type>()?;
    let units = columns.required::<ByteArrayType>()?;
    let mut totals = columns.optional::<Int64Type>()?;
    let qualities = columns.required::<ByteArrayType>()?;
    let flags = columns.required::<ByteArrayType>()?;
    let mut hours = columns.lists::<Int64Type>()?;
    let mut hour_qualities = columns.lists::<ByteArrayType>()?;
    for _ in Quality::ALL {
        columns.required::<Int32Type>()?;
    }
    let slots_read = columns.required::<Int32Type>()?;
    let mut slots_expected = columns.optional::<Int32Type>()?;
    let uplinks = columns.required::<Int32Type>()?;
    let undecodable = columns.required::<Int32Type>()?;
    let uplinks_lost = columns.required::<Int32Type>()?;
    let lost_but_covered = columns.required::<Int32Type>()?;
    let restarts = columns.required::<Int32Type>()?;
    let timed = columns.required::<Int64Type>()?;
    let spread = columns.required::<Int64Type>()?;
    let unplaced = columns.required::<Int64Type>()?;
    let after_break = columns.required::<Int64Type>()?;
    let breaks = columns.required::<Int32Type>()?;
    let mut night_minimum = columns.optional::<Int64Type>()?;
    let mut longest_still = columns.optional::<Int32Type>()?;
    let device_flags = columns.required::<ByteArrayType>()?;
    let mut battery_mv = columns.optional::<Int32Type>()?;
    let mut last_contact = columns.optional::<Int64Type>()?;

    let mut device = Last::default();
    let mut rows = Vec::with_capacity(devices.len());
    for nth in 0..devices.len() {
        let hour_qualities = hour_qualities.next().into_iter().flatten();
        rows.push(DayRow {
            device: device.parse(&devices[nth])?,
            channel: parse("channel", &channels[nth])?,
            day: month::date(days[nth].into()).unwrap_or(Date::ZERO),
            zone: parse("time_zone", &zones[nth])?,
            start: At::from_unix(starts[nth].div_euclid(1_000))?,
            end: At::from_unix(ends[nth].div_euclid(1_000))?,
            unit: UNITS.value(&units[nth])?,
            total: totals.next(),
            quality: QUALITIES.value(&qualities[nth])?,
            flags: Marks::from_names(flags[nth].as_utf8()?),
            hours: hours.next(),
            hour_qualities: hour_qualities.map(|text| QUALITIES.value(&text)).collect::<Result<_, _>>()?,
            ledger: Ledger {
                slots_read: slots_read[nth].cast_unsigned(),
                slots_expected: slots_expected.next().map(i32::cast_unsigned),
                uplinks: uplinks[nth].cast_unsigned(),
                undecodable: undecodable[nth].cast_unsigned(),
                uplinks_lost: uplinks_lost[nth].cast_unsigned(),
                lost_but_covered: lost_but_covered[nth].cast_unsigned(),
                restarts: restarts[nth].cast_unsigned(),
                timed: timed[nth],
                spread: spread[nth],
                unplaced: unplaced[nth],
                after_break: after_break[nth],
                breaks: breaks[nth].cast_unsigned(),
            },
            night_minimum: night_minimum.next(),
            longest_still: longest_still.next().map(i32::cast_unsigned),
            // A flag that is not known any more is left out.
            device_flags: device_flags[nth].as_utf8()?.split(' ').filter_map(|flag| flag.parse().ok()).collect(),
            battery_mv: battery_mv.next().and_then(|mv| mv.try_into().ok()),
            last_contact: last_contact.next().map(|ms| At::from_unix(ms.div_euclid(1_000))).transpose()?,
        });
    }
    Ok(rows)
}

fn parse<T: FromStr>(column: &'static str, text: &ByteArray) -> Result<T, FileError> {
    text.as_utf8()?.parse().map_err(|_| FileError::Unknown { column, text: shortened(text) })
}

fn shortened(text: &ByteArray) -> String {
    String::from_utf8_lossy(text.data()).chars().take(64).collect()
}
