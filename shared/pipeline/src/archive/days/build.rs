//! Makes the file of days of a month and partition, device by device.

use std::cell::RefCell;
use std::collections::BTreeMap;

use bytes::Bytes;
use pulsegate_model::assignment::Zone;
use pulsegate_model::at::At;
use pulsegate_model::day::{self, Dates, DayRow, History};
use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use super::AHEAD;
use super::assigned::Assigned;
use super::file::DayWriter;
use super::month::{self, Month};
use super::origin::{Carries, FORMAT, Origin, rules};
use super::sources::{Kind, Known, Seen, Sources};
use crate::archive::columns::FileError;
use crate::archive::place::{PartitionBits, Place};
use crate::archive::store::ObjectStore;
use crate::archive::stream::SourceError;
use crate::tombstones::Tombstones;

/// A file of days, not written yet.
pub(super) struct Built {
    pub(super) content: Bytes,
    pub(super) origin: Origin,
    pub(super) rows: u64,
    /// The files that were looked for. Some may be of other versions than expected.
    pub(super) seen: Vec<Seen>,
}

/// A file of days that cannot be made now.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The file cannot be encoded.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Makes files of days.
pub(super) struct Builder<'a, S> {
    pub(super) store: &'a S,
    pub(super) bits: &'a PartitionBits,
    pub(super) erased: &'a Tombstones,
    pub(super) assigned: &'a Assigned,
    pub(super) now: At,
    pub(super) deadline: Instant,
}

/// The end of the sources of a month: the first moment after them.
pub(super) fn end_of_sources(month: Month) -> At {
    let day = month::number(month.next().first()) + AHEAD;
    At::from_unix(day * 86_400).unwrap_or(At::MAX)
}

impl<S: ObjectStore> Builder<'_, S> {
    /// Makes the file of a place from these files.
    pub(super) async fn build(
        &self,
        place: Place,
        month: Month,
        wanted: &[(Kind, Place)],
    ) -> Result<Built, BuildError> {
        let until = end_of_sources(month);
        let is_ours = |device: DeviceId| self.bits.place_of(device, place.day) == place;
        let (mut sources, seen) = Sources::open(self.store, wanted, self.deadline).await?;
        let mut assigned = self.assigned.devices(until).into_iter().peekable();
        let mut file = File::new(month, self.now)?;
        loop {
            let of_sources = sources.next_device(self.store, self.deadline).await?;
            let next = [of_sources, assigned.peek().copied()].into_iter().flatten().min();
            let Some(device) = next else { break };
            assigned.next_if_eq(&device);
            let known = sources.take(device);
            if is_ours(device) && !self.erased.contains(device) {
                file.add(device, known, self.assigned, until)?;
            }
        }
        let mut origin = Origin {
            format: FORMAT,
            rules: rules(),
            sources: BTreeMap::new(),
            before: BTreeMap::new(),
            assignments: self.assigned.hash(until, is_ours).text(),
            open: file.open,
            carries: file.carries.finish(),
        };
        for Seen { kind, place, found } in &seen {
            let Some((etag, of_days)) = found else { continue };
            let key = kind.key_of(*place);
            if *kind == Kind::Days {
                let carries = of_days.as_ref().map_or_else(String::new, |origin| origin.carries.clone());
                origin.before.insert(key, carries);
            } else {
                origin.sources.insert(key, etag.0.clone());
            }
        }
        Ok(Built { content: file.writer.finish(&origin)?, origin, rows: file.rows, seen })
    }
}

/// The state of a file of days while it is made.
struct File {
    month: Month,
    now: At,
    dates: Dates,
    writer: DayWriter,
    open: BTreeMap<String, String>,
    carries: Carries,
    rows: u64,
}

impl File {
    fn new(month: Month, now: At) -> Result<Self, FileError> {
        let (writer, carries) = (DayWriter::new()?, Carries::default());
        Ok(Self { month, now, dates: Dates::default(), writer, open: BTreeMap::new(), carries, rows: 0 })
    }

    /// Adds the rows of a device.
    fn add(&mut self, device: DeviceId, known: Known, assigned: &Assigned, until: At) -> Result<(), FileError> {
        let Self { month, now, .. } = *self;
        let Known { channels, reports, carry } = known;
        let assignments = assigned.of(device, until);
        let assignments = assignments.iter().map(|(channel, all)| (*channel, all.as_slice())).collect();
        let history = History { channels, reports, assignments, carry };
        let asked = RefCell::new(&mut self.open);
        let first_open = |zone: &Zone| {
            let open = month.open(zone, now);
            let mut asked = asked.borrow_mut();
            if !asked.contains_key(zone.name()) {
                asked.insert(zone.name().to_owned(), open.to_string());
            }
            open
        };
        let rows: Vec<DayRow> = day::days(device, &history, month.first(), &first_open, &mut self.dates);
        let Some((last, others)) = rows.split_last() else { return Ok(()) };
        for row in others {
            self.writer.push(row, None)?;
        }
        let carry = day::carry(device, &history, month.next().first(), &mut self.dates);
        self.writer.push(last, self.carries.add(device, &carry).as_deref())?;
        self.rows += rows.len() as u64;
        Ok(())
    }
}
