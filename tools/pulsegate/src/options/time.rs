//! Times on the command line.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use pulsegate_model::assignment::Zone;
use pulsegate_model::at::At;
use pulsegate_model::consumption::calendar;

/// A time of RFC 3339, or a local date: its first moment in a time zone that is known later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalTime {
    /// A time.
    At(At),
    /// A date.
    Date(Date),
}

/// Neither a time nor a date.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("it is neither a time such as 2026-11-20T09:30:00+01:00 nor a date such as 2026-11-20")]
pub struct LocalTimeError;

impl LocalTime {
    /// The time, if dates are those of this time zone.
    pub fn at(self, zone: &Zone) -> At {
        match self {
            Self::At(at) => at,
            // Dates that `At` cannot hold are rejected when they are parsed.
            Self::Date(date) => calendar::start_of(date, zone).unwrap_or(At::EPOCH),
        }
    }
}

impl FromStr for LocalTime {
    type Err = LocalTimeError;

    fn from_str(text: &str) -> Result<Self, LocalTimeError> {
        At::from_rfc3339(text).map(Self::At).or_else(|_| date(text).map(Self::Date))
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => at.fmt(f),
            Self::Date(date) => date.fmt(f),
        }
    }
}

/// Parses a date from 1970-01-02 to 9999-12-28, of which every time zone has its first moment in the range of [`At`].
pub(super) fn date(text: &str) -> Result<Date, LocalTimeError> {
    const FIRST: Date = Date::constant(1970, 1, 2);
    const LAST: Date = Date::constant(9999, 12, 28);
    let is_date = text.len() == 10;
    let date = text.parse::<Date>().ok().filter(|date| is_date && (FIRST..=LAST).contains(date));
    date.ok_or(LocalTimeError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rfc_3339_or_a_date_of_a_time_zone() {
        let brussels: Zone = "Europe/Brussels".parse().unwrap();
        let read = |text: &str| text.parse::<LocalTime>().map(|time| time.at(&brussels).to_string());
        assert_eq!(read("2026-11-20T09:30:00+01:00").unwrap(), "2026-11-20T08:30:00Z");
        assert_eq!(read("2026-11-20").unwrap(), "2026-11-19T23:00:00Z");
        assert_eq!(read("2026-07-20").unwrap(), "2026-07-19T22:00:00Z");
        for text in
            ["", "20", "20.11.2026", "2026-11-20T09:30:00", "2026-13-01", "1969-12-31", "9999-12-31", "yesterday"]
        {
            assert_eq!(read(text), Err(LocalTimeError), "{text}");
        }
    }
}
