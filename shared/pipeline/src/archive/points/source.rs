//! Reads the rows of a file of uplinks device by device, a row group at a time.

use std::collections::{BTreeSet, VecDeque};

use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use super::build::Known;
use crate::archive::file;
use crate::archive::place::Place;
use crate::archive::row::Row;
use crate::archive::store::{ETag, ObjectStore};
use crate::archive::stream::{Groups, SourceError};

/// A file of uplinks, of one version from the first byte to the last.
pub(super) struct Source {
    pub(super) place: Place,
    groups: Groups,
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
    ) -> Result<Option<Self>, SourceError> {
        let Some(mut groups) = Groups::open(store, place.to_string(), deadline).await? else { return Ok(None) };
        if let Some(known) = known.filter(|known| *known.etag == groups.etag) {
            groups.retain(|group| u32::try_from(group).is_ok_and(|group| known.groups.contains(&group)));
        }
        Ok(Some(Self { place, groups, rows: VecDeque::new() }))
    }

    /// The version of the file.
    pub(super) fn etag(&self) -> &ETag {
        &self.groups.etag
    }

    /// The device of the next rows, all of which are in memory then; `None` after the last.
    pub(super) async fn next_device(
        &mut self,
        store: &impl ObjectStore,
        deadline: Instant,
    ) -> Result<Option<DeviceId>, SourceError> {
        loop {
            let device = self.rows.front().map(|(_, row)| row.device());
            if self.rows.back().map(|(_, row)| row.device()) != device {
                return Ok(device);
            }
            let read = self.groups.next(usize::MAX, file::read_group, store, deadline).await?;
            let Some((group, rows)) = read else { return Ok(device) };
            let number = u32::try_from(group).unwrap_or(u32::MAX);
            self.rows.extend(rows.into_iter().map(|row| (number, row)));
        }
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
