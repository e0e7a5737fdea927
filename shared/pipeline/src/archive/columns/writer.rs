//! Writes the rows of a file in order, a row group at a time.

use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::TypePtr;

use super::FileError;

/// The rows of a row group by column.
pub(in crate::archive) trait Columns: Default {
    /// A row.
    type Row;

    /// The rows of a row group.
    const ROW_GROUP: usize;

    /// The columns' types and encodings.
    fn layout() -> Result<(TypePtr, Arc<WriterProperties>), FileError>;

    /// The number of rows.
    fn len(&self) -> usize;

    /// Adds a row.
    fn push(&mut self, row: &Self::Row);

    /// Writes the columns, in the order of the schema.
    fn write(self, group: &mut SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<(), ParquetError>;
}

/// A file that is being written.
pub(in crate::archive) struct Writer<C> {
    file: SerializedFileWriter<Vec<u8>>,
    group: C,
}

impl<C: Columns> Writer<C> {
    /// An empty file.
    pub(in crate::archive) fn new() -> Result<Self, FileError> {
        let (schema, properties) = C::layout()?;
        let file = SerializedFileWriter::new(Vec::new(), schema, properties)?;
        Ok(Self { file, group: C::default() })
    }

    /// Appends a row.
    pub(in crate::archive) fn push(&mut self, row: &C::Row) -> Result<(), FileError> {
        self.group.push(row);
        if self.group.len() == C::ROW_GROUP { self.flush() } else { Ok(()) }
    }

    /// The file, with these entries in its metadata.
    pub(in crate::archive) fn finish(
        mut self,
        entries: impl IntoIterator<Item = KeyValue>,
    ) -> Result<Bytes, FileError> {
        self.flush()?;
        entries.into_iter().for_each(|entry| self.file.append_key_value_metadata(entry));
        Ok(self.file.into_inner()?.into())
    }

    fn flush(&mut self) -> Result<(), FileError> {
        if self.group.len() > 0 {
            let mut writer = self.file.next_row_group()?;
            std::mem::take(&mut self.group).write(&mut writer)?;
            writer.close()?;
        }
        Ok(())
    }
}
