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
use super::{AHEAD, BEFORE, DAYS, key_of, place_named};
use crate::archive::place::{Day, PartitionBits, Place};
use crate::archive::points::state::list;
use crate::archive::points::{self, POINTS};
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
    points: BTreeMap<Place, ETag>,
    days: BTreeMap<Place, Found>,
}

struct Found {
    etag: ETag,
    /// `None` if another code wrote it.
    origin: Option<Origin>,
}

/// The files from which a file of days is made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Wanted {
    pub(super) points: Vec<Place>,
    /// Files of days of the month before.
    pub(super) before: Vec<Place>,
}

impl Wanted {
    pub(super) fn is_empty(&self) -> bool {
        self.points.is_empty() && self.before.is_empty()
    }
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
        // Days come first: whatever is read for a file that is made later is newer than what its listed version has read.
        let after = first.map(|first| format!("{DAYS}month={}", first.previous()));
        let mut days = list(store, DAYS, after, |key| place_named(bits, key), deadline).await?;
        let first_day = first.map(|first| month::day(i64::from(month::number(first.first())) - BEFORE));
        let after = first_day.map(|day| format!("{POINTS}day={day}"));
        let mut points = list(store, POINTS, after, |key| points::place_named(bits, key), deadline).await?;
        days.retain(|place, _| overlap(*place, of));
        points.retain(|place, _| overlap(*place, of));
        let origins = stream::iter(days.into_iter().map(|(place, etag)| async move {
            Ok::<_, StoreError>((place, Found { etag, origin: origin(store, place, deadline).await? }))
        }));
        let days = origins.buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(Self { bits, now, first, points, days })
    }

    /// The places that may need a file of days, oldest first: of each month from the first with sources to that of the last
    /// day that is over anywhere.
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
        for place in self.points.keys() {
            let Some(month) = first_month(*place) else { continue };
            let of_partition = begins.entry(Place { day: Day::Odd, ..*place }).or_insert(month);
            *of_partition = month.min(*of_partition);
        }
        begins
    }

    /// The files from which the file of this place is made.
    pub(super) fn wanted(&self, place: Place, month: Month) -> Wanted {
        let number = |month: Month| i64::from(month::number(month.first()));
        let days = number(month) - BEFORE..number(month.next()) + AHEAD;
        let points = days.flat_map(|day| self.bits.overlapping(place, month::day(day)));
        let before = self.bits.overlapping(place, month.previous().day());
        Wanted {
            points: points.filter(|source| self.points.contains_key(source)).collect(),
            before: before.filter(|before| self.days.contains_key(before)).collect(),
        }
    }

    /// True if the file is what it would be if it were made now.
    pub(super) fn is_current(&self, place: Place, month: Month, wanted: &Wanted, assigned: SetHash) -> bool {
        let Some(origin) = self.days.get(&place).and_then(|file| file.origin.as_ref()) else { return false };
        let sources = wanted
            .points
            .iter()
            .filter_map(|source| Some((points::key_of(*source), self.points.get(source)?.0.as_str())));
        let before = wanted.before.iter().filter_map(|before| {
            Some((key_of(*before), self.days.get(before)?.origin.as_ref().map_or("", |origin| &origin.carries)))
        });
        let is_as_far = |(zone, open): (&String, &String)| {
            zone.parse().is_ok_and(|zone: Zone| month.open(&zone, self.now).to_string() == *open)
        };
        origin.rules == rules()
            && same(&origin.sources, sources)
            && same(&origin.before, before)
            && origin.assignments == assigned.text()
            && origin.open.iter().all(is_as_far)
    }

    /// The version of a file of days.
    pub(super) fn version(&self, place: Place) -> Option<&ETag> {
        self.days.get(&place).map(|file| &file.etag)
    }

    /// Notes the version of a file of points.
    pub(super) fn saw_points(&mut self, place: Place, etag: Option<ETag>) {
        match etag {
            Some(etag) => self.points.insert(place, etag),
            None => self.points.remove(&place),
        };
    }

    /// Notes a file of days; `None`: it is gone.
    pub(super) fn saw(&mut self, place: Place, found: Option<(ETag, Option<Origin>)>) {
        match found {
            Some((etag, origin)) => self.days.insert(place, Found { etag, origin }),
            None => self.days.remove(&place),
        };
    }
}

/// True if two places may have a device in common, whatever their days.
pub(super) fn overlap(one: Place, other: Place) -> bool {
    let bits = one.bits.min(other.bits);
    one.partition >> (one.bits - bits) == other.partition >> (other.bits - bits)
}

/// The month of the last day that is over somewhere. It is over first at 14 hours before UTC.
fn last_month(now: At) -> Option<Month> {
    let day = month::date(i32::try_from((now.unix() + 14 * 3_600).div_euclid(86_400) - 1).ok()?)?;
    Some(Month::of(day))
}

/// The month of the first local day that a file of points has a part in: in the west it is the day before.
fn first_month(place: Place) -> Option<Month> {
    let Day::Date(day) = place.day else { return None };
    let month = Month::of(month::date(i32::try_from(day - BEFORE).ok()?)?);
    // The month of the first day of all is not before that day.
    Some(if month.day() == Day::Odd { month.next() } else { month })
}

fn same<'a>(then: &BTreeMap<String, String>, now: impl Iterator<Item = (String, &'a str)>) -> bool {
    let mut rest = then.len();
    for (key, version) in now {
        if then.get(&key).is_none_or(|then| then != version) {
            return false;
        }
        rest -= 1;
    }
    rest == 0
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
