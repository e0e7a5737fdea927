//! The files that there are, and which files of days differ from what they would be now.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use pulsegate_model::assignment::Zone;
use pulsegate_model::at::At;
use tokio::time::Instant;

use super::assigned::SetHash;
use super::file;
use super::month::{self, Month};
use super::origin::{Origin, rules};
use super::sources::{Kind, SOURCES, Seen};
use super::{AHEAD, BEHIND, DAYS, key_of, place_named};
use crate::archive::place::{Day, PartitionBits, Place};
use crate::archive::points::state::list;
use crate::archive::reader::{ArchiveError, footer};
use crate::archive::store::{ETag, ObjectStore, StoreError};

/// Footers read at once.
const AT_ONCE: usize = 48;

/// The files that there are, as far as this run knows.
pub(super) struct State<'a> {
    bits: &'a PartitionBits,
    now: At,
    /// The first month that is read; `None`: all are.
    first: Option<Month>,
    /// The files of other kinds.
    sources: BTreeMap<(Kind, Place), ETag>,
    days: BTreeMap<Place, Found>,
}

struct Found {
    etag: ETag,
    /// `None` if another code wrote it.
    origin: Option<Origin>,
}

impl<'a> State<'a> {
    /// Lists the files of these devices from a month on, or of all months, and reads the origins of days.
    pub(super) async fn read(
        store: &impl ObjectStore,
        bits: &'a PartitionBits,
        of: Place,
        first: Option<Month>,
        now: At,
        deadline: Instant,
    ) -> Result<Self, StoreError> {
        // Days come first: whatever is read for a file that is made later is newer than what its listed version has
        // read.
        let after = first.map(|first| format!("{DAYS}month={}", first.previous()));
        let mut days = list(store, DAYS, after, |key| place_named(bits, key), deadline).await?;
        days.retain(|place, _| overlap(*place, of));
        let first_day = first.map(|first| month::day(month::number(first.first()) - BEHIND));
        let mut sources = BTreeMap::new();
        for kind in SOURCES {
            let prefix = kind.prefix();
            let after = first_day.map(|day| format!("{prefix}day={day}"));
            let found = list(store, prefix, after, |key| kind.place_named(bits, key), deadline).await?;
            sources.extend(found.into_iter().map(|(place, etag)| ((kind, place), etag)));
        }
        sources.retain(|(_, place), _| overlap(*place, of));
        let origins = stream::iter(days.into_iter().map(|(place, etag)| async move {
            Ok::<_, StoreError>((place, Found { etag, origin: origin(store, place, deadline).await? }))
        }));
        let days = origins.buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(Self { bits, now, first, sources, days })
    }

    /// The places that may need a file of days, oldest first: of each month from the first with sources to that of the
    /// last day that is over anywhere.
    pub(super) fn places(&self) -> BTreeSet<Place> {
        let begins = self.begins();
        let begin = self.first.or_else(|| begins.values().min().copied());
        let (Some(mut month), Some(last)) = (begin, last_month(self.now)) else {
            return self.days.keys().copied().collect();
        };
        let mut places: BTreeSet<Place> = self.days.keys().copied().collect();
        while month <= last {
            // A partition without sources, whose devices may have assignments, begins with the archive.
            let has_begun = |place: &Place| {
                let of_place = begins.iter().filter(|(of, _)| overlap(**of, *place));
                self.first.is_some() || of_place.map(|(_, begin)| *begin).min().is_none_or(|begin| begin <= month)
            };
            places.extend(month.places(self.bits).filter(has_begun));
            month = month.next();
        }
        places
    }

    /// The first month of each partition that has sources.
    fn begins(&self) -> BTreeMap<Place, Month> {
        let mut begins: BTreeMap<Place, Month> = BTreeMap::new();
        for (_, place) in self.sources.keys() {
            let Some(month) = first_month(*place) else { continue };
            let of_partition = begins.entry(Place { day: Day::Odd, ..*place }).or_insert(month);
            *of_partition = month.min(*of_partition);
        }
        begins
    }

