//! Calendar months, and the numbers of days.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan as _;
use jiff::civil::Date;
use pulsegate_model::assignment::Zone;
use pulsegate_model::at::At;
use pulsegate_model::consumption::calendar::date_of;
use serde::{Deserialize, Serialize, Serializer};

use crate::archive::place::{Day, PartitionBits, Place};

const EPOCH: Date = Date::constant(1970, 1, 1);

/// A calendar month, written `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Month {
    first: Date,
}

/// Not a month.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a month of the form 2026-11")]
pub struct MonthError(String);

impl Month {
    /// The month of a date.
    pub fn of(date: Date) -> Self {
        Self { first: date.first_of_month() }
    }

    /// Its first day.
    pub fn first(self) -> Date {
        self.first
    }

    /// The month after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self { first: self.first.saturating_add(1.month()) }
    }

    /// The month before it.
    #[must_use]
    pub fn previous(self) -> Self {
        Self { first: self.first.saturating_sub(1.month()) }
    }

    /// The first of its days that is not over in this zone; the first day of the next month if all are.
    pub fn open(self, zone: &Zone, now: At) -> Date {
        date_of(now, zone).clamp(self.first, self.next().first)
    }

    /// The day that its files are named after, for places.
    pub(super) fn day(self) -> Day {
        day(number(self.first))
    }

    /// The month of a place's day.
    pub(super) fn of_place(place: Place) -> Option<Self> {
        let Day::Date(number) = place.day else { return None };
        Some(Self::of(date(number)?))
    }

    /// Its partitions.
    pub(super) fn places(self, bits: &PartitionBits) -> impl Iterator<Item = Place> + use<> {
        let day = self.day();
        let bits = bits.bits(day);
        (0..1_u16 << bits).map(move |partition| Place { day, partition, bits })
    }
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let error = || MonthError(text.chars().take(64).collect());
        let first = format!("{text}-01").parse().map_err(|_| error())?;
        let month = Self { first };
        if month.to_string() == text { Ok(month) } else { Err(error()) }
    }
}

impl TryFrom<String> for Month {
    type Error = MonthError;

    fn try_from(text: String) -> Result<Self, MonthError> {
        text.parse()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A UTC day by its number since 1970.
pub(super) fn day(number: i64) -> Day {
    let at = At::from_unix(number.saturating_mul(86_400)).unwrap_or(At::EPOCH);
    Day::at(at)
}

/// The days from 1970-01-01 to a date.
pub(super) fn number(date: Date) -> i64 {
    EPOCH.until(date).map_or(0, |span| span.get_days().into())
}

/// The date so many days after 1970-01-01.
pub(super) fn date(number: i64) -> Option<Date> {
    EPOCH.checked_add(i32::try_from(number).ok()?.days()).ok()
}
