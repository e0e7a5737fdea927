//! Files of reports: their columns, and their one encoding. The same reports are always the same bytes, for one version of
//! the `parquet` crate. `docs/points.md` describes the columns for other readers.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader as _, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};
use pulsegate_model::at::At;
use pulsegate_model::codec::Mark;
use pulsegate_model::consumption::PeriodEnd;
use pulsegate_model::day::{Report, ReportKind};
use pulsegate_model::device::DeviceId;

use crate::archive::columns::{
    Batches, Columns, DeviceText, FileError, Optional, Reader, Words, Writer, base_properties, write, write_optional,
};
use crate::archive::stream::{DeviceColumns, Devices};

/// Reports of a row group, as many as points in theirs.
const ROW_GROUP: usize = 131_072;

/// `number` and `period` are unsigned and of 32 bits; some readers have no unsigned type.
const SCHEMA: &str = "message report {
    REQUIRED BYTE_ARRAY device (STRING);
    REQUIRED INT64 at (TIMESTAMP(MILLIS,true));
    OPTIONAL INT64 number;
    REQUIRED BYTE_ARRAY kind (STRING);
    OPTIONAL INT64 period;
    REQUIRED BYTE_ARRAY counted_at (STRING);
    OPTIONAL INT32 battery_mv;
    REQUIRED BYTE_ARRAY flags (STRING);
}";

const KINDS: Words<ReportKind> = Words {
    column: "kind",
    values: &[ReportKind::Uplink, ReportKind::Undecodable, ReportKind::Event],
    text: |kind| match kind {
        ReportKind::Uplink => "uplink",
        ReportKind::Undecodable => "undecodable",
        ReportKind::Event => "event",
    },
};

const ENDS: Words<PeriodEnd> = Words {
    column: "counted_at",
    values: &[PeriodEnd::Start, PeriodEnd::End],
    text: |end| match end {
        PeriodEnd::Start => "start",
        PeriodEnd::End => "end",
    },
};

static SCHEMA_TYPE: LazyLock<Result<TypePtr, String>> =
    LazyLock::new(|| parse_message_type(SCHEMA).map(Arc::new).map_err(|e| e.to_string()));

static PROPERTIES: LazyLock<Arc<WriterProperties>> = LazyLock::new(|| {
    let properties = base_properties(ROW_GROUP, &["at", "number"]);
    Arc::new(properties.set_column_statistics_enabled(ColumnPath::from("at"), EnabledStatistics::Chunk).build())
});

/// Writes sorted reports.
pub(in crate::archive) type ReportWriter = Writer<ReportColumns>;

/// The reports of a row group by column.
#[derive(Default)]
pub(in crate::archive) struct ReportColumns {
    device: Vec<ByteArray>,
    device_text: DeviceText,
    at: Vec<i64>,
    number: Optional<i64>,
    kind: Vec<ByteArray>,
    period: Optional<i64>,
    counted_at: Vec<ByteArray>,
    battery_mv: Optional<i32>,
    flags: Vec<ByteArray>,
}

impl Columns for ReportColumns {
    type Row = (DeviceId, Report);

    const ROW_GROUP: usize = ROW_GROUP;

    fn layout() -> Result<(TypePtr, Arc<WriterProperties>), FileError> {
        Ok((SCHEMA_TYPE.clone().map_err(ParquetError::General)?, PROPERTIES.clone()))
    }

    fn len(&self) -> usize {
        self.at.len()
    }

    fn push(&mut self, (device, report): &Self::Row) {
        self.device.push(self.device_text.of(*device));
        self.at.push(report.at.unix() * 1_000);
        self.number.push(report.number.map(i64::from));
        self.kind.push(KINDS.text(report.kind));
        self.period.push(report.period.map(i64::from));
        self.counted_at.push(ENDS.text(report.counted_at));
        self.battery_mv.push(report.battery_mv.map(i32::from));
        self.flags.push(names(&report.flags).as_str().into());
    }

    fn write(self, group: &mut SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<(), ParquetError> {
        write::<ByteArrayType>(group, &self.device, None)?;
        write::<Int64Type>(group, &self.at, None)?;
        write_optional::<Int64Type>(group, &self.number)?;
        write::<ByteArrayType>(group, &self.kind, None)?;
        write_optional::<Int64Type>(group, &self.period)?;
        write::<ByteArrayType>(group, &self.counted_at, None)?;
        write_optional::<Int32Type>(group, &self.battery_mv)?;
        write::<ByteArrayType>(group, &self.flags, None)
    }
}

/// Flags, joined by spaces: their names have none.
fn names(flags: &BTreeSet<Mark>) -> String {
    flags.iter().map(Mark::to_string).collect::<Vec<_>>().join(" ")
}

/// Reads [`names`].
fn flags(names: &str) -> Result<BTreeSet<Mark>, FileError> {
    let names = names.split(' ').filter(|name| !name.is_empty());
    names.map(|name| Ok(name.parse()?)).collect()
}

/// Columns that are read.
pub(in crate::archive) struct ReadColumns {
    device: Batches<ByteArrayType>,
    at: Batches<Int64Type>,
    number: Batches<Int64Type>,
    kind: Batches<ByteArrayType>,
    period: Batches<Int64Type>,
    counted_at: Batches<ByteArrayType>,
    battery_mv: Batches<Int32Type>,
    flags: Batches<ByteArrayType>,
}

impl DeviceColumns for ReadColumns {
    type Rows = Vec<Report>;

    const COLUMNS: usize = 8;

    fn open(group: &dyn RowGroupReader) -> Result<Self, FileError> {
        let mut columns = Reader::new(group);
        Ok(Self {
            device: columns.batches()?,
            at: columns.batches()?,
            number: columns.batches()?,
            kind: columns.batches()?,
            period: columns.batches()?,
            counted_at: columns.batches()?,
            battery_mv: columns.batches()?,
            flags: columns.batches()?,
        })
    }

    fn read(&mut self, len: usize, rows: &mut Devices<Self::Rows>) -> Result<(), FileError> {
        let (devices, times, kinds) = (self.device.required(len)?, self.at.required(len)?, self.kind.required(len)?);
        let (ends, names) = (self.counted_at.required(len)?, self.flags.required(len)?);
        let (mut numbers, mut periods) = (self.number.optional(len)?, self.period.optional(len)?);
        let mut batteries = self.battery_mv.optional(len)?;
        for nth in 0..len {
            let unsigned = |number: Option<&i64>| number.and_then(|&number| number.try_into().ok());
            rows.of(&devices[nth])?.push(Report {
                at: At::from_unix(times[nth].div_euclid(1_000))?,
                number: unsigned(numbers.next().flatten()),
                kind: KINDS.value(&kinds[nth])?,
                period: unsigned(periods.next().flatten()),
                counted_at: ENDS.value(&ends[nth])?,
                battery_mv: batteries.next().flatten().and_then(|&battery| battery.try_into().ok()),
                flags: flags(names[nth].as_utf8()?)?,
            });
        }
        Ok(())
    }
}

/// Reads a file: each device with its reports.
///
/// # Errors
/// [`FileError`].
pub fn read(content: Bytes) -> Result<Vec<(DeviceId, Vec<Report>)>, FileError> {
    let file = SerializedFileReader::new(content)?;
    let mut devices = Devices::default();
    for group in 0..file.num_row_groups() {
        let group = file.get_row_group(group)?;
        let len = Reader::new(group.as_ref()).len();
        ReadColumns::open(group.as_ref())?.read(len, &mut devices)?;
    }
    Ok(devices.into_inner())
}
