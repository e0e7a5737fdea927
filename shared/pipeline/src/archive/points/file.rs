//! Files of points: their columns, and their one encoding. The same points and the same [`Origin`] are always the same
//! bytes, for one version of the `parquet` crate. `docs/points.md` describes the columns for other readers.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::TimeSource;

use super::origin::Origin;
use crate::archive::columns::{
    Columns, DeviceText, FileError, Last, Optional, Reader, TIME_SOURCES, Words, Writer, base_properties, write,
    write_optional,
};

/// Points of a row group. Those who read points read whole columns, so it is larger than that of uplinks.
pub(super) const ROW_GROUP: usize = 131_072;

/// `value` is unsigned; it has no unsigned type because some readers have none.
const SCHEMA: &str = "message point {
    REQUIRED BYTE_ARRAY device (STRING);
    REQUIRED BYTE_ARRAY channel (STRING);
    REQUIRED BYTE_ARRAY kind (STRING);
    REQUIRED INT64 at (TIMESTAMP(MILLIS,true));
    REQUIRED INT64 value;
    REQUIRED BYTE_ARRAY time_source (STRING);
    OPTIONAL INT32 counter_bits;
    REQUIRED BOOLEAN contradicted;
    REQUIRED BYTE_ARRAY codec (STRING);
    REQUIRED INT32 codec_version;
}";

/// The key of the [`Origin`] in the file's key-value metadata.
const ORIGIN: &str = "pulsegate.origin";

/// A row of a file. Rows sort by their first columns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PointRow {
    /// The device.
    pub device: DeviceId,
    /// Its channel.
    pub channel: String,
    /// The meaning of `value`.
    pub kind: ValueKind,
    /// The time of an index; the beginning or the end of a period, depending on the device's maker.
    pub at: At,
    /// An index or the pulses of a period.
    pub value: u64,
    /// See [`Point::time_source`](pulsegate_model::merge::Point::time_source).
    pub time_source: TimeSource,
    /// See [`Point::counter_bits`](pulsegate_model::merge::Point::counter_bits). `None` for a period.
    pub counter_bits: Option<u8>,
    /// There is another value of the same time. It is unknown which one is right.
    pub contradicted: bool,
    /// The codec of the device's last uplink with this channel, among those that have a part in the points of this day.
    pub codec: String,
    /// Its version.
    pub codec_version: u16,
}

/// The meaning of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueKind {
    /// The pulses of one period.
    Counted,
    /// The pulses until then, modulo the counter's width.
    Index,
}

pub(super) const KINDS: Words<ValueKind> = Words {
    column: "kind",
    values: &[ValueKind::Counted, ValueKind::Index],
    text: |kind| match kind {
        ValueKind::Counted => "counted",
        ValueKind::Index => "index",
    },
};

static SCHEMA_TYPE: LazyLock<Result<TypePtr, String>> =
    LazyLock::new(|| parse_message_type(SCHEMA).map(Arc::new).map_err(|e| e.to_string()));

static PROPERTIES: LazyLock<Arc<WriterProperties>> = LazyLock::new(|| {
    let properties = base_properties(ROW_GROUP, &["at", "value"]);
    Arc::new(properties.set_column_statistics_enabled(ColumnPath::from("at"), EnabledStatistics::Chunk).build())
});

/// Writes sorted points.
pub(super) type PointWriter = Writer<PointColumns>;

/// The entry of the file's metadata that has its origin.
pub(super) fn entry(origin: &Origin) -> [KeyValue; 1] {
    [KeyValue::new(ORIGIN.to_owned(), origin.to_json())]
}

/// The points of a row group by column.
#[derive(Default)]
pub(super) struct PointColumns {
    device: Vec<ByteArray>,
    device_text: DeviceText,
    channel: Vec<ByteArray>,
    kind: Vec<ByteArray>,
    at: Vec<i64>,
    value: Vec<i64>,
    time_source: Vec<ByteArray>,
    counter_bits: Optional<i32>,
    contradicted: Vec<bool>,
    codec: Vec<ByteArray>,
    codec_version: Vec<i32>,
}

