//! A time in UTC, in whole seconds: the precision of both networks.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

/// 9999-12-30T22:00:00Z, the last second that [`Timestamp`] holds: a later one would be written as another time. From
/// the year 10000 on, keys would no longer sort by time.
const MAX_SECONDS: i64 = 253_402_207_200;

/// A time between 1970 and 9999, in whole seconds. Written as RFC 3339 in UTC: `2026-11-20T12:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct At(i64);

/// A time that [`At`] cannot hold.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum AtError {
    /// Not RFC 3339, or finer than a second.
    #[error("{0:?} is not a time of the form 2026-11-20T12:00:00Z")]
    Format(String),
    /// Before 1970 or after 9999, such as milliseconds passed as seconds.
    #[error("{0} is not a time in seconds since 1970 (are these milliseconds?)")]
    Range(i64),
}

impl At {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The last time.
    pub const MAX: Self = Self(MAX_SECONDS);

    /// From seconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`AtError::Range`] outside 1970..=9999.
    pub fn from_unix(seconds: i64) -> Result<Self, AtError> {
        if (0..=MAX_SECONDS).contains(&seconds) { Ok(Self(seconds)) } else { Err(AtError::Range(seconds)) }
    }

    /// From seconds or milliseconds since 1970. A number that is after 9999 in seconds is taken as milliseconds,
    /// without the fraction of a second. (Milliseconds before April 1978 look like seconds of later years; no meter was
    /// read before then.)
    ///
    /// # Errors
    /// [`AtError::Range`] if it is neither.
    pub fn from_unix_or_millis(number: i64) -> Result<Self, AtError> {
        Self::from_unix(number).or_else(|_| Self::from_unix(number / 1000)).map_err(|_| AtError::Range(number))
    }

    /// From a date of RFC 3339 with any offset, without the fraction of a second.
    ///
    /// # Errors
    /// [`AtError`] if it is not such a date, or outside 1970..=9999.
    pub fn from_rfc3339(text: &str) -> Result<Self, AtError> {
        let time: Timestamp = text.parse().map_err(|_| AtError::Format(text.to_owned()))?;
        Self::from_unix(time.as_second())
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn unix(self) -> i64 {
        self.0
    }

    /// The time from which an item that arrived at this time may be deleted: seconds since 1970, as DynamoDB expects it.
    pub fn expires_at(self, retention_days: u32) -> i64 {
        const SECONDS_PER_DAY: i64 = 86_400;
        self.0 + i64::from(retention_days) * SECONDS_PER_DAY
    }

    /// Subtracts seconds. `None` if the result is before 1970.
    pub fn checked_sub(self, seconds: u64) -> Option<Self> {
        Self::from_unix(self.0.checked_sub_unsigned(seconds)?).ok()
    }

    /// Adds seconds. `None` if the result is after 9999.
    pub fn checked_add(self, seconds: u64) -> Option<Self> {
        Self::from_unix(self.0.checked_add_unsigned(seconds)?).ok()
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In range by construction.
        write!(f, "{}", Timestamp::from_second(self.0).unwrap_or_default())
    }
}

impl FromStr for At {
    type Err = AtError;

    fn from_str(text: &str) -> Result<Self, AtError> {
        let format = || AtError::Format(text.to_owned());
        let time: Timestamp = text.parse().map_err(|_| format())?;
        if time.subsec_nanosecond() != 0 {
            return Err(format());
        }
        Self::from_unix(time.as_second())
    }
}

impl TryFrom<String> for At {
    type Error = AtError;

    fn try_from(text: String) -> Result<Self, AtError> {
        text.parse()
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn milliseconds_are_refused_rather_than_taken_for_a_far_future() {
        assert_eq!(At::from_unix(1_795_348_800_000), Err(AtError::Range(1_795_348_800_000)));
    }

    #[test]
    fn a_fraction_of_a_second_is_refused_since_the_key_could_not_hold_it() {
        assert!("2026-11-20T12:00:00.5Z".parse::<At>().is_err());
    }

    #[test]
    fn the_last_second_is_read_back_and_the_next_one_refused() {
        assert_eq!(At::from_unix(MAX_SECONDS).unwrap().to_string(), "9999-12-30T22:00:00Z");
        assert_eq!(MAX_SECONDS, Timestamp::MAX.as_second());
        assert_eq!(At::from_unix(MAX_SECONDS + 1), Err(AtError::Range(MAX_SECONDS + 1)));
    }

    proptest! {
        #[test]
        fn every_moment_is_read_back_as_it_was_written(seconds in 0..=MAX_SECONDS) {
            let at = At::from_unix(seconds)?;
            prop_assert_eq!(at.to_string().parse::<At>()?, at);
            prop_assert_eq!(at.to_string().len(), "2026-11-20T12:00:00Z".len());
        }
    }
}
