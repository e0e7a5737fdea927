//! Files of days: their columns, and their one encoding. The same rows and the same [`Origin`] are always the same
//! bytes, for one version of the `parquet` crate. `docs/days.md` describes the columns for other readers.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::TypePtr;
use pulsegate_model::codec;
use pulsegate_model::consumption::{Quality, Unit};
use pulsegate_model::day::{Carry, DayRow};
use pulsegate_model::device::DeviceId;

use super::month;
use super::origin::Origin;
use crate::archive::columns::{
    DeviceText, FileError, Lists, Optional, Words, base_properties, write, write_lists, write_optional,
};

mod read;

pub(super) use read::{CarryColumns, origin};
pub use read::{DaysFile, read, read_group};

/// Rows of a row group: a thousand channels for a month. A row has two lists of 24 elements, so a row group of so many
/// rows takes some 50 MB of memory while it is written.
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

/// Encodes a file with rows that are computed in another way, which tests compare with what was written.
///
/// # Errors
/// [`FileError`].
pub fn encode(rows: &[DayRow], carries: &BTreeMap<DeviceId, Carry>, origin: &Origin) -> Result<Bytes, FileError> {
    let mut writer = DayWriter::new()?;
    for (nth, row) in rows.iter().enumerate() {
        let is_last = rows.get(nth + 1).is_none_or(|next| next.device != row.device);
        let carry = carries.get(&row.device).filter(|_| is_last);
        writer.push(row, carry.and_then(|carry| serde_json::to_string(carry).ok()).as_deref())?;
    }
    writer.finish(origin)
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
