//! Files of days: their columns, and their one encoding. The same rows and the same [`Origin`] are always the same bytes,
//! for one version of the `parquet` crate. `docs/days.md` describes the columns for other readers.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use jiff::civil::Date;
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::TypePtr;
use pulsegate_model::at::At;
use pulsegate_model::codec;
use pulsegate_model::consumption::{Marks, Quality, Unit};
use pulsegate_model::day::{Carry, DayRow};
use pulsegate_model::device::DeviceId;
use pulsegate_model::ledger::Ledger;

use super::month;
use super::origin::Origin;
use crate::archive::columns::{
    Batches, DeviceText, FileError, Last, Lists, Optional, Reader, Words, base_properties, write, write_lists,
    write_optional,
};
use crate::archive::stream::{DeviceColumns, Devices};

/// Rows of a row group: a thousand channels for a month. A row has two lists of 24 elements, so a row group of so many rows
/// takes some 50 MB of memory while it is written.
pub const ROW_GROUP: usize = 32_768;

/// Volumes are in thousandths of `unit`.
const SCHEMA: &str = "message days {
    REQUIRED BYTE_ARRAY device (STRING);
    REQUIRED BYTE_ARRAY channel (STRING);
    REQUIRED INT32 day (DATE);
    REQUIRED BYTE_ARRAY time_zone (STRING);
    REQUIRED INT64 starts_at (TIMESTAMP(MILLIS,true));
    REQUIRED INT64 ends_at (TIMESTAMP(MILLIS,true));
    REQUIRED BYTE_ARRAY unit (STRING);
    OPTIONAL INT64 total;
    REQUIRED BYTE_ARRAY quality (STRING);
    REQUIRED BYTE_ARRAY flags (STRING);
    REQUIRED GROUP hours (LIST) { REPEATED GROUP list { OPTIONAL INT64 element; } }
    REQUIRED GROUP hour_qualities (LIST) { REPEATED GROUP list { OPTIONAL BYTE_ARRAY element (STRING); } }
    REQUIRED INT32 hours_measured;
    REQUIRED INT32 hours_interpolated;
    REQUIRED INT32 hours_partial;
    REQUIRED INT32 hours_missing;
    REQUIRED INT32 slots_read;
    OPTIONAL INT32 slots_expected;
    REQUIRED INT32 uplinks;
    REQUIRED INT32 undecodable;
    REQUIRED INT32 uplinks_lost;
    REQUIRED INT32 lost_but_covered;
    REQUIRED INT32 restarts;
    REQUIRED INT64 timed;
    REQUIRED INT64 spread;
    REQUIRED INT64 unplaced;
    REQUIRED INT64 after_break;
    REQUIRED INT32 breaks;
    OPTIONAL INT64 night_minimum;
    OPTIONAL INT32 longest_still;
    REQUIRED BYTE_ARRAY device_flags (STRING);
    OPTIONAL INT32 battery_mv;
    OPTIONAL INT64 last_contact (TIMESTAMP(MILLIS,true));
    OPTIONAL BYTE_ARRAY carry (STRING);
}";

/// The key of the [`Origin`] in the file's key-value metadata.
const ORIGIN: &str = "pulsegate.origin";

const UNITS: Words<Unit> = Words {
    column: "unit",
    values: &[Unit::Litres, Unit::Pulses],
    text: |unit| match unit {
        Unit::Litres => "litres",
        Unit::Pulses => "pulses",
    },
};

const QUALITIES: Words<Quality> = Words { column: "quality", values: &Quality::ALL, text: Quality::name };

static SCHEMA_TYPE: LazyLock<Result<TypePtr, String>> =
    LazyLock::new(|| parse_message_type(SCHEMA).map(Arc::new).map_err(|e| e.to_string()));

static PROPERTIES: LazyLock<Arc<WriterProperties>> =
    LazyLock::new(|| Arc::new(base_properties(ROW_GROUP, &["last_contact"]).build()));

/// Writes sorted rows.
pub(super) struct DayWriter {
    file: SerializedFileWriter<Vec<u8>>,
    group: Columns,
}

impl DayWriter {
    pub(super) fn new() -> Result<Self, FileError> {
        let schema = SCHEMA_TYPE.clone().map_err(ParquetError::General)?;
        let file = SerializedFileWriter::new(Vec::new(), schema, PROPERTIES.clone())?;
        Ok(Self { file, group: Columns::default() })
    }

    /// Writes a row. The last one of each device has what the device's days leave for the next month, as JSON.
    pub(super) fn push(&mut self, row: &DayRow, carry: Option<&str>) -> Result<(), FileError> {
        self.group.push(row, carry);
        if self.group.day.len() == ROW_GROUP { self.flush() } else { Ok(()) }
    }

    pub(super) fn finish(mut self, origin: &Origin) -> Result<Bytes, FileError> {
        self.flush()?;
        self.file.append_key_value_metadata(KeyValue::new(ORIGIN.to_owned(), origin.to_json()));
        Ok(self.file.into_inner()?.into())
    }

    fn flush(&mut self) -> Result<(), FileError> {
        let group = std::mem::take(&mut self.group);
        if !group.day.is_empty() {
            let mut writer = self.file.next_row_group()?;
            group.write(&mut writer)?;
            writer.close()?;
        }
        Ok(())
    }
}

