//! Columns of Parquet files, as the files of uplinks and those of points have them: their encodings, and how a row group
//! of them is written and read.

use std::iter::{Peekable, Zip};

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::reader::RowGroupReader;
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::ColumnPath;
use pulsegate_model::assignment::Overlap;
use pulsegate_model::at::AtError;
use pulsegate_model::codec::{ChannelError, UnknownMark};
use pulsegate_model::device::{DeviceId, DeviceIdError};
use pulsegate_model::uplink::TimeSource;

mod writer;

pub(super) use writer::{Columns, Writer};

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
    /// Assignments of one channel at the same time.
    #[error("an assignment {0}")]
    Overlap(#[from] Overlap),
    /// A channel that is none.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// A flag that is none.
    #[error(transparent)]
    Mark(#[from] UnknownMark),
    /// Rows that are not in order.
    #[error("the rows are not in order")]
    Order,
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

/// A column with values that may be absent, as Parquet wants it: the values that are there, and for each row a level, which is
/// 1 if its value is there.
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

/// A column of lists whose elements may be absent, as Parquet wants it. For each element a level tells if it begins a list, and
/// another if it is there (2), absent (1), or the mark of an empty list (0).
/// (<https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#lists>)
pub(super) struct Lists<T> {
    values: Vec<T>,
    levels: Vec<i16>,
    begins: Vec<i16>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { values: Vec::new(), levels: Vec::new(), begins: Vec::new() }
    }
}

impl<T> Lists<T> {
    pub(super) fn push(&mut self, list: impl IntoIterator<Item = Option<T>>) {
        let first = self.levels.len();
        for element in list {
            self.begins.push((self.levels.len() > first).into());
            self.levels.push(if element.is_some() { 2 } else { 1 });
            self.values.extend(element);
        }
        if self.levels.len() == first {
            self.begins.push(0);
            self.levels.push(0);
        }
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

pub(super) fn write_optional<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    column: &Optional<T::T>,
) -> Result<(), ParquetError> {
    write::<T>(group, &column.values, Some(&column.levels))
}

pub(super) fn write_lists<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    column: &Lists<T::T>,
) -> Result<(), ParquetError> {
    write_levels::<T>(group, &column.values, Some(&column.levels), Some(&column.begins))
}

pub(super) fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    write_levels::<T>(group, values, levels, None)
}

fn write_levels<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    levels: Option<&[i16]>,
    begins: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("the schema has fewer columns".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, levels, begins)?;
    column.close()
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

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.len
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

    /// The lists of a column of [`Lists`].
    pub(super) fn lists<T: DataType>(&mut self) -> Result<ListValues<T::T>, FileError> {
        let (mut values, mut levels, mut begins) = (Vec::new(), Vec::new(), Vec::new());
        let (read, ..) =
            self.column::<T>()?.read_records(self.len, Some(&mut levels), Some(&mut begins), &mut values)?;
        self.check(read)?;
        Ok(ListValues { values: values.into_iter(), levels: levels.into_iter().zip(begins).peekable() })
    }

    /// Goes on with the last column.
    pub(super) fn skip_to_last(&mut self) {
        self.next = self.group.num_columns().saturating_sub(1);
    }

    /// A column that is read in batches.
    pub(super) fn batches<T: DataType>(&mut self) -> Result<Batches<T>, FileError> {
        Ok(Batches { column: self.column::<T>()?, values: Vec::new(), levels: Vec::new() })
    }

    /// Leaves out a column.
    pub(super) fn skip(&mut self) {
        self.next += 1;
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

pub(super) struct ListValues<T> {
    values: std::vec::IntoIter<T>,
    levels: Peekable<Zip<std::vec::IntoIter<i16>, std::vec::IntoIter<i16>>>,
}

impl<T> ListValues<T> {
    /// The next list.
    pub(super) fn next(&mut self) -> Vec<Option<T>> {
        let mut list = Vec::new();
        let mut level = self.levels.next();
        while let Some((of, _)) = level {
            match of {
                0 => {}
                1 => list.push(None),
                _ => list.push(self.values.next()),
            }
            level = self.levels.next_if(|(_, begins)| *begins > 0);
        }
        list
    }
}

/// A column of a row group, of which a batch of values is in memory.
pub(super) struct Batches<T: DataType> {
    column: ColumnReaderImpl<T>,
    values: Vec<T::T>,
    levels: Vec<i16>,
}

impl<T: DataType> Batches<T> {
    /// Reads the next values, so many.
    pub(super) fn required(&mut self, len: usize) -> Result<&[T::T], FileError> {
        self.read(len)?;
        Ok(&self.values)
    }

    /// The same of a column with values that may be absent.
    pub(super) fn optional(&mut self, len: usize) -> Result<impl Iterator<Item = Option<&T::T>>, FileError> {
        self.read(len)?;
        let mut values = self.values.iter();
        Ok(self.levels.iter().map(move |level| if *level == 1 { values.next() } else { None }))
    }

    fn read(&mut self, len: usize) -> Result<(), FileError> {
        self.values.clear();
        self.levels.clear();
        let (read, ..) = self.column.read_records(len, Some(&mut self.levels), None, &mut self.values)?;
        let short = || ParquetError::General("a column is shorter than its row group".to_owned());
        if read == len { Ok(()) } else { Err(short().into()) }
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
