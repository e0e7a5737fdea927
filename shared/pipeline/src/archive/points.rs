//! Points: the decoded and merged counts of a UTC day and of a partition of the devices, in one Parquet file.
//!
//! ```text
//! points/day=2026-11-20/2a.parquet     made from day/2026-11-20/2a.parquet, and from files of other days
//! ```
//!
//! The same run writes the [reports](super::reports) of the place, before the points file, which names their version. So
//! the points file is current only with the reports that were made from the same uplinks.
//!
//! A points file has the points whose own time is of its day. A device sends them on that day or later, with a history, so
//! the sources of a points file are the file of uplinks of its day and those files of other days that have uplinks with a
//! part in its points. Two facts in each file's metadata, its [`Origin`], tell what is to be made again:
//!
//! - its sources with their versions, the versions of the codecs that read them, and that of the file of reports;
//! - the other days in whose points the uplinks of its own day have a part, with the row groups where these uplinks are.
//!
//! [`Derive`] compares them with what is there now. It remembers nothing elsewhere, so it heals after any fault: a points file
//! that is deleted, that an older code wrote or that an overlapping run replaced is made again by the next run.
//!
//! Since the second fact is that of one version of a file of uplinks, days are visited backwards: when a day's turn comes, all
//! later ones have told their reach.
//!
//! # Layout
//!
//! - [`origin`](Origin): what a points file was made from. [`file`]: its columns and encoding.
//! - `state`: what there is, and what differs from it. `build`: makes a points file. `source`: reads a file of uplinks device
//!   by device, so that a run holds a row group of each source, never a file.
//! - `stream`: the columns of a points file that the daily pass reads device by device.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio::time::Instant;

mod build;
pub mod file;
mod origin;
mod source;
pub(super) mod state;
pub(super) mod stream;
#[cfg(test)]
pub(super) mod tests;

use build::{BuildError, Builder, Built};
pub use origin::{Decoder, FORMAT, Origin, decoder};
use state::State;

use super::place::{Day, PartitionBits, Place};
use super::reader::ArchiveError;
use super::reports;
use super::store::{Condition, ObjectStore, Put, StoreError};
use super::stream::SourceError;
use super::tombstones;
use crate::tombstones::Tombstones;

/// The prefix of points files.
pub const POINTS: &str = "points/";

/// The most days from a point to the uplink that reports it. Devices keep logs of hours or days; some send them after an
/// outage. Older points are in no points file, and are counted.
pub const REACH: i64 = 35;

/// The most days from an uplink to a point of a later day: a device's clock may be a day ahead.
const AHEAD: i64 = 1;

/// Attempts to read sources that change meanwhile: `settle` replaces a file once in a quarter of an hour.
const MAX_ATTEMPTS: usize = 3;

/// Visits of a place in a run. A second one is due if the day before has told only after the first that it has uplinks with
/// a part in its points.
const MAX_VISITS: usize = 2;

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Derived {
    /// Points files that were written.
    pub files: usize,
    /// Their points.
    pub points: u64,
    /// Points files that are what they would be if they were made now.
    pub current: usize,
    /// Points files that another run wrote first.
    pub conflicts: usize,
    /// Points files whose sources changed faster than they could be read. The next run makes them.
    pub changed: usize,
    /// Points files for which the time did not suffice. The next run makes them.
    pub remaining: usize,
    /// Points files that cannot be made, because a source cannot be read.
    pub unreadable: usize,
    /// Counts in the written files' own uplinks that are more than [`REACH`] days older than these. Only readers of the
    /// archive find them.
    pub out_of_reach: u64,
    /// Uplinks of the written files' own days that no codec reads.
    pub undecodable: u64,
}

/// A run.
#[derive(Debug)]
pub struct Derive<'a, S> {
    /// The archive.
    pub store: &'a S,
    /// The number of partitions.
    pub bits: &'a PartitionBits,
    /// The versions of the codecs: [`decoder`], but for tests.
    pub decoder: Decoder,
    /// No file is begun after this time.
    pub stop: Instant,
    /// No request is made after this time.
    pub deadline: Instant,
}

