//! Reads a day of all devices from the files of days.

use jiff::civil::Date;
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;
use pulsegate_model::day::DayRow;
use tokio::time::Instant;

use super::{DAYS, Month, file};
use crate::archive::columns::FileError;
use crate::archive::reader::ArchiveError;
use crate::archive::store::{Get, Got, ObjectStore};

/// Calls `row` with each row of a day, in order of device and channel within each file. Returns false if there is no file of
/// the month. It holds a file, and the rows of one row group.
///
/// # Errors
/// [`ArchiveError`] if a file cannot be read.
pub async fn rows_of(
    store: &impl ObjectStore,
    day: Date,
    deadline: Instant,
    mut row: impl FnMut(DayRow),
) -> Result<bool, ArchiveError> {
    let keys = keys(store, Month::of(day), deadline).await?;
    for key in &keys {
        let Got::Object(object) = store.get(Get::whole(key), deadline).await? else { continue };
        let mut read = || -> Result<(), FileError> {
            let content = SerializedFileReader::new(object.content.clone())?;
            for group in 0..content.num_row_groups() {
                let rows = file::read_group(content.get_row_group(group)?.as_ref())?;
                rows.into_iter().filter(|of| of.day == day).for_each(&mut row);
            }
            Ok(())
        };
        read().map_err(|source| ArchiveError::File { key: key.clone(), source })?;
    }
    Ok(!keys.is_empty())
}

async fn keys(store: &impl ObjectStore, month: Month, deadline: Instant) -> Result<Vec<String>, ArchiveError> {
    let prefix = format!("{DAYS}month={month}/");
    let mut keys: Vec<String> = Vec::new();
    loop {
        let page = store.list(&prefix, keys.last().map(String::as_str), deadline).await?;
        keys.extend(page.objects.into_iter().map(|listed| listed.key));
        if !page.truncated {
            return Ok(keys);
        }
    }
}
