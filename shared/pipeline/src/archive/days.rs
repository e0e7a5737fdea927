//! Days: consumption and ledger of each channel and local day, of a month and of a partition of the devices, in one
//! Parquet file.
//!
//! ```text
//! days/month=2026-11/2a.parquet     made from points/ and reports/ of 2026-10-28 to 2027-01-04,
//!                                   from assignments/ and from days/month=2026-10/2a.parquet
//! ```
//!
//! A file is a function of
//!
//! - the files of points and reports of the UTC days of its month, of four days before it and of [`AHEAD`] days after
//!   it;
//! - what the days of the month before leave to it: for each device a [`Carry`](pulsegate_model::day::Carry), which the
//!   last row of the device has;
//! - the assignments that apply until then;
//! - the rules of consumption and the time zones, by their versions;
//! - which local days are over: there are rows of these only.
//!
//! Each file's metadata, its [`Origin`], says of which versions they were. [`Days`] compares that with what is there
//! now, and makes what differs again. It remembers nothing elsewhere, so it heals after any fault. Months are made
//! oldest first. A change of an old month reaches the next one only if it changes what is left to it.
//!
//! # Layout
//!
//! - [`origin`](Origin): what a file was made from. [`file`](mod@file): its columns and encoding. [`month`](Month).
//! - `state`: what there is, and what differs from it. `assigned`: the assignments of a month.
//! - `build`: makes a file. `sources`: reads sources device by device, so that a run holds a row group of each, never a
//!   file.
//! - [`Partition`]: the work of a run. [`rows_of`]: reads a day of all devices.

use std::collections::BTreeMap;

use pulsegate_model::at::At;
use pulsegate_model::day;
use serde::Serialize;
use tokio::time::Instant;

mod assigned;
mod build;
pub mod file;
mod month;
mod origin;
mod partition;
mod rows;
mod sources;
mod state;
#[cfg(test)]
mod tests;

use assigned::{Assigned, SetHash};
use build::{BuildError, Builder, Built, end_of_sources};
pub use month::{Month, MonthError};
pub use origin::{FORMAT, Origin};
pub use partition::{Partition, PartitionError};
pub use rows::rows_of;
use sources::{Kind, Seen};
use state::State;

use super::assignments::{self, AssignmentsError};
use super::place::{Day, PartitionBits, Place};
use super::reader::ArchiveError;
use super::store::{Condition, ObjectStore, Put, StoreError};
use super::stream::SourceError;
use super::tombstones;
use crate::tombstones::Tombstones;

/// The prefix of files of days.
pub const DAYS: &str = "days/";

/// UTC days after a month whose points and reports count for it.
pub const AHEAD: i64 = day::DAYS_AHEAD;

/// UTC days before a month whose points and reports count for it: in the east, a local day begins on the day before,
/// and some readings decide about those after them.
const BEHIND: i64 = day::DAYS_BEHIND;

/// Attempts to read sources that change meanwhile.
const MAX_ATTEMPTS: usize = 3;

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Made {
    /// Files of days that were written.
    pub files: usize,
    /// Their rows.
    pub rows: u64,
    /// Files that are what they would be if they were made now.
    pub current: usize,
    /// Files that another run wrote first.
    pub conflicts: usize,
    /// Files whose sources changed faster than they could be read. The next run makes them.
    pub changed: usize,
    /// Files for which the time did not suffice. The next run makes them.
    pub remaining: usize,
    /// Files that cannot be made, because a source cannot be read.
    pub unreadable: usize,
}

/// The daily pass.
#[derive(Debug)]
pub struct Days<'a, S> {
    /// The archive.
    pub store: &'a S,
    /// The number of partitions.
    pub bits: &'a PartitionBits,
    /// The time by which days are over or not.
    pub now: At,
    /// No file is begun after this time.
    pub stop: Instant,
    /// No request is made after this time.
    pub deadline: Instant,
}

/// The key of the file of days of a place, whose day is the first one of a month.
pub fn key_of(place: Place) -> String {
    let month = Month::of_place(place).map(|month| month.to_string()).unwrap_or_default();
    format!("{DAYS}month={month}/{:02x}.parquet", place.partition)
}

/// The place whose file of days has this key; `None` if it is not the key of one.
pub fn place_named(bits: &PartitionBits, key: &str) -> Option<Place> {
    let (month, file) = key.strip_prefix(DAYS)?.strip_prefix("month=")?.split_once('/')?;
    let month: Month = month.parse().ok()?;
    let place = bits.place_named(&format!("{}{}/{file}", super::place::DAY, month.first()))?;
    Some(place).filter(|place| place.day != Day::Odd && place.partition < 1 << place.bits)
}