/// The key of a points file.
pub fn key_of(place: Place) -> String {
    place.key_under(POINTS)
}

impl<S: ObjectStore> Derive<'_, S> {
    /// Makes the points files that differ from what they would be now, the latest days first.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached. What is written stays, and the next run goes on.
    pub async fn run(&self) -> Result<Derived, StoreError> {
        // A run that begins after a device is erased does not write it any more, whatever it still reads.
        let erased = tombstones::load(self.store, self.deadline).await?;
        let mut state = State::read(self.store, self.bits, self.decoder, self.deadline).await?;
        let mut derived = Derived::default();
        let mut due = state.places();
        let mut visits: BTreeMap<Place, usize> = BTreeMap::new();
        while let Some(place) = due.pop_last() {
            let visit = visits.entry(place).or_default();
            *visit += 1;
            if *visit <= MAX_VISITS && self.visit(place, &erased, &mut state, &mut derived).await? {
                due.extend(state.reached(place));
            }
        }
        Ok(derived)
    }

    /// Makes the points file of a place if it is due. Returns true if it was made.
    async fn visit(
        &self,
        place: Place,
        erased: &Tombstones,
        state: &mut State<'_>,
        derived: &mut Derived,
    ) -> Result<bool, StoreError> {
        let Day::Date(day) = place.day else { return Ok(false) };
        let Self { store, bits, decoder, deadline, .. } = *self;
        let builder = Builder { store, bits, erased, decoder, deadline };
        for _ in 0..MAX_ATTEMPTS {
            let wanted = state.sources(place, day);
            if wanted.is_empty() && state.version(place).is_none() && state.reports_version(place).is_none() {
                return Ok(false);
            }
            if state.is_current(place, &wanted) {
                derived.current += 1;
                return Ok(false);
            }
            if Instant::now() >= self.stop {
                derived.remaining += 1;
                return Ok(false);
            }
            match builder.build(place, day, &wanted).await {
                Ok(built) => return self.put(place, built, state, derived).await,
                Err(BuildError::Source(SourceError::Changed)) => {}
                Err(BuildError::Source(SourceError::Archive(ArchiveError::Store(error)))) => return Err(error),
                Err(error) => {
                    derived.unreadable += 1;
                    tracing::error!(key = key_of(place), reason = %error, "a points file cannot be made");
                    return Ok(false);
                }
            }
        }
        derived.changed += 1;
        Ok(false)
    }

    /// Writes the reports and the points file of a place, unless another run has written them since this one listed them. A
    /// run reads sources after it has listed points and reports, so a file never goes back to older sources. If it ends
    /// between the two writes, the points file names other reports than there are, and the next run makes both.
    async fn put(
        &self,
        place: Place,
        built: Built,
        state: &mut State<'_>,
        derived: &mut Derived,
    ) -> Result<bool, StoreError> {
        let Built { points_file, reports, mut origin, read, absent, points } = built;
        for (place, etag) in read {
            state.saw(place, Some(etag));
        }
        for place in absent {
            state.saw(place, None);
        }
        let condition = state.reports_version(place).map_or(Condition::Absent, Condition::Version);
        let Put::Done(etag) = self.store.put(&reports::key_of(place), reports, condition, self.deadline).await? else {
            derived.conflicts += 1;
            return Ok(false);
        };
        origin.reports.clone_from(&etag.0);
        state.wrote_reports(place, etag);
        let content = match points_file.finish(file::entry(&origin)) {
            Ok(content) => content,
            Err(error) => {
                derived.unreadable += 1;
                tracing::error!(key = key_of(place), reason = %error, "a points file cannot be encoded");
                return Ok(false);
            }
        };
        let condition = state.version(place).map_or(Condition::Absent, Condition::Version);
        let Put::Done(etag) = self.store.put(&key_of(place), content, condition, self.deadline).await? else {
            derived.conflicts += 1;
            return Ok(false);
        };
        derived.files += 1;
        derived.points += points;
        derived.out_of_reach += origin.out_of_reach;
        derived.undecodable += origin.undecodable;
        state.wrote(place, etag, origin);
        Ok(true)
    }
}
