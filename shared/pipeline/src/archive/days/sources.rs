//! The files that a file of days is made from, read device by device.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use pulsegate_model::codec::Channel;
use pulsegate_model::day::{Carry, Readings, Report};
use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use super::file::{self, CarryColumns};
use super::origin::Origin;
use super::{DAYS, key_of, place_named};
use crate::archive::place::{PartitionBits, Place};
use crate::archive::points::POINTS;
use crate::archive::points::stream::PointColumns;
use crate::archive::reports::REPORTS;
use crate::archive::reports::file::ReadColumns;
use crate::archive::store::{ETag, ObjectStore};
use crate::archive::stream::{DeviceStream, SourceError};

/// Files opened or read at once, of the 141 that a file of days is made from.
const AT_ONCE: usize = 16;

/// A kind of file that files of days are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Points,
    Reports,
    /// The file of days of the month before.
    Days,
}

/// Those that come from uplinks, and have a file for each UTC day.
pub(super) const SOURCES: [Kind; 2] = [Kind::Points, Kind::Reports];

/// A file that was looked for.
pub(super) struct Seen {
    pub(super) kind: Kind,
    pub(super) place: Place,
    /// Its version, and of a file of days its origin; `None` if it is gone.
    pub(super) found: Option<(ETag, Option<Origin>)>,
}

/// Files, all at the same device.
pub(super) struct Sources(Vec<Source>);

struct Source {
    rows: Rows,
    /// The next device.
    next: Option<DeviceId>,
    /// True if `next` is not known yet.
    is_behind: bool,
}

enum Rows {
    Points(Box<DeviceStream<PointColumns>>),
    Reports(Box<DeviceStream<ReadColumns>>),
    Days(Box<DeviceStream<CarryColumns>>),
}

/// The contents of the files for a device.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) channels: BTreeMap<Channel, Readings>,
    pub(super) reports: Vec<Report>,
    pub(super) carry: Carry,
}

impl Kind {
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Points => POINTS,
            Self::Reports => REPORTS,
            Self::Days => DAYS,
        }
    }

    /// The place whose file has this key.
    pub(super) fn place_named(self, bits: &PartitionBits, key: &str) -> Option<Place> {
        match self {
            Self::Points | Self::Reports => bits.place_under(self.prefix(), key),
            Self::Days => place_named(bits, key),
        }
    }

    /// The key of its file of a place.
    pub(super) fn key_of(self, place: Place) -> String {
        match self {
            Self::Points | Self::Reports => place.key_under(self.prefix()),
            Self::Days => key_of(place),
        }
    }
}

impl Sources {
    /// Opens files.
    pub(super) async fn open(
        store: &impl ObjectStore,
        wanted: &[(Kind, Place)],
        deadline: Instant,
    ) -> Result<(Self, Vec<Seen>), SourceError> {
        let open = wanted.iter().map(|&(kind, place)| Rows::open(store, kind, place, deadline));
        let opened: Vec<Option<Rows>> = stream::iter(open).buffered(AT_ONCE).try_collect().await?;
        let found = opened.iter().map(|rows| rows.as_ref().map(Rows::found));
        let seen = wanted.iter().zip(found).map(|(&(kind, place), found)| Seen { kind, place, found }).collect();
        let sources = opened.into_iter().flatten().map(|rows| Source { rows, next: None, is_behind: true });
        Ok((Self(sources.collect()), seen))
    }

    /// The next device in order, of which all is in memory then. Several files are read at once.
    pub(super) async fn next_device(
        &mut self,
        store: &impl ObjectStore,
        deadline: Instant,
    ) -> Result<Option<DeviceId>, SourceError> {
        let behind = self.0.iter_mut().filter(|source| source.is_behind);
        let reads = behind.map(|source| source.advance(store, deadline));
        stream::iter(reads).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        Ok(self.0.iter().filter_map(|source| source.next).min())
    }

    /// Takes what the files have of this device, if it is the next.
    pub(super) fn take(&mut self, device: DeviceId) -> Known {
        let mut known = Known::default();
        for source in self.0.iter_mut().filter(|source| source.next == Some(device)) {
            source.is_behind = true;
            match &mut source.rows {
                Rows::Points(points) => join(&mut known.channels, points.take(device).into_iter().flatten()),
                Rows::Reports(reports) => known.reports.extend(reports.take(device).into_iter().flatten()),
                Rows::Days(carries) => known.carry = carries.take(device).flatten().unwrap_or_default(),
            }
        }
        join(&mut known.channels, known.carry.channels.clone());
        known
    }
}

/// Adds readings to those of their channels.
fn join(channels: &mut BTreeMap<Channel, Readings>, readings: impl IntoIterator<Item = (Channel, Readings)>) {
    for (channel, Readings { points, counted }) in readings {
        let of_channel = channels.entry(channel).or_default();
        of_channel.points.extend(points);
        of_channel.counted.extend(counted);
    }
}

impl Source {
    async fn advance(&mut self, store: &impl ObjectStore, deadline: Instant) -> Result<(), SourceError> {
        self.next = match &mut self.rows {
            Rows::Points(points) => points.next_device(store, deadline).await?,
            Rows::Reports(reports) => reports.next_device(store, deadline).await?,
            Rows::Days(carries) => carries.next_device(store, deadline).await?,
        };
        self.is_behind = false;
        Ok(())
    }
}

impl Rows {
    async fn open(
        store: &impl ObjectStore,
        kind: Kind,
        place: Place,
        deadline: Instant,
    ) -> Result<Option<Self>, SourceError> {
        let key = kind.key_of(place);
        Ok(match kind {
            Kind::Points => DeviceStream::open(store, key, deadline).await?.map(Box::new).map(Self::Points),
            Kind::Reports => DeviceStream::open(store, key, deadline).await?.map(Box::new).map(Self::Reports),
            Kind::Days => DeviceStream::open(store, key, deadline).await?.map(Box::new).map(Self::Days),
        })
    }

    fn found(&self) -> (ETag, Option<Origin>) {
        match self {
            Self::Points(points) => (points.etag().clone(), None),
            Self::Reports(reports) => (reports.etag().clone(), None),
            Self::Days(carries) => (carries.etag().clone(), file::origin(carries.footer())),
        }
    }
}
