//! Makes the file of days of a month and partition, device by device.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::iter::Peekable;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use pulsegate_model::assignment::Zone;
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::day::{self, Carry, DayRow, History, Readings};
use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use super::assigned::Assigned;
use super::file::{self, DayWriter};
use super::key_of;
use super::month::{self, Month};
use super::origin::{Carries, FORMAT, Origin, rules};
use super::source::{PointsOf, Portion, Source};
use super::state::Wanted;
use super::{AHEAD, SOURCES_AT_ONCE};
use crate::archive::columns::FileError;
use crate::archive::place::{PartitionBits, Place};
use crate::archive::points;
use crate::archive::reader::ArchiveError;
use crate::archive::store::{ETag, ObjectStore};
use crate::tombstones::Tombstones;

/// A file of days, not written yet.
pub(super) struct Built {
    pub(super) content: Bytes,
    pub(super) origin: Origin,
    pub(super) rows: u64,
    /// The files of points, with the versions that were read. `None`: it is gone.
    pub(super) points: Vec<(Place, Option<ETag>)>,
    /// The files of the month before.
    pub(super) before: Vec<(Place, Option<(ETag, Option<Origin>)>)>,
}

/// A file of days that cannot be made now.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    /// A file changed between its footer and its rows.
    #[error("a source changed while it was read")]
    Changed,
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The file cannot be encoded, or a value of a source has no meaning.
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

/// The sources of a file, all at the same device.
struct Sources<A: Iterator<Item = DeviceId>> {
    points: Vec<Source<PointsOf>>,
    before: Vec<Source<Carry>>,
    assigned: Peekable<A>,
}

/// The end of the sources of a month: the first moment after them.
pub(super) fn end_of_sources(month: Month) -> At {
    let day = i64::from(month::number(month.next().first())) + AHEAD;
    At::from_unix(day * 86_400).unwrap_or(At::MAX)
}

impl<S: ObjectStore> Builder<'_, S> {
    /// Makes the file of a place from these files.
    pub(super) async fn build(&self, place: Place, month: Month, wanted: &Wanted) -> Result<Built, BuildError> {
        let until = end_of_sources(month);
        let (points, opened_points) = self.open(&wanted.points, points::key_of).await?;
        let (before, opened_before) = self.open(&wanted.before, key_of).await?;
        let origin_of = |(place, nth): (Place, Option<usize>)| {
            let source = nth.and_then(|nth| before.get(nth));
            (place, source.map(|source| (source.etag.clone(), file::origin(&source.footer))))
        };
        let seen_before: Vec<_> = opened_before.into_iter().map(origin_of).collect();
        let seen_points = opened_points.into_iter().map(|(place, nth)| {
            (place, nth.and_then(|nth| points.get(nth)).map(|source: &Source<PointsOf>| source.etag.clone()))
        });
        let seen_points: Vec<_> = seen_points.collect();
        let is_ours = |device: DeviceId| self.bits.place_of(device, place.day) == place;
        let mut file = File { month, now: self.now, open: BTreeMap::new(), carries: Carries::default(), rows: 0 };
        let assigned = self.assigned.devices(until).into_iter().peekable();
        let mut sources = Sources { points, before, assigned };
        let mut writer = DayWriter::new()?;
        while let Some(device) = self.next_device(&mut sources).await? {
            let (channels, carry) = sources.take(device)?;
            if !is_ours(device) || self.erased.contains(device) {
                continue;
            }
            let assignments = self.assigned.of(device, until);
            let assignments = assignments.iter().map(|(channel, all)| (*channel, all.as_slice())).collect();
            let history = History { channels, reports: Vec::new(), assignments, carry };
            file.add(device, &history, &mut writer)?;
        }
        let of_points =
            seen_points.iter().filter_map(|(place, etag)| Some((points::key_of(*place), etag.as_ref()?.0.clone())));
        let of_before = seen_before.iter().filter_map(|(place, found)| {
            let (_, origin) = found.as_ref()?;
            Some((key_of(*place), origin.as_ref().map_or_else(String::new, |origin| origin.carries.clone())))
        });
        let origin = Origin {
            format: FORMAT,
            rules: rules(),
            sources: of_points.collect(),
            before: of_before.collect(),
            assignments: self.assigned.hash(until, is_ours).text(),
            open: file.open,
            carries: file.carries.finish(),
        };
        let content = writer.finish(&origin)?;
        Ok(Built { content, origin, rows: file.rows, points: seen_points, before: seen_before })
    }

    /// Opens files. Returns them, and for each place its position among them; `None` if its file is gone.
    async fn open<P: Portion>(
        &self,
        places: &[Place],
        key_of: fn(Place) -> String,
    ) -> Result<(Vec<Source<P>>, Vec<(Place, Option<usize>)>), BuildError> {
        let opened = places.iter().map(|place| Source::open(self.store, key_of(*place), self.deadline));
        let opened: Vec<Option<Source<P>>> = stream::iter(opened).buffered(SOURCES_AT_ONCE).try_collect().await?;
        let (mut sources, mut seen) = (Vec::new(), Vec::new());
        for (place, source) in places.iter().zip(opened) {
            seen.push((*place, source.is_some().then_some(sources.len())));
            sources.extend(source);
        }
        Ok((sources, seen))
    }

    /// The next device in order, of which all is in memory then.
    async fn next_device<A: Iterator<Item = DeviceId>>(
        &self,
        sources: &mut Sources<A>,
    ) -> Result<Option<DeviceId>, BuildError> {
        self.advance(&mut sources.points).await?;
        self.advance(&mut sources.before).await?;
        let points = sources.points.iter().filter_map(Source::next_device).min();
        let before = sources.before.iter().filter_map(Source::next_device).min();
        Ok([points, before, sources.assigned.peek().copied()].into_iter().flatten().min())
    }

    /// Reads on in those files that need it, several at once.
    async fn advance<P: Portion>(&self, sources: &mut [Source<P>]) -> Result<(), BuildError> {
        let behind: Vec<_> = sources.iter_mut().filter(|source| source.is_behind()).collect();
        if behind.is_empty() {
            return Ok(());
        }
        let reads = behind.into_iter().map(|source| source.advance(self.store, self.deadline));
        stream::iter(reads).buffer_unordered(SOURCES_AT_ONCE).try_collect().await
    }
}

