//! Reads the rows of a file of uplinks device by device, a row group at a time.

use std::collections::{BTreeSet, VecDeque};

use parquet::file::metadata::ParquetMetaData;
use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use super::build::{BuildError, Known};
use crate::archive::place::Place;
use crate::archive::reader::{ArchiveError, FilePart, Footer, footer, range_of, read_part};
use crate::archive::row::Row;
use crate::archive::store::{ETag, Get, Got, ObjectStore, Part};

/// A file of uplinks, of one version from the first byte to the last.
pub(super) struct Source {
    pub(super) place: Place,
    pub(super) etag: ETag,
    key: String,
    size: u64,
    footer: ParquetMetaData,
    /// Row groups that are not read yet.
    groups: VecDeque<usize>,
    rows: VecDeque<(u32, Row)>,
}

/// The rows of a device.
pub(super) struct DeviceRows {
    pub(super) rows: Vec<Row>,
    /// The row groups that have them.
    pub(super) groups: BTreeSet<u32>,
}

impl Source {
    /// Opens a file; `None` if there is no such file. Reads only the `known` row groups if
    /// this is the known version.
    pub(super) async fn open(
        store: &impl ObjectStore,
        place: Place,
        known: Option<Known<'_>>,
        deadline: Instant,
    ) -> Result<Option<Self>, BuildError> {
        let key = place.to_string();
        let Some(Footer { etag, size, content }) = footer(store, &key, deadline).await? else { return Ok(None) };
        let all = 0..content.num_row_groups();
        let groups = match known {
            Some(Known { etag: of, groups, .. }) if *of == etag => {
                all.filter(|group| u32::try_from(*group).is_ok_and(|group| groups.contains(&group))).collect()
            }
            _ => all.collect(),
        };
        Ok(Some(Self { place, etag, key, size, footer: content, groups, rows: VecDeque::new() }))
    }

    /// The device of the next rows, all of which are in memory then; `None` after the last.
    pub(super) async fn next_device(
        &mut self,
        store: &impl ObjectStore,
        deadline: Instant,
    ) -> Result<Option<DeviceId>, BuildError> {
        loop {
            let device = self.rows.front().map(|(_, row)| row.device());
            if self.rows.back().map(|(_, row)| row.device()) != device {
                return Ok(device);
            }
            let Some(group) = self.groups.pop_front() else { return Ok(device) };
            self.read(group, store, deadline).await?;
        }
    }

    async fn read(&mut self, group: usize, store: &impl ObjectStore, deadline: Instant) -> Result<(), BuildError> {
        let range = range_of(&self.footer, group);
        let request = Get { key: &self.key, part: Part::Range(range.clone()), version: Some(&self.etag) };
        let Got::Object(part) = store.get(request, deadline).await.map_err(ArchiveError::from)? else {
            return Err(BuildError::Changed);
        };
        let part = FilePart { start: range.start, size: self.size, content: part.content };
        let rows = read_part(part, &self.footer, group);
        let rows = rows.map_err(|source| ArchiveError::File { key: self.key.clone(), source })?;
        let number = u32::try_from(group).unwrap_or(u32::MAX);
        self.rows.extend(rows.into_iter().map(|row| (number, row)));
        Ok(())
    }

    /// Takes the rows of this device, if it is the next.
    pub(super) fn take(&mut self, device: DeviceId) -> DeviceRows {
        let (mut rows, mut groups) = (Vec::new(), BTreeSet::new());
        while let Some((group, row)) = self.rows.pop_front_if(|(_, row)| row.device() == device) {
            groups.insert(group);
            rows.push(row);
        }
        DeviceRows { rows, groups }
    }
}
