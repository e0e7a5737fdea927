//! Files of assignments: their columns, and their one encoding. The same assignments are always the same bytes, for one
//! version of the `parquet` crate. `docs/meters.md` describes the columns for other readers.

use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::TypePtr;
use pulsegate_model::assignment::{Assignment, MeterText, PulseVolume};
use pulsegate_model::at::{At, AtError};

use crate::archive::columns::{DeviceText, FileError, Last, Optional, Reader, base_properties, write, write_optional};

/// More than a file has: 64 files of so many rows have 67 million assignments.
const ROW_GROUP: usize = 1_048_576;

/// Numbers are unsigned; they have no unsigned types because some readers have none. `q3` is in litres per hour.
const SCHEMA: &str = "message assignment {
    REQUIRED BYTE_ARRAY device (STRING);
    REQUIRED BYTE_ARRAY channel (STRING);
    OPTIONAL INT64 from (TIMESTAMP(MILLIS,true));
    OPTIONAL INT64 to (TIMESTAMP(MILLIS,true));
    REQUIRED INT64 litres_per_pulse (DECIMAL(10,3));
    OPTIONAL BYTE_ARRAY serial (STRING);
    OPTIONAL INT64 first_index;
    OPTIONAL INT64 last_index;
    REQUIRED BYTE_ARRAY time_zone (STRING);
    OPTIONAL INT64 q3;
    OPTIONAL INT64 max_per_hour;
    REQUIRED BOOLEAN can_reverse;
    OPTIONAL BYTE_ARRAY label (STRING);
    OPTIONAL BYTE_ARRAY site (STRING);
}";

static SCHEMA_TYPE: LazyLock<Result<TypePtr, String>> =
    LazyLock::new(|| parse_message_type(SCHEMA).map(Arc::new).map_err(|e| e.to_string()));

static PROPERTIES: LazyLock<Arc<WriterProperties>> =
    LazyLock::new(|| Arc::new(base_properties(ROW_GROUP, &["from", "to", "first_index", "last_index"]).build()));

/// Encodes assignments, which are sorted by device, channel and time.
///
/// # Errors
/// [`FileError::Parquet`], never in practice.
pub fn encode<'a>(assignments: impl IntoIterator<Item = &'a Assignment>) -> Result<Bytes, FileError> {
    let schema = SCHEMA_TYPE.clone().map_err(ParquetError::General)?;
    let mut file = SerializedFileWriter::new(Vec::new(), schema, PROPERTIES.clone())?;
    let mut columns = Columns::default();
    for assignment in assignments {
        columns.push(assignment);
        if columns.device.len() == ROW_GROUP {
            std::mem::take(&mut columns).write(&mut file)?;
        }
    }
    if !columns.device.is_empty() {
        columns.write(&mut file)?;
    }
    Ok(file.into_inner()?.into())
}

/// Decodes a file.
///
/// # Errors
/// [`FileError`].
pub fn decode(content: Bytes) -> Result<Vec<Assignment>, FileError> {
    let file = SerializedFileReader::new(content)?;
    let mut assignments = Vec::new();
    for group in 0..file.num_row_groups() {
        read_group(file.get_row_group(group)?.as_ref(), &mut assignments)?;
    }
    Ok(assignments)
}

/// The assignments of a row group by column.
#[derive(Default)]
struct Columns {
    device: Vec<ByteArray>,
    device_text: DeviceText,
    channel: Vec<ByteArray>,
    from: Optional<i64>,
    to: Optional<i64>,
    litres_per_pulse: Vec<i64>,
    serial: Optional<ByteArray>,
    first_index: Optional<i64>,
    last_index: Optional<i64>,
    time_zone: Vec<ByteArray>,
    q3: Optional<i64>,
    max_per_hour: Optional<i64>,
    can_reverse: Vec<bool>,
    label: Optional<ByteArray>,
    site: Optional<ByteArray>,
}

impl Columns {
    fn push(&mut self, assignment: &Assignment) {
        let millis = |at: Option<At>| at.map(|at| at.unix() * 1_000);
        let text = |text: &Option<MeterText>| text.as_ref().map(|text| ByteArray::from(text.as_str()));
        self.device.push(self.device_text.of(assignment.device));
        self.channel.push(assignment.channel.as_str().into());
        self.from.push(millis(assignment.from));
        self.to.push(millis(assignment.to));
        self.litres_per_pulse.push(assignment.litres_per_pulse.thousandths().cast_signed());
        self.serial.push(text(&assignment.serial));
        self.first_index.push(assignment.first_index.map(u64::cast_signed));
        self.last_index.push(assignment.last_index.map(u64::cast_signed));
        self.time_zone.push(assignment.time_zone.name().into());
        self.q3.push(assignment.q3.map(i64::from));
        self.max_per_hour.push(assignment.max_per_hour.map(u64::cast_signed));
        self.can_reverse.push(assignment.can_reverse);
        self.label.push(text(&assignment.label));
        self.site.push(text(&assignment.site));
    }