impl Columns for PointColumns {
    type Row = PointRow;

    const ROW_GROUP: usize = ROW_GROUP;

    fn layout() -> Result<(TypePtr, Arc<WriterProperties>), FileError> {
        Ok((SCHEMA_TYPE.clone().map_err(ParquetError::General)?, PROPERTIES.clone()))
    }

    fn len(&self) -> usize {
        self.at.len()
    }

    fn push(&mut self, row: &PointRow) {
        self.device.push(self.device_text.of(row.device));
        self.channel.push(row.channel.as_str().into());
        self.kind.push(KINDS.text(row.kind));
        self.at.push(row.at.unix() * 1_000);
        self.value.push(row.value.cast_signed());
        self.time_source.push(TIME_SOURCES.text(row.time_source));
        self.counter_bits.push(row.counter_bits.map(i32::from));
        self.contradicted.push(row.contradicted);
        self.codec.push(row.codec.as_str().into());
        self.codec_version.push(row.codec_version.into());
    }

    fn write(self, group: &mut SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<(), ParquetError> {
        write::<ByteArrayType>(group, &self.device, None)?;
        write::<ByteArrayType>(group, &self.channel, None)?;
        write::<ByteArrayType>(group, &self.kind, None)?;
        write::<Int64Type>(group, &self.at, None)?;
        write::<Int64Type>(group, &self.value, None)?;
        write::<ByteArrayType>(group, &self.time_source, None)?;
        write_optional::<Int32Type>(group, &self.counter_bits)?;
        write::<BoolType>(group, &self.contradicted, None)?;
        write::<ByteArrayType>(group, &self.codec, None)?;
        write::<Int32Type>(group, &self.codec_version, None)
    }
}

/// The origin of a file's points; `None` if this code did not write it.
pub(super) fn origin(footer: &ParquetMetaData) -> Option<Origin> {
    let entries = footer.file_metadata().key_value_metadata()?;
    Origin::from_json(entries.iter().find(|entry| entry.key == ORIGIN)?.value.as_deref()?)
}

/// Reads a file.
///
/// # Errors
/// [`FileError`].
pub fn read(content: Bytes) -> Result<(Option<Origin>, Vec<PointRow>), FileError> {
    let file = SerializedFileReader::new(content)?;
    let mut rows = Vec::new();
    for group in 0..file.num_row_groups() {
        let group = file.get_row_group(group)?;
        let mut columns = Reader::new(group.as_ref());
        let devices = columns.required::<ByteArrayType>()?;
        let channels = columns.required::<ByteArrayType>()?;
        let kinds = columns.required::<ByteArrayType>()?;
        let times = columns.required::<Int64Type>()?;
        let values = columns.required::<Int64Type>()?;
        let time_sources = columns.required::<ByteArrayType>()?;
        let mut counter_bits = columns.optional::<Int32Type>()?;
        let contradicted = columns.required::<BoolType>()?;
        let codecs = columns.required::<ByteArrayType>()?;
        let versions = columns.required::<Int32Type>()?;
        let mut device = Last::default();
        for nth in 0..devices.len() {
            rows.push(PointRow {
                device: device.parse(&devices[nth])?,
                channel: channels[nth].as_utf8()?.to_owned(),
                kind: KINDS.value(&kinds[nth])?,
                at: At::from_unix(times[nth].div_euclid(1_000))?,
                value: values[nth].cast_unsigned(),
                time_source: TIME_SOURCES.value(&time_sources[nth])?,
                counter_bits: counter_bits.next().and_then(|bits| bits.try_into().ok()),
                contradicted: contradicted[nth],
                codec: codecs[nth].as_utf8()?.to_owned(),
                codec_version: versions[nth].try_into().unwrap_or_default(),
            });
        }
    }
    Ok((origin(file.metadata()), rows))
}
