//! The archive's files: sorted, distinct rows in Parquet, with one fixed encoding. The same set of rows is always the same
//! bytes, for one version of the `parquet` crate.
//!
//! Columns of one device follow each other with small differences, which the encodings below store in few bits: 10 to 12
//! bytes a row in all. `docs/archive.md` lists the columns for other readers.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::Kind;

use super::columns::{
    Columns, DeviceText, FileError, Last, Optional, Reader, TIME_SOURCES, Words, Writer, base_properties, write,
    write_optional,
};
use super::row::Row;

/// Rows of a row group: a reader of one device reads one or two of them, 400 KB each.
pub const ROW_GROUP: usize = 32_768;

/// `at` is in seconds since 1970. Levels are in dB.
const SCHEMA: &str = "message uplink {
    REQUIRED BYTE_ARRAY device (STRING);
    REQUIRED INT64 at;
    OPTIONAL INT32 sequence (INTEGER(32,false));
    REQUIRED BYTE_ARRAY kind (STRING);
    REQUIRED BYTE_ARRAY time_source (STRING);
    REQUIRED BYTE_ARRAY profile (STRING);
    REQUIRED BYTE_ARRAY payload;
    OPTIONAL INT32 rssi (DECIMAL(6,2));
    OPTIONAL INT32 snr (DECIMAL(6,2));
    OPTIONAL BYTE_ARRAY station (STRING);
    OPTIONAL INT32 signal_quality (INTEGER(8,false));
}";

static SCHEMA_TYPE: LazyLock<Result<TypePtr, String>> =
    LazyLock::new(|| parse_message_type(SCHEMA).map(Arc::new).map_err(|e| e.to_string()));

static PROPERTIES: LazyLock<Arc<WriterProperties>> = LazyLock::new(|| Arc::new(properties()));

fn properties() -> WriterProperties {
    let column = |name: &str| ColumnPath::from(name);
    base_properties(ROW_GROUP, &["at", "sequence", "rssi", "snr", "signal_quality"])
        .set_column_dictionary_enabled(column("payload"), false)
        .set_column_encoding(column("payload"), Encoding::DELTA_BYTE_ARRAY)
        .build()
}

/// Writes sorted, distinct rows.
pub struct FileWriter {
    file: Writer<UplinkColumns>,
    last: Option<Row>,
}

impl FileWriter {
    /// An empty file.
    ///
    /// # Errors
    /// [`FileError::Parquet`], never in practice.
    pub fn new() -> Result<Self, FileError> {
        Ok(Self { file: Writer::new()?, last: None })
    }

    /// Appends a row. Ignores one that equals the last.
    ///
    /// # Errors
    /// [`FileError::Order`] if it is less than the last.
    pub fn push(&mut self, row: Row) -> Result<(), FileError> {
        match self.last.as_ref().map(|last| last.cmp(&row)) {
            Some(std::cmp::Ordering::Equal) => return Ok(()),
            Some(std::cmp::Ordering::Greater) => return Err(FileError::Order),
            Some(std::cmp::Ordering::Less) | None => {}
        }
        self.file.push(&row)?;
        self.last = Some(row);
        Ok(())
    }

    /// The file.
    ///
    /// # Errors
    /// [`FileError::Parquet`], never in practice.
    pub fn finish(self) -> Result<Bytes, FileError> {
        self.file.finish([])
    }
}

/// The rows of a row group by column.
#[derive(Default)]
struct UplinkColumns {
    device: Vec<ByteArray>,
    device_text: DeviceText,
    at: Vec<i64>,
    sequence: Optional<i32>,
    kind: Vec<ByteArray>,
    time_source: Vec<ByteArray>,
    profile: Vec<ByteArray>,
    payload: Vec<ByteArray>,
    rssi: Optional<i32>,
    snr: Optional<i32>,
    station: Optional<ByteArray>,
    signal_quality: Optional<i32>,
}

impl Columns for UplinkColumns {
    type Row = Row;

    const ROW_GROUP: usize = ROW_GROUP;

    fn layout() -> Result<(TypePtr, Arc<WriterProperties>), FileError> {
        Ok((SCHEMA_TYPE.clone().map_err(ParquetError::General)?, PROPERTIES.clone()))
    }

    fn len(&self) -> usize {
        self.at.len()
    }

    fn push(&mut self, row: &Row) {
        self.device.push(self.device_text.of(row.device));
        self.at.push(row.at.unix());
        self.sequence.push(row.sequence.map(u32::cast_signed));
        self.kind.push(KINDS.text(row.kind));
        self.time_source.push(TIME_SOURCES.text(row.time_source));
        self.profile.push(row.profile.clone());
        self.payload.push(row.payload.clone());
        self.rssi.push(row.rssi);
        self.snr.push(row.snr);
        self.station.push(row.station.clone());
        self.signal_quality.push(row.signal_quality.map(i32::from));
    }

