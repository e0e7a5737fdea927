//! The files of uplinks and of points that there are, and which points files differ from what they would be now.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;

use super::build::{Known, Wanted};
use super::file;
use super::origin::{Decoder, Origin};
use super::{AHEAD, POINTS, REACH, key_of};
use crate::archive::place::{DAY, Day, PartitionBits, Place};
use crate::archive::reader::{ArchiveError, footer};
use crate::archive::reports::REPORTS;
use crate::archive::store::{ETag, ObjectStore, StoreError};

/// Footers read at once: enough for 23,000 files, 64 of each day of a year, in a minute if each takes 100 ms.
const AT_ONCE: usize = 48;

/// The files that there are, as far as this run knows.
pub(super) struct State<'a> {
    bits: &'a PartitionBits,
    decoder: Decoder,
    /// Files of uplinks.
    uplinks: BTreeMap<Place, ETag>,
    /// Files of points.
    points: BTreeMap<Place, PointFile>,
    /// Files of reports.
    reports: BTreeMap<Place, ETag>,
}

struct PointFile {
    etag: ETag,
    /// `None` if another code wrote it.
    origin: Option<Origin>,
}

/// The days that the uplinks of a file have a part in.
enum Reach<'a> {
    /// Of the version that there is.
    Now(&'a ETag, &'a Origin),
    /// Of an older version, or by other codecs.
    Before(&'a Origin),
    Unknown,
}

impl<'a> State<'a> {
    /// Lists all three kinds of files, and reads the origins of points.
    pub(super) async fn read(
        store: &impl ObjectStore,
        bits: &'a PartitionBits,
        decoder: Decoder,
        deadline: Instant,
    ) -> Result<Self, StoreError> {
        let uplinks = list(store, DAY, None, |key| bits.place_named(key), deadline).await?;
        let points = list(store, POINTS, None, |key| bits.place_under(POINTS, key), deadline).await?;
        let reports = list(store, REPORTS, None, |key| bits.place_under(REPORTS, key), deadline).await?;
        let origins = stream::iter(points.into_iter().map(|(place, etag)| async move {
            Ok::<_, StoreError>((place, PointFile { etag, origin: origin(store, place, deadline).await? }))
        }));
        let points = origins.buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(Self { bits, decoder, uplinks, points, reports })
    }

    /// The places that have or should have a points file.
    pub(super) fn places(&self) -> BTreeSet<Place> {
        let keys = self.uplinks.keys().chain(self.points.keys()).chain(self.reports.keys());
        let mut places: BTreeSet<Place> = keys.copied().collect();
        for place in self.points.keys() {
            places.extend(self.reached(*place));
        }
        places.retain(|place| place.day != Day::Odd);
        places
    }

    /// The places in whose points the uplinks of this place have a part, without itself.
    pub(super) fn reached(&self, place: Place) -> BTreeSet<Place> {
        let origin = self.points.get(&place).and_then(|file| file.origin.as_ref());
        let days = origin.into_iter().flat_map(|origin| origin.reach.keys());
        days.flat_map(|&day| self.bits.overlapping(place, Day::Date(day))).collect()
    }