    /// The files from which the file of this place is made.
    pub(super) fn wanted(&self, place: Place, month: Month) -> Vec<(Kind, Place)> {
        let days = month::number(month.first()) - BEHIND..month::number(month.next().first()) + AHEAD;
        let places: Vec<Place> = days.flat_map(|day| self.bits.overlapping(place, month::day(day))).collect();
        let of_kind = |kind: Kind| places.iter().map(move |source| (kind, *source));
        let sources = SOURCES.into_iter().flat_map(of_kind).filter(|source| self.sources.contains_key(source));
        let before = self.bits.overlapping(place, month.previous().day());
        let before = before.filter(|before| self.days.contains_key(before)).map(|before| (Kind::Days, before));
        sources.chain(before).collect()
    }

    /// True if the file is what it would be if it were made now.
    pub(super) fn is_current(&self, place: Place, month: Month, wanted: &[(Kind, Place)], assigned: SetHash) -> bool {
        let Some(origin) = self.days.get(&place).and_then(|file| file.origin.as_ref()) else { return false };
        let is_unchanged = |source: &(Kind, Place)| {
            let (kind, of) = *source;
            let key = kind.key_of(of);
            match kind {
                Kind::Days => {
                    let carries =
                        self.days.get(&of).and_then(|file| file.origin.as_ref()).map(|of| of.carries.as_str());
                    origin.before.get(&key).is_some_and(|then| then == carries.unwrap_or_default())
                }
                _ => origin.sources.get(&key) == self.sources.get(source).map(|etag| &etag.0),
            }
        };
        let is_as_far = |(zone, open): (&String, &String)| {
            zone.parse().is_ok_and(|zone: Zone| month.open(&zone, self.now).to_string() == *open)
        };
        origin.rules == rules()
            && origin.sources.len() + origin.before.len() == wanted.len()
            && wanted.iter().all(is_unchanged)
            && origin.assignments == assigned.text()
            && origin.open.iter().all(is_as_far)
    }

    /// The version of a file of days.
    pub(super) fn version(&self, place: Place) -> Option<&ETag> {
        self.days.get(&place).map(|file| &file.etag)
    }

    /// Notes what a run has found.
    pub(super) fn saw(&mut self, seen: Seen) {
        let Seen { kind, place, found } = seen;
        match (kind, found) {
            (Kind::Days, Some((etag, origin))) => drop(self.days.insert(place, Found { etag, origin })),
            (Kind::Days, None) => drop(self.days.remove(&place)),
            (_, Some((etag, _))) => drop(self.sources.insert((kind, place), etag)),
            (_, None) => drop(self.sources.remove(&(kind, place))),
        }
    }
}

/// True if two places may have a device in common, whatever their days.
pub(super) fn overlap(one: Place, other: Place) -> bool {
    let bits = one.bits.min(other.bits);
    one.partition >> (one.bits - bits) == other.partition >> (other.bits - bits)
}

/// The month of the last day that is over somewhere. It is over first at 14 hours before UTC.
fn last_month(now: At) -> Option<Month> {
    Some(Month::of(month::date((now.unix() + 14 * 3_600).div_euclid(86_400) - 1)?))
}

/// The month of the first local day that a file has a part in: volume is spread over 72 hours from an index that an
/// assignment states, and in the west the day before begins there.
fn first_month(place: Place) -> Option<Month> {
    let Day::Date(day) = place.day else { return None };
    let month = Month::of(month::date(day - BEHIND)?);
    // Files begin with the first day of all.
    Some(if month.day() == Day::Odd { month.next() } else { month })
}

async fn origin(store: &impl ObjectStore, place: Place, deadline: Instant) -> Result<Option<Origin>, StoreError> {
    match footer(store, &key_of(place), deadline).await {
        Ok(footer) => Ok(footer.and_then(|footer| file::origin(&footer.content))),
        Err(ArchiveError::Store(error)) => Err(error),
        // It is not what this code writes, so it is made again.
        Err(error) => {
            tracing::warn!(reason = %error, "a file of days cannot be read and is made again");
            Ok(None)
        }
    }
}