    fn write(self, group: &mut SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<(), ParquetError> {
        write::<ByteArrayType>(group, &self.device, None)?;
        write::<Int64Type>(group, &self.at, None)?;
        write_optional::<Int32Type>(group, &self.sequence)?;
        write::<ByteArrayType>(group, &self.kind, None)?;
        write::<ByteArrayType>(group, &self.time_source, None)?;
        write::<ByteArrayType>(group, &self.profile, None)?;
        write::<ByteArrayType>(group, &self.payload, None)?;
        write_optional::<Int32Type>(group, &self.rssi)?;
        write_optional::<Int32Type>(group, &self.snr)?;
        write_optional::<ByteArrayType>(group, &self.station)?;
        write_optional::<Int32Type>(group, &self.signal_quality)
    }
}

/// Reads the rows of a file in order, a row group at a time.
pub struct FileRows {
    file: SerializedFileReader<Bytes>,
    next_group: usize,
    rows: VecDeque<Row>,
}

impl FileRows {
    /// The rows of this file.
    ///
    /// # Errors
    /// [`FileError::Parquet`].
    pub fn new(content: Bytes) -> Result<Self, FileError> {
        Ok(Self { file: SerializedFileReader::new(content)?, next_group: 0, rows: VecDeque::new() })
    }

    /// The next row; `None` after the last.
    ///
    /// # Errors
    /// [`FileError`] if the row group cannot be read.
    pub fn next_row(&mut self) -> Result<Option<Row>, FileError> {
        while self.rows.is_empty() && self.next_group < self.file.num_row_groups() {
            self.rows = read_group(self.file.get_row_group(self.next_group)?.as_ref())?.into();
            self.next_group += 1;
        }
        Ok(self.rows.pop_front())
    }
}

/// The number of rows of a file, of its footer.
///
/// # Errors
/// [`FileError::Parquet`].
pub fn rows(content: Bytes) -> Result<usize, FileError> {
    let file = SerializedFileReader::new(content)?;
    Ok(usize::try_from(file.metadata().file_metadata().num_rows()).unwrap_or(0))
}

/// Row groups that may have rows of a device, by their statistics.
pub fn groups_of(device: DeviceId, footer: &ParquetMetaData) -> Vec<usize> {
    let device = device.to_string();
    let may_have = |&group: &usize| {
        let statistics = footer.row_group(group).column(0).statistics();
        let bounds = statistics.and_then(|of| Some((of.min_bytes_opt()?, of.max_bytes_opt()?)));
        bounds.is_none_or(|(min, max)| (min..=max).contains(&device.as_bytes()))
    };
    (0..footer.num_row_groups()).filter(may_have).collect()
}

/// Reads the first column of a row group, `device`.
pub(super) fn read_devices(group: &dyn RowGroupReader) -> Result<Vec<ByteArray>, FileError> {
    Reader::new(group).required::<ByteArrayType>()
}

/// Reads all rows of a row group.
///
/// # Errors
/// [`FileError`].
pub fn read_group(group: &dyn RowGroupReader) -> Result<Vec<Row>, FileError> {
    let mut columns = Reader::new(group);
    let devices = columns.required::<ByteArrayType>()?;
    let at = columns.required::<Int64Type>()?;
    let mut sequence = columns.optional::<Int32Type>()?;
    let kind = columns.required::<ByteArrayType>()?;
    let time_source = columns.required::<ByteArrayType>()?;
    let mut profile = columns.required::<ByteArrayType>()?.into_iter();
    let mut payload = columns.required::<ByteArrayType>()?.into_iter();
    let mut rssi = columns.optional::<Int32Type>()?;
    let mut snr = columns.optional::<Int32Type>()?;
    let mut station = columns.optional::<ByteArrayType>()?;
    let mut signal_quality = columns.optional::<Int32Type>()?;

    let mut device = Last::default();
    let mut rows = Vec::with_capacity(devices.len());
    for nth in 0..devices.len() {
        rows.push(Row {
            device: device.parse(&devices[nth])?,
            at: At::from_unix(at[nth])?,
            sequence: sequence.next().map(i32::cast_unsigned),
            kind: KINDS.value(&kind[nth])?,
            time_source: TIME_SOURCES.value(&time_source[nth])?,
            profile: profile.next().unwrap_or_default(),
            payload: payload.next().unwrap_or_default(),
            rssi: rssi.next(),
            snr: snr.next(),
            station: station.next(),
            signal_quality: signal_quality.next().and_then(|quality| quality.try_into().ok()),
        });
    }
    Ok(rows)
}

const KINDS: Words<Kind> = Words {
    column: "kind",
    values: &[Kind::Data, Kind::DataAdvanced, Kind::Event],
    text: |kind| match kind {
        Kind::Data => "data",
        Kind::DataAdvanced => "data-advanced",
        Kind::Event => "event",
    },
};

/// The union of a file and of new rows, encoded.
///
/// # Errors
/// [`FileError`] if the file cannot be read.
pub fn union(old: Option<Bytes>, mut new: Vec<Row>) -> Result<Bytes, FileError> {
    new.sort_unstable();
    let mut new = new.into_iter().peekable();
    let mut writer = FileWriter::new()?;
    if let Some(old) = old {
        let mut rows = FileRows::new(old)?;
        while let Some(row) = rows.next_row()? {
            while let Some(before) = new.next_if(|new| *new < row) {
                writer.push(before)?;
            }
            writer.push(row)?;
        }
    }
    for row in new {
        writer.push(row)?;
    }
    writer.finish()
}

/// A file without the rows of a device; `None` if it has none. A file may have no rows left.
///
/// # Errors
/// [`FileError`] if the file cannot be read.
pub fn without(old: Bytes, device: DeviceId) -> Result<Option<Bytes>, FileError> {
    let mut writer = FileWriter::new()?;
    let mut rows = FileRows::new(old)?;
    let mut found = false;
    while let Some(row) = rows.next_row()? {
        if row.device == device {
            found = true;
        } else {
            writer.push(row)?;
        }
    }
    found.then(|| writer.finish()).transpose()
}