impl<A: Iterator<Item = DeviceId>> Sources<A> {
    /// All that is known about this device, which is the next.
    fn take(&mut self, device: DeviceId) -> Result<(BTreeMap<Channel, Readings>, Carry), FileError> {
        let mut channels: BTreeMap<Channel, Readings> = BTreeMap::new();
        for source in &mut self.points {
            while let Some(points) = source.take(device) {
                match channels.get_mut(points.channel()) {
                    Some(readings) => points.add_to(readings)?,
                    None => points.add_to(channels.entry(points.channel().clone()).or_default())?,
                }
            }
        }
        let mut carry = Carry::default();
        for source in &mut self.before {
            while let Some(of_source) = source.take(device) {
                carry = of_source;
            }
        }
        self.assigned.next_if_eq(&device);
        Ok((channels, carry))
    }
}

/// The state of a file of days while it is made.
struct File {
    month: Month,
    now: At,
    open: BTreeMap<String, String>,
    carries: Carries,
    rows: u64,
}

impl File {
    fn add(&mut self, device: DeviceId, history: &History<'_>, writer: &mut DayWriter) -> Result<(), FileError> {
        let Self { month, now, .. } = *self;
        let asked = RefCell::new(&mut self.open);
        let until = |zone: &Zone| {
            let open = month.open(zone, now);
            let mut asked = asked.borrow_mut();
            if !asked.contains_key(zone.name()) {
                asked.insert(zone.name().to_owned(), open.to_string());
            }
            open
        };
        let rows: Vec<DayRow> = day::days(device, history, month.first(), &until);
        let Some((last, others)) = rows.split_last() else { return Ok(()) };
        for row in others {
            writer.push(row, None)?;
        }
        let carry = day::carry(device, history, month.next().first());
        writer.push(last, self.carries.add(device, &carry).as_deref())?;
        self.rows += rows.len() as u64;
        Ok(())
    }
}