/// The rows of a row group by column.
#[derive(Default)]
struct Columns {
    device: Vec<ByteArray>,
    device_text: DeviceText,
    channel: Vec<ByteArray>,
    day: Vec<i32>,
    time_zone: Vec<ByteArray>,
    starts_at: Vec<i64>,
    ends_at: Vec<i64>,
    unit: Vec<ByteArray>,
    total: Optional<i64>,
    quality: Vec<ByteArray>,
    flags: Vec<ByteArray>,
    hours: Lists<i64>,
    hour_qualities: Lists<ByteArray>,
    hours_of: [Vec<i32>; 4],
    slots_read: Vec<i32>,
    slots_expected: Optional<i32>,
    uplinks: Vec<i32>,
    undecodable: Vec<i32>,
    uplinks_lost: Vec<i32>,
    lost_but_covered: Vec<i32>,
    restarts: Vec<i32>,
    timed: Vec<i64>,
    spread: Vec<i64>,
    unplaced: Vec<i64>,
    after_break: Vec<i64>,
    breaks: Vec<i32>,
    night_minimum: Optional<i64>,
    longest_still: Optional<i32>,
    device_flags: Vec<ByteArray>,
    battery_mv: Optional<i32>,
    last_contact: Optional<i64>,
    carry: Optional<ByteArray>,
}

impl Columns {
    fn push(&mut self, row: &DayRow, carry: Option<&str>) {
        let ledger = &row.ledger;
        self.device.push(self.device_text.of(row.device));
        self.channel.push(row.channel.as_str().into());
        self.day.push(int(month::number(row.day)));
        self.time_zone.push(row.zone.name().into());
        self.starts_at.push(row.start.unix() * 1_000);
        self.ends_at.push(row.end.unix() * 1_000);
        self.unit.push(UNITS.text(row.unit));
        self.total.push(row.total);
        self.quality.push(QUALITIES.text(row.quality));
        self.flags.push(row.flags.names().as_str().into());
        self.hours.push(row.hours.iter().copied());
        self.hour_qualities.push(row.hour_qualities.iter().map(|quality| Some(QUALITIES.text(*quality))));
        for (column, quality) in self.hours_of.iter_mut().zip(Quality::ALL) {
            column.push(int(row.hours_of(quality)));
        }
        self.slots_read.push(int(ledger.slots_read));
        self.slots_expected.push(ledger.slots_expected.map(int));
        self.uplinks.push(int(ledger.uplinks));
        self.undecodable.push(int(ledger.undecodable));
        self.uplinks_lost.push(int(ledger.uplinks_lost));
        self.lost_but_covered.push(int(ledger.lost_but_covered));
        self.restarts.push(int(ledger.restarts));
        self.timed.push(ledger.timed);
        self.spread.push(ledger.spread);
        self.unplaced.push(ledger.unplaced);
        self.after_break.push(ledger.after_break);
        self.breaks.push(int(ledger.breaks));
        self.night_minimum.push(row.night_minimum);
        self.longest_still.push(row.longest_still.map(int));
        let flags: Vec<String> = row.device_flags.iter().map(codec::Mark::to_string).collect();
        self.device_flags.push(flags.join(" ").as_str().into());
        self.battery_mv.push(row.battery_mv.map(i32::from));
        self.last_contact.push(row.last_contact.map(|at| at.unix() * 1_000));
        self.carry.push(carry.map(ByteArray::from));
    }

    /// Writes the columns, in the order of the schema.
    fn write(self, group: &mut SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<(), ParquetError> {
        write::<ByteArrayType>(group, &self.device, None)?;
        write::<ByteArrayType>(group, &self.channel, None)?;
        write::<Int32Type>(group, &self.day, None)?;
        write::<ByteArrayType>(group, &self.time_zone, None)?;
        write::<Int64Type>(group, &self.starts_at, None)?;
        write::<Int64Type>(group, &self.ends_at, None)?;
        write::<ByteArrayType>(group, &self.unit, None)?;
        write_optional::<Int64Type>(group, &self.total)?;
        write::<ByteArrayType>(group, &self.quality, None)?;
        write::<ByteArrayType>(group, &self.flags, None)?;
        write_lists::<Int64Type>(group, &self.hours)?;
        write_lists::<ByteArrayType>(group, &self.hour_qualities)?;
        for column in &self.hours_of {
            write::<Int32Type>(group, column, None)?;
        }
        write::<Int32Type>(group, &self.slots_read, None)?;
        write_optional::<Int32Type>(group, &self.slots_expected)?;
        for column in [&self.uplinks, &self.undecodable, &self.uplinks_lost, &self.lost_but_covered, &self.restarts] {
            write::<Int32Type>(group, column, None)?;
        }
        for column in [&self.timed, &self.spread, &self.unplaced, &self.after_break] {
            write::<Int64Type>(group, column, None)?;
        }
        write::<Int32Type>(group, &self.breaks, None)?;
        write_optional::<Int64Type>(group, &self.night_minimum)?;
        write_optional::<Int32Type>(group, &self.longest_still)?;
        write::<ByteArrayType>(group, &self.device_flags, None)?;
        write_optional::<Int32Type>(group, &self.battery_mv)?;
        write_optional::<Int64Type>(group, &self.last_contact)?;
        write_optional::<ByteArrayType>(group, &self.carry)
    }
}

fn int(count: impl TryInto<i32>) -> i32 {
    count.try_into().unwrap_or(i32::MAX)
}

/// The origin of a file's rows; `None` if this code did not write it.
pub(super) fn origin(footer: &ParquetMetaData) -> Option<Origin> {
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
pub(super) struct CarryColumns {
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

fn parse<T: std::str::FromStr>(column: &'static str, text: &ByteArray) -> Result<T, FileError> {
    text.as_utf8()?.parse().map_err(|_| FileError::Unknown { column, text: shortened(text) })
}

fn shortened(text: &ByteArray) -> String {
    String::from_utf8_lossy(text.data()).chars().take(64).collect()
}
