//! The archive's files: sorted, distinct rows in Parquet, with one fixed encoding. The same set of rows is always the same
//! bytes, for one version of the `parquet` crate.
//!
//! Columns of one device follow each other with small differences, which the encodings below store in few bits: 10 to 12
//! bytes a row in all. `docs/archive.md` lists the columns for other readers.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};
use pulsegate_model::at::{At, AtError};
use pulsegate_model::device::{DeviceId, DeviceIdError};
use pulsegate_model::uplink::{Kind, TimeSource};

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

/// A file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not Parquet, or Parquet with other columns.
    #[error("not a file of the archive: {0}")]
    Parquet(#[from] ParquetError),
    /// A device ID that is none.
    #[error(transparent)]
    Device(#[from] DeviceIdError),
    /// A time that is none.
    #[error(transparent)]
    At(#[from] AtError),
    /// A text without a meaning in its column.
    #[error("{column} {text:?} is not known")]
    Unknown {
        /// The column.
        column: &'static str,
        /// The text.
        text: String,
    },
    /// Rows that are not in order.
    #[error("the rows are not in order")]
    Order,
}

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

/// The properties of all files, with row groups of so many rows, and numbers with small differences in these columns.
pub(super) fn base_properties(row_group: usize, delta: &[&str]) -> WriterPropertiesBuilder {
    let column = |name: &str| ColumnPath::from(name);
    let mut properties = WriterProperties::builder()
        // A fixed name instead of the crate's version.
        .set_created_by("pulsegate 1".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(row_group))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        // A reader finds the row groups of a device by these.
        .set_column_statistics_enabled(column("device"), EnabledStatistics::Chunk);
    for name in delta {
        properties = properties
            .set_column_dictionary_enabled(column(name), false)
            .set_column_encoding(column(name), Encoding::DELTA_BINARY_PACKED);
    }
    properties
}

/// Writes sorted, distinct rows.
pub struct FileWriter {
    file: SerializedFileWriter<Vec<u8>>,
    group: Columns,
    last: Option<Row>,
}

impl FileWriter {
    /// An empty file.
    ///
    /// # Errors
    /// [`FileError::Parquet`], never in practice.
    pub fn new() -> Result<Self, FileError> {
        let schema = SCHEMA_TYPE.clone().map_err(ParquetError::General)?;
        let file = SerializedFileWriter::new(Vec::new(), schema, PROPERTIES.clone())?;
        Ok(Self { file, group: Columns::default(), last: None })
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
        self.group.push(&row);
        self.last = Some(row);
        if self.group.len() == ROW_GROUP { self.flush() } else { Ok(()) }
    }

    /// The file.
    ///
    /// # Errors
    /// [`FileError::Parquet`], never in practice.
    pub fn finish(mut self) -> Result<Bytes, FileError> {
        self.flush()?;
        Ok(self.file.into_inner()?.into())
    }

    fn flush(&mut self) -> Result<(), FileError> {
        if self.group.len() > 0 {
            let group = std::mem::take(&mut self.group);
            let mut writer = self.file.next_row_group()?;
            group.write(&mut writer)?;
            writer.close()?;
        }
        Ok(())
    }
}

/// The rows of a row group by column, as Parquet wants them: values that are there, and for optional columns a level of 1
/// for each value that is there.
#[derive(Default)]
struct Columns {
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

pub(super) struct Optional<T> {
    values: Vec<T>,
    levels: Vec<i16>,
}

impl<T> Default for Optional<T> {
    fn default() -> Self {
        Self { values: Vec::new(), levels: Vec::new() }
    }
}

impl<T> Optional<T> {
    pub(super) fn push(&mut self, value: Option<T>) {
        self.levels.push(value.is_some().into());
        self.values.extend(value);
    }
}

/// The ID of the last device as text: the same bytes for all rows in a row.
#[derive(Default)]
pub(super) struct DeviceText(Option<(DeviceId, ByteArray)>);

impl DeviceText {
    pub(super) fn of(&mut self, device: DeviceId) -> ByteArray {
        match &self.0 {
            Some((last, text)) if *last == device => text.clone(),
            _ => {
                let text = ByteArray::from(device.to_string().as_str());
                self.0 = Some((device, text.clone()));
                text
            }
        }
    }
}

impl Columns {
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

    /// Writes the columns, in the order of the schema.
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

pub(super) fn write_optional<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    column: &Optional<T::T>,
) -> Result<(), ParquetError> {
    write::<T>(group, &column.values, Some(&column.levels))
}

pub(super) fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("the schema has fewer columns".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
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
    let len = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
    Reader { group, len, next: 0 }.required::<ByteArrayType>()
}

/// Reads all rows of a row group.
///
/// # Errors
/// [`FileError`].
pub fn read_group(group: &dyn RowGroupReader) -> Result<Vec<Row>, FileError> {
    let mut columns = Reader::new(group);
    let len = columns.len;
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
    let mut rows = Vec::with_capacity(len);
    for nth in 0..len {
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

/// Reads the columns of a row group in order.
pub(super) struct Reader<'a> {
    group: &'a dyn RowGroupReader,
    len: usize,
    next: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(group: &'a dyn RowGroupReader) -> Self {
        Self { group, len: usize::try_from(group.metadata().num_rows()).unwrap_or(0), next: 0 }
    }

    pub(super) fn required<T: DataType>(&mut self) -> Result<Vec<T::T>, FileError> {
        let mut values = Vec::with_capacity(self.len);
        let (read, ..) = self.column::<T>()?.read_records(self.len, None, None, &mut values)?;
        self.check(read)?;
        Ok(values)
    }

    pub(super) fn optional<T: DataType>(&mut self) -> Result<OptionalValues<T::T>, FileError> {
        let (mut values, mut levels) = (Vec::new(), Vec::with_capacity(self.len));
        let (read, ..) = self.column::<T>()?.read_records(self.len, Some(&mut levels), None, &mut values)?;
        self.check(read)?;
        Ok(OptionalValues { values: values.into_iter(), levels: levels.into_iter() })
    }

    fn column<T: DataType>(&mut self) -> Result<ColumnReaderImpl<T>, FileError> {
        let missing = || ParquetError::General(format!("there is no column {} of its type", self.next));
        if self.next >= self.group.num_columns() {
            return Err(missing().into());
        }
        let column: ColumnReader = self.group.get_column_reader(self.next)?;
        let is = self.group.metadata().column(self.next).column_type();
        if is != T::get_physical_type() {
            return Err(missing().into());
        }
        self.next += 1;
        Ok(get_typed_column_reader(column))
    }

    fn check(&self, read: usize) -> Result<(), FileError> {
        let short = || ParquetError::General(format!("column {} is shorter than its row group", self.next - 1));
        if read == self.len { Ok(()) } else { Err(short().into()) }
    }
}

pub(super) struct OptionalValues<T> {
    values: std::vec::IntoIter<T>,
    levels: std::vec::IntoIter<i16>,
}

impl<T> OptionalValues<T> {
    pub(super) fn next(&mut self) -> Option<T> {
        if self.levels.next()? == 1 { self.values.next() } else { None }
    }
}

/// The device of the last row: the next one is most often of the same.
#[derive(Default)]
pub(super) struct Last(Option<(ByteArray, DeviceId)>);

impl Last {
    pub(super) fn parse(&mut self, text: &ByteArray) -> Result<DeviceId, FileError> {
        match &self.0 {
            Some((last, device)) if last == text => Ok(*device),
            _ => {
                let device = text.as_utf8()?.parse()?;
                self.0 = Some((text.clone(), device));
                Ok(device)
            }
        }
    }
}

/// The values of a column that has few, with their texts.
pub(super) struct Words<T: 'static> {
    pub(super) column: &'static str,
    pub(super) values: &'static [T],
    pub(super) text: fn(T) -> &'static str,
}

const KINDS: Words<Kind> = Words {
    column: "kind",
    values: &[Kind::Data, Kind::DataAdvanced],
    text: |kind| match kind {
        Kind::Data => "data",
        Kind::DataAdvanced => "data-advanced",
    },
};

pub(super) const TIME_SOURCES: Words<TimeSource> = Words {
    column: "time_source",
    values: &[TimeSource::Network, TimeSource::Device, TimeSource::Computed, TimeSource::Unset],
    text: |source| match source {
        TimeSource::Network => "network",
        TimeSource::Device => "device",
        TimeSource::Computed => "computed",
        TimeSource::Unset => "unset",
    },
};

impl<T: Copy> Words<T> {
    pub(super) fn text(&self, value: T) -> ByteArray {
        Bytes::from_static((self.text)(value).as_bytes()).into()
    }

    pub(super) fn value(&self, text: &ByteArray) -> Result<T, FileError> {
        let found = self.values.iter().copied().find(|&value| (self.text)(value).as_bytes() == text.data());
        let unknown = || FileError::Unknown {
            column: self.column,
            text: String::from_utf8_lossy(text.data()).chars().take(64).collect(),
        };
        found.ok_or_else(unknown)
    }
}

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