impl<S: ObjectStore> Days<'_, S> {
    /// Finds the partitions with files that differ from what they would be now. Reads lists, footers and assignments.
    ///
    /// # Errors
    /// [`ArchiveError`] if the archive cannot be reached, or a file of assignments cannot be read.
    pub async fn plan(&self) -> Result<Vec<Partition>, ArchiveError> {
        let state = State::read(self.store, self.bits, Partition::ALL.place(), None, self.now, self.deadline).await?;
        let places = state.places();
        // One file of assignments at a time: those of a large fleet do not fit into memory together.
        let mut assigned: BTreeMap<Place, SetHash> = BTreeMap::new();
        for partition in 0..1 << assignments::BITS {
            let of_file = Place { day: Day::Odd, partition, bits: assignments::BITS };
            let of_partition = self.assigned(of_file).await?;
            for place in places.iter().filter(|place| state::overlap(**place, of_file)) {
                *assigned.entry(*place).or_default() += self.hash(&of_partition, *place);
            }
        }
        let due = places.into_iter().filter(|place| {
            let Some(month) = Month::of_place(*place) else { return false };
            let (wanted, assigned) = (state.wanted(*place, month), assigned.get(place).copied().unwrap_or_default());
            let is_nothing = wanted.is_empty() && assigned.is_empty() && state.version(*place).is_none();
            !is_nothing && !state.is_current(*place, month, &wanted, assigned)
        });
        Ok(Partition::of_places(due))
    }

    /// Makes the files of a partition that differ from what they would be now, the oldest first.
    ///
    /// # Errors
    /// [`ArchiveError`] if the archive cannot be reached, or a file of assignments cannot be read. What is written
    /// stays, and the next run goes on.
    pub async fn run(&self, partition: Partition) -> Result<Made, ArchiveError> {
        // A run that begins after a device is erased does not write it any more, whatever it still reads.
        let erased = tombstones::load(self.store, self.deadline).await?;
        let of = partition.place();
        let first = partition.month();
        let mut state = State::read(self.store, self.bits, of, first, self.now, self.deadline).await?;
        let assigned = self.assigned(of).await?;
        let mut made = Made::default();
        for place in state.places() {
            let Some(month) = Month::of_place(place) else { continue };
            // A file with devices of other partitions too is made by the run of a larger one.
            if place.bits >= of.bits && state::overlap(place, of) && first.is_none_or(|first| first <= month) {
                self.visit(place, month, &erased, &assigned, &mut state, &mut made).await?;
            }
        }
        Ok(made)
    }

    /// Makes the file of a place if it is due.
    async fn visit(
        &self,
        place: Place,
        month: Month,
        erased: &Tombstones,
        assigned: &Assigned,
        state: &mut State<'_>,
        made: &mut Made,
    ) -> Result<(), StoreError> {
        let Self { store, bits, now, deadline, .. } = *self;
        let builder = Builder { store, bits, erased, assigned, now, deadline };
        let hash = self.hash(assigned, place);
        for _ in 0..MAX_ATTEMPTS {
            let wanted = state.wanted(place, month);
            if wanted.is_empty() && hash.is_empty() && state.version(place).is_none() {
                return Ok(());
            }
            if state.is_current(place, month, &wanted, hash) {
                made.current += 1;
                return Ok(());
            }
            if Instant::now() >= self.stop {
                made.remaining += 1;
                return Ok(());
            }
            match builder.build(place, month, &wanted).await {
                Ok(built) => return self.put(place, built, state, made).await,
                Err(BuildError::Source(SourceError::Changed)) => {}
                Err(BuildError::Source(SourceError::Archive(ArchiveError::Store(error)))) => return Err(error),
                Err(error) => {
                    made.unreadable += 1;
                    tracing::error!(key = key_of(place), reason = %error, "a file of days cannot be made");
                    return Ok(());
                }
            }
        }
        made.changed += 1;
        Ok(())
    }

    /// Writes a file of days, unless another run has written it since this one listed it. A run reads sources after it
    /// has listed days, so a file never goes back to older sources.
    async fn put(&self, place: Place, built: Built, state: &mut State<'_>, made: &mut Made) -> Result<(), StoreError> {
        let Built { content, origin, rows, seen } = built;
        for seen in seen {
            state.saw(seen);
        }
        let condition = state.version(place).map_or(Condition::Absent, Condition::Version);
        let Put::Done(etag) = self.store.put(&key_of(place), content, condition, self.deadline).await? else {
            made.conflicts += 1;
            return Ok(());
        };
        made.files += 1;
        made.rows += rows;
        state.saw(Seen { kind: Kind::Days, place, found: Some((etag, Some(origin))) });
        Ok(())
    }

    /// The hash of the assignments of a place's devices that its month knows of.
    fn hash(&self, assigned: &Assigned, place: Place) -> SetHash {
        let Some(month) = Month::of_place(place) else { return SetHash::default() };
        assigned.hash(end_of_sources(month), |device| self.bits.place_of(device, place.day) == place)
    }

    async fn assigned(&self, place: Place) -> Result<Assigned, ArchiveError> {
        match assignments::load_partition(self.store, place, self.deadline).await {
            Ok(loaded) => Ok(loaded.assignments.into()),
            Err(AssignmentsError::Store(error)) => Err(error.into()),
            Err(AssignmentsError::File { key, error }) => Err(ArchiveError::File { key, source: error }),
        }
    }
}