    /// The files of uplinks from which the points of this place are made. Those of the day before count as well if
    /// it is not known yet which days they have a part in: otherwise the place would have to be made once more when it is.
    pub(super) fn sources(&self, place: Place, day: i64) -> Vec<Wanted<'_>> {
        let mut wanted = Vec::new();
        for of in day - AHEAD..=day + REACH {
            for source in self.bits.overlapping(place, Day::Date(of)).filter(|source| self.uplinks.contains_key(source))
            {
                let known = match self.reach(source) {
                    _ if of == day => None,
                    Reach::Now(etag, Origin { reach, own_decoders: decoders, .. }) => match reach.get(&day) {
                        Some(groups) => Some(Known { etag, groups, decoders }),
                        None => continue,
                    },
                    Reach::Before(origin) if !origin.reach.contains_key(&day) => continue,
                    Reach::Unknown if of > day => continue,
                    Reach::Before(_) | Reach::Unknown => None,
                };
                wanted.push(Wanted { place: source, known });
            }
        }
        wanted
    }

    /// True if the points file and the reports are what they would be if they were made now. More sources than necessary do no harm if they are
    /// what they were.
    pub(super) fn is_current(&self, place: Place, wanted: &[Wanted<'_>]) -> bool {
        let Some(origin) = self.points.get(&place).and_then(|file| file.origin.as_ref()) else { return false };
        let is_unchanged = |(key, then): (&String, &String)| {
            let now = self.bits.place_named(key).and_then(|source| self.uplinks.get(&source));
            now.is_some_and(|now| now.0 == *then)
        };
        origin.is_decoded_by(self.decoder)
            && self.reports.get(&place).is_some_and(|reports| reports.0 == origin.reports)
            && origin.sources.iter().all(is_unchanged)
            && wanted.iter().all(|wanted| origin.sources.contains_key(&wanted.place.to_string()))
    }

    /// The version of the points file.
    pub(super) fn version(&self, place: Place) -> Option<&ETag> {
        self.points.get(&place).map(|file| &file.etag)
    }

    /// The version of the file of reports.
    pub(super) fn reports_version(&self, place: Place) -> Option<&ETag> {
        self.reports.get(&place)
    }

    /// Notes the version of a file of uplinks.
    pub(super) fn saw(&mut self, place: Place, etag: Option<ETag>) {
        match etag {
            Some(etag) => self.uplinks.insert(place, etag),
            None => self.uplinks.remove(&place),
        };
    }

    /// Notes a file of reports.
    pub(super) fn wrote_reports(&mut self, place: Place, etag: ETag) {
        self.reports.insert(place, etag);
    }

    /// Notes a points file.
    pub(super) fn wrote(&mut self, place: Place, etag: ETag, origin: Origin) {
        self.points.insert(place, PointFile { etag, origin: Some(origin) });
    }

    fn reach(&self, source: Place) -> Reach<'_> {
        let Some(origin) = self.points.get(&source).and_then(|file| file.origin.as_ref()) else {
            return Reach::Unknown;
        };
        match (self.uplinks.get(&source), origin.sources.get(&source.to_string())) {
            (Some(etag), Some(then)) if etag.0 == *then && origin.is_decoded_by(self.decoder) => {
                Reach::Now(etag, origin)
            }
            (_, Some(_)) => Reach::Before(origin),
            (_, None) => Reach::Unknown,
        }
    }
}

/// Lists files by place, after this key.
pub(in crate::archive) async fn list(
    store: &impl ObjectStore,
    prefix: &str,
    after: Option<String>,
    place: impl Fn(&str) -> Option<Place>,
    deadline: Instant,
) -> Result<BTreeMap<Place, ETag>, StoreError> {
    let mut files = BTreeMap::new();
    let mut last = after;
    loop {
        let page = store.list(prefix, last.as_deref(), deadline).await?;
        last = page.objects.last().map(|listed| listed.key.clone());
        files.extend(page.objects.into_iter().filter_map(|listed| Some((place(&listed.key)?, listed.etag))));
        if !page.truncated || last.is_none() {
            return Ok(files);
        }
    }
}

async fn origin(store: &impl ObjectStore, place: Place, deadline: Instant) -> Result<Option<Origin>, StoreError> {
    match footer(store, &key_of(place), deadline).await {
        Ok(footer) => Ok(footer.and_then(|footer| file::origin(&footer.content))),
        Err(ArchiveError::Store(error)) => Err(error),
        // It is not what this code writes, so it is made again.
        Err(error) => {
            tracing::warn!(reason = %error, "a points file cannot be read and is made again");
            Ok(None)
        }
    }
}