    fn write(self, file: &mut SerializedFileWriter<Vec<u8>>) -> Result<(), ParquetError> {
        let mut group = file.next_row_group()?;
        self.write_columns(&mut group)?;
        group.close().map(|_| ())
    }

    /// Writes the columns, in the order of the schema.
    fn write_columns(self, group: &mut SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<(), ParquetError> {
        write::<ByteArrayType>(group, &self.device, None)?;
        write::<ByteArrayType>(group, &self.channel, None)?;
        write_optional::<Int64Type>(group, &self.from)?;
        write_optional::<Int64Type>(group, &self.to)?;
        write::<Int64Type>(group, &self.litres_per_pulse, None)?;
        write_optional::<ByteArrayType>(group, &self.serial)?;
        write_optional::<Int64Type>(group, &self.first_index)?;
        write_optional::<Int64Type>(group, &self.last_index)?;
        write::<ByteArrayType>(group, &self.time_zone, None)?;
        write_optional::<Int64Type>(group, &self.q3)?;
        write_optional::<Int64Type>(group, &self.max_per_hour)?;
        write::<BoolType>(group, &self.can_reverse, None)?;
        write_optional::<ByteArrayType>(group, &self.label)?;
        write_optional::<ByteArrayType>(group, &self.site)
    }
}

fn read_group(group: &dyn RowGroupReader, assignments: &mut Vec<Assignment>) -> Result<(), FileError> {
    let mut columns = Reader::new(group);
    let devices = columns.required::<ByteArrayType>()?;
    let channel = columns.required::<ByteArrayType>()?;
    let mut from = columns.optional::<Int64Type>()?;
    let mut to = columns.optional::<Int64Type>()?;
    let litres_per_pulse = columns.required::<Int64Type>()?;
    let mut serial = columns.optional::<ByteArrayType>()?;
    let mut first_index = columns.optional::<Int64Type>()?;
    let mut last_index = columns.optional::<Int64Type>()?;
    let time_zone = columns.required::<ByteArrayType>()?;
    let mut q3 = columns.optional::<Int64Type>()?;
    let mut max_per_hour = columns.optional::<Int64Type>()?;
    let can_reverse = columns.required::<BoolType>()?;
    let mut label = columns.optional::<ByteArrayType>()?;
    let mut site = columns.optional::<ByteArrayType>()?;

    let mut device = Last::default();
    for nth in 0..devices.len() {
        assignments.push(Assignment {
            device: device.parse(&devices[nth])?,
            channel: parsed("channel", &channel[nth])?,
            from: time(from.next())?,
            to: time(to.next())?,
            litres_per_pulse: volume(litres_per_pulse[nth])?,
            serial: serial.next().map(|text| parsed("serial", &text)).transpose()?,
            first_index: first_index.next().map(i64::cast_unsigned),
            last_index: last_index.next().map(i64::cast_unsigned),
            time_zone: parsed("time_zone", &time_zone[nth])?,
            q3: q3.next().map(|q3| u32::try_from(q3).map_err(|_| unknown("q3", q3))).transpose()?,
            max_per_hour: max_per_hour.next().map(i64::cast_unsigned),
            can_reverse: can_reverse[nth],
            label: label.next().map(|text| parsed("label", &text)).transpose()?,
            site: site.next().map(|text| parsed("site", &text)).transpose()?,
        });
    }
    Ok(())
}

fn time(millis: Option<i64>) -> Result<Option<At>, AtError> {
    millis.map(|millis| At::from_unix(millis.div_euclid(1_000))).transpose()
}

fn volume(thousandths: i64) -> Result<PulseVolume, FileError> {
    let volume =
        u64::try_from(thousandths).ok().and_then(|thousandths| PulseVolume::from_thousandths(thousandths).ok());
    volume.ok_or_else(|| unknown("litres_per_pulse", thousandths))
}

fn parsed<T: FromStr>(column: &'static str, text: &ByteArray) -> Result<T, FileError> {
    let text = text.as_utf8()?;
    text.parse().map_err(|_| unknown(column, text))
}

fn unknown(column: &'static str, value: impl ToString) -> FileError {
    FileError::Unknown { column, text: value.to_string().chars().take(64).collect() }
}
