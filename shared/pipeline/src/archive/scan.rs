//! Reads the uplinks of all devices, of all days or of a span, file by file.
//!
//! `new/` is read first and whole, for the reason that [`reader`](super::reader) gives; then the files are listed. A row
//! that is acknowledged when the scan begins is in `new/` as it was read, or in a file that is listed and read
//! afterwards: files only grow. So a scan is not disturbed by later runs of `settle`, however long it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use pulsegate_model::at::At;
use pulsegate_model::uplink::Uplink;
use tokio::time::Instant;

use super::file::FileRows;
use super::place::{DAY, Day, Place};
use super::reader::{Archive, ArchiveError, MAX_RESTARTS};
use super::row::Row;
use super::store::{Get, Got, ObjectStore, StoreError};
use super::tombstones;
use crate::tombstones::Tombstones;

/// The beginning of a scan: its places, and the rows of `new/`, which stay in memory. There are a quarter of an hour's of
/// these, and more if `settle` stands still.
///
/// Tasks that share a scan divide the work by place: the rows of a key are all of one place. The places done are the
/// position from which another scan can go on.
#[derive(Debug)]
pub struct Scan<'a, S> {
    archive: &'a Archive<S>,
    from: At,
    to: At,
    places: BTreeSet<Place>,
    new: BTreeMap<Place, BTreeSet<Row>>,
    tombstones: Tombstones,
}

impl<S: ObjectStore> Archive<S> {
    /// Begins a scan of the uplinks from one time to another, both included, without those of erased devices.
    /// [`At::EPOCH`] and [`At::MAX`] include all.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn scan(&self, from: At, to: At, deadline: Instant) -> Result<Scan<'_, S>, ArchiveError> {
        let mut new: BTreeMap<Place, BTreeSet<Row>> = BTreeMap::new();
        let tombstones = tombstones::load(&self.store, deadline).await?;
        for uplink in self.new_in_span(from, to, deadline).await? {
            new.entry(self.bits.place(&uplink)).or_default().insert(Row::from(&uplink));
        }
        let mut places = self.files(from, to, deadline).await?;
        places.extend(new.keys());
        Ok(Scan { archive: self, from, to, places, new, tombstones })
    }

    async fn new_in_span(&self, from: At, to: At, deadline: Instant) -> Result<Vec<Uplink>, ArchiveError> {
        for _ in 0..MAX_RESTARTS {
            let in_span = |uplink: &Uplink| (from..=to).contains(&uplink.at);
            if let Some(uplinks) = self.read_new(in_span, deadline).await? {
                return Ok(uplinks);
            }
        }
        Err(ArchiveError::Restless)
    }

    /// The files of the span's days, and of no date: an uplink of these can be of any time in the span.
    async fn files(&self, from: At, to: At, deadline: Instant) -> Result<BTreeSet<Place>, StoreError> {
        let mut places = BTreeSet::new();
        let mut days = Day::between(from, to);
        if let Some(first) = days.next() {
            let last = days.last().unwrap_or(first);
            // No name of a file is before the name of its folder.
            let mut after = format!("{DAY}{first}/");
            loop {
                let page = self.store.list(DAY, Some(&after), deadline).await?;
                let found: Vec<Place> = page.objects.iter().filter_map(|listed| self.place(&listed.key)).collect();
                let is_past = |place: &Place| place.day > last;
                let ended = !page.truncated || found.iter().any(is_past);
                places.extend(found.into_iter().filter(|place| !is_past(place)));
                match page.objects.into_iter().next_back() {
                    Some(listed) if !ended => after = listed.key,
                    _ => break,
                }
            }
        }
        let odd = self.store.list(&format!("{DAY}{}/", Day::Odd), None, deadline).await?;
        places.extend(odd.objects.iter().filter_map(|listed| self.place(&listed.key)));
        Ok(places)
    }

    fn place(&self, key: &str) -> Option<Place> {
        let place = self.bits.place_named(key);
        if place.is_none() {
            tracing::warn!(key, "skipped an object that is no file of the archive");
        }
        place
    }
}

impl<S: ObjectStore> Scan<'_, S> {
    /// The places with uplinks, in order, those of no date last. A place may turn out to have none of the span.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.places.iter().copied()
    }

    /// Reads the file of a place.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn open(&self, place: Place, deadline: Instant) -> Result<PlaceUplinks, ArchiveError> {
        let key = place.to_string();
        let file = match self.archive.store.get(Get::whole(&key), deadline).await? {
            Got::Object(object) => Some(object.content),
            Got::Absent | Got::Changed => None,
        };
        let file = file.map(FileRows::new).transpose();
        let file = file.map_err(|source| ArchiveError::File { key: key.clone(), source })?;
        let new = self.new.get(&place).cloned().unwrap_or_default().into_iter().peekable();
        let (span, tombstones) = ((self.from, self.to), self.tombstones.clone());
        Ok(PlaceUplinks { key, span, tombstones, file, of_file: None, new, held: None })
    }
}

/// The uplinks of a place in order, each key once. Holds the bytes of the file, and the rows of one row group.
pub struct PlaceUplinks {
    key: String,
    span: (At, At),
    tombstones: Tombstones,
    file: Option<FileRows>,
    /// The next row of the file.
    of_file: Option<Row>,
    new: Peekable<std::collections::btree_set::IntoIter<Row>>,
    /// The greatest row so far of the next key.
    held: Option<Row>,
}

impl PlaceUplinks {
    /// The next uplinks, at most so many; none after the last.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn next_chunk(&mut self, len: usize) -> Result<Vec<Uplink>, ArchiveError> {
        std::iter::from_fn(|| self.next_uplink().transpose()).take(len).collect()
    }

    /// The next uplink; `None` after the last.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn next_uplink(&mut self) -> Result<Option<Uplink>, ArchiveError> {
        loop {
            let before = match self.next_row()? {
                Some(row) if !(self.span.0..=self.span.1).contains(&row.at()) => continue,
                Some(row) if self.tombstones.contains(row.device()) => continue,
                // Of rows with one key the last is valid, as in [`super::row::valid`].
                Some(row) if self.held.as_ref().is_some_and(|held| held.key() == row.key()) => {
                    self.held = Some(row);
                    continue;
                }
                Some(row) => self.held.replace(row),
                None => return Ok(self.held.take().map(|last| last.uplink()).transpose()?),
            };
            if let Some(before) = before {
                return Ok(Some(before.uplink()?));
            }
        }
    }

    /// The next row of the file or of `new/`, whichever is less: each distinct row once, of whatever time, and valid or
    /// not. For an audit of all that is stored; `None` after the last.
    ///
    /// # Errors
    /// [`ArchiveError::File`].
    pub fn next_row(&mut self) -> Result<Option<Row>, ArchiveError> {
        if let (None, Some(file)) = (&self.of_file, &mut self.file) {
            let failed = |source| ArchiveError::File { key: self.key.clone(), source };
            self.of_file = file.next_row().map_err(failed)?;
        }
        let Some(of_file) = &self.of_file else { return Ok(self.new.next()) };
        if let Some(new) = self.new.next_if(|new| new < of_file) {
            return Ok(Some(new));
        }
        // Not settled yet, or settled and not deleted yet.
        self.new.next_if_eq(of_file);
        Ok(self.of_file.take())
    }
}

#[cfg(test)]
mod tests;
