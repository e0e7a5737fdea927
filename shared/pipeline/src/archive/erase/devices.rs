//! Counts the rows of a device in a Parquet file, by its footer and its first column.

use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::ReaderProperties;
use parquet::file::serialized_reader::SerializedRowGroupReader;

use super::Erase;
use crate::archive::columns::FileError;
use crate::archive::file;
use crate::archive::reader::{FOOTER, FilePart};
use crate::archive::store::{Got, Object, Part, StoreError};
use crate::archive::versions::{Version, VersionedStore};

/// The rows of the device in a version of a file, whose first column must be `device`. A version that is gone has none.
pub(super) async fn rows_of<S: VersionedStore + Sync>(
    erase: &Erase<'_, S>,
    version: &Version,
) -> Result<Result<usize, FileError>, StoreError> {
    let get = |part| erase.store.version(version, part, erase.deadline());
    let mut last = FOOTER;
    let (end, footer) = loop {
        let Got::Object(end) = get(Part::Last(last)).await? else { return Ok(Ok(0)) };
        match footer(&end) {
            Ok(footer) => break (end, footer),
            Err(ParquetError::NeedMoreData(needed)) if needed as u64 > last => last = needed as u64,
            Err(error) => return Ok(Err(error.into())),
        }
    };
    let text = erase.device.to_string();
    let mut rows = 0;
    for group in file::groups_of(erase.device, &footer) {
        let column = footer.row_group(group).column(0);
        if column.column_path().string() != "device" {
            return Ok(Err(ParquetError::General("the first column is not device".to_owned()).into()));
        }
        let (start, length) = column.byte_range();
        let Got::Object(part) = get(Part::Range(start..start + length)).await? else { return Ok(Ok(0)) };
        let part = FilePart { start, size: end.size, content: part.content };
        match devices(part, &footer, group) {
            Ok(devices) => rows += devices.iter().filter(|device| device.data() == text.as_bytes()).count(),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(rows))
}

fn footer(end: &Object) -> Result<ParquetMetaData, ParquetError> {
    let mut reader = ParquetMetaDataReader::new();
    reader.try_parse_sized(&end.content, end.size)?;
    reader.finish()
}

fn devices(
    part: FilePart,
    footer: &ParquetMetaData,
    group: usize,
) -> Result<Vec<parquet::data_type::ByteArray>, FileError> {
    let properties = Arc::new(ReaderProperties::builder().build());
    let (of_group, index) = (footer.row_group(group), footer.page_index_for_row_group(group));
    file::read_devices(&SerializedRowGroupReader::new(Arc::new(part), of_group, index, properties)?)
}
