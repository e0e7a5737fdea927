//! Boundaries of intervals in a time zone.
//!
//! Hours and their parts begin at full local hours and at each change of the clock at a full hour of the time before it. A
//! local day has 23 to 25 hours where clocks change; a week begins on Monday.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Weekday};
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize, Serializer};

use crate::assignment::Zone;
use crate::at::At;

/// The length of intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum Every {
    /// From one reading to the next.
    Native,
    /// So many minutes: a divisor of 60.
    Minutes(u8),
    /// A local hour.
    Hour,
    /// A local day.
    Day,
    /// From Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
}

/// Not the length of an interval.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not an interval: native, 15min (or another divisor of an hour), hour, day, week or month")]
pub struct EveryError(String);

impl Every {
    /// The length in seconds; of a day, a week or a month, about.
    pub fn about(self) -> i64 {
        match self {
            Self::Native => 0,
            Self::Minutes(minutes) => i64::from(minutes) * 60,
            Self::Hour => HOUR,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 30 * DAY,
        }
    }
}

impl FromStr for Every {
    type Err = EveryError;

    fn from_str(text: &str) -> Result<Self, EveryError> {
        let error = || EveryError(text.chars().take(64).collect());
        Ok(match text {
            "native" => Self::Native,
            "hour" => Self::Hour,
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            _ => {
                let minutes: u8 = text.strip_suffix("min").and_then(|n| n.parse().ok()).ok_or_else(error)?;
                if minutes == 0 || minutes == 60 || 60 % minutes != 0 {
                    return Err(error());
                }
                Self::Minutes(minutes)
            }
        })
    }
}

impl TryFrom<String> for Every {
    type Error = EveryError;

    fn try_from(text: String) -> Result<Self, EveryError> {
        text.parse()
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native => f.write_str("native"),
            Self::Minutes(minutes) => write!(f, "{minutes}min"),
            Self::Hour => f.write_str("hour"),
            Self::Day => f.write_str("day"),
            Self::Week => f.write_str("week"),
            Self::Month => f.write_str("month"),
        }
    }
}

impl Serialize for Every {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// The boundaries of intervals in a span, with its two ends: `from`, all boundaries between them, `to`. Empty for native
/// intervals, and if `to` is not after `from`.
pub fn boundaries(from: At, to: At, every: Every, zone: &Zone) -> Vec<At> {
    if from >= to {
        return Vec::new();
    }
    let inside = match every {
        Every::Native => return Vec::new(),
        Every::Minutes(_) | Every::Hour => aligned(from, to, every.about(), zone),
        Every::Day | Every::Week | Every::Month => dates(from, to, every, zone),
    };
    let mut all = Vec::with_capacity(inside.len() + 2);
    all.push(from);
    all.extend(inside);
    all.push(to);
    all
}

/// True if an interval of this length begins at this time.
pub fn is_boundary(at: At, every: Every, zone: &Zone) -> bool {
    match (at.checked_sub(1), at.checked_add(1)) {
        (Some(before), Some(after)) => boundaries(before, after, every, zone).len() == 3,
        _ => false,
    }
}

/// The beginning of a local day; of one that the clock skips, the beginning of the next. `None` outside of the times that
/// [`At`] holds.
pub fn start_of(date: Date, zone: &Zone) -> Option<At> {
    let start = date.to_zoned(zone.time_zone().clone()).ok()?.start_of_day().ok()?;
    At::from_unix(start.timestamp().as_second()).ok()
}

/// The local date of a time.
pub fn date_of(at: At, zone: &Zone) -> Date {
    zone.time_zone().to_datetime(timestamp(at)).date()
}

/// Every time strictly inside the span at which the local clock, by the offset before or after it, shows a multiple of this
/// length.
fn aligned(from: At, to: At, length: i64, zone: &Zone) -> Vec<At> {
    let zone = zone.time_zone();
    let (from, to) = (from.unix(), to.unix());
    let offset_at = |unix: i64| i64::from(zone.to_offset(second(unix)).seconds());
    // The next change of the clock after a time, with the offset after it.
    let next_change = |unix: i64| {
        let change = zone.following(second(unix)).next()?;
        Some((change.timestamp().as_second(), i64::from(change.offset().seconds())))
    };
    let mut all = Vec::with_capacity(usize::try_from((to - from) / length).unwrap_or(0) + 1);
    let (mut begin, mut offset) = (from, offset_at(from));
    while begin < to {
        let change = next_change(begin).filter(|(at, _)| *at < to);
        let end = change.map_or(to, |(at, _)| at);
        // The first multiple after `begin`, or at it if the clock has just changed.
        let since = (begin + offset).rem_euclid(length);
        let mut next = if since == 0 && begin != from { begin } else { begin + length - since };
        while next < end {
            all.push(next);
            next += length;
        }
        let Some((at, after)) = change else { break };
        if next == at && (at + after).rem_euclid(length) != 0 {
            all.push(at);
        }
        (begin, offset) = (at, after);
    }
    all.into_iter().filter_map(|unix| At::from_unix(unix).ok()).collect()
}

/// The beginnings of days, weeks or months strictly inside the span.
fn dates(from: At, to: At, every: Every, zone: &Zone) -> Vec<At> {
    let mut date = date_of(from, zone);
    let mut all: Vec<At> = Vec::new();
    loop {
        let next = match every {
            Every::Week => date.checked_add((7 - i64::from(date.weekday().since(Weekday::Monday))).days()),
            Every::Month => date.first_of_month().checked_add(1.month()),
            _ => date.checked_add(1.day()),
        };
        let Ok(next) = next else { return all };
        date = next;
        match start_of(date, zone) {
            Some(start) if start >= to => return all,
            Some(start) if start > from && all.last().is_none_or(|last| *last < start) => all.push(start),
            Some(_) => {}
            None => return all,
        }
    }
}

fn timestamp(at: At) -> Timestamp {
    second(at.unix())
}

fn second(unix: i64) -> Timestamp {
    Timestamp::from_second(unix).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> At {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> Zone {
        name.parse().unwrap()
    }

    fn lengths(from: &str, to: &str, every: Every, name: &str) -> Vec<i64> {
        let all = boundaries(at(from), at(to), every, &zone(name));
        all.windows(2).map(|pair| pair[1].unix() - pair[0].unix()).collect()
    }

    #[test]
    fn days_of_brussels_have_23_24_and_25_hours() {
        let of = |from, to| lengths(from, to, Every::Hour, "Europe/Brussels");
        assert_eq!(of("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"), [3_600; 23]);
        assert_eq!(of("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"), [3_600; 25]);
        let days = lengths("2026-10-23T22:00:00Z", "2026-10-26T23:00:00Z", Every::Day, "Europe/Brussels");
        assert_eq!(days, [86_400, 25 * 3_600, 86_400]);
    }

    #[test]
    fn a_change_by_half_an_hour_cuts_an_hour() {
        // Lord Howe Island: at 02:00 the clock goes back to 01:30, and on from 02:00 to 02:30.
        let back = lengths("2026-04-04T13:00:00Z", "2026-04-04T17:30:00Z", Every::Hour, "Australia/Lord_Howe");
        assert_eq!(back, [3_600, 3_600, 1_800, 3_600, 3_600]);
        let on = lengths("2026-10-03T14:30:00Z", "2026-10-03T17:00:00Z", Every::Hour, "Australia/Lord_Howe");
        assert_eq!(on, [3_600, 1_800, 3_600]);
    }

    #[test]
    fn hours_of_a_zone_with_half_an_hour_begin_at_its_own_hours() {
        let all =
            boundaries(at("2026-06-10T00:00:00Z"), at("2026-06-10T02:00:00Z"), Every::Hour, &zone("Asia/Kolkata"));
        let inner = ["2026-06-10T00:30:00Z", "2026-06-10T01:30:00Z"].map(at);
        assert_eq!(all[1..3], inner);
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn a_day_that_the_clock_skips_has_no_interval() {
        // Samoa had no 30 December in 2011.
        let days = lengths("2011-12-29T10:00:00Z", "2012-01-01T10:00:00Z", Every::Day, "Pacific/Apia");
        assert_eq!(days, [86_400; 3]);
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let of = |every| boundaries(at("2026-11-20T12:00:00Z"), at("2026-12-08T00:00:00Z"), every, &Zone::UTC);
        assert_eq!(
            of(Every::Week)[1..4],
            ["2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z"].map(at)
        );
        assert_eq!(of(Every::Month)[1..2], [at("2026-12-01T00:00:00Z")]);
    }

    #[test]
    fn an_interval_is_read_back_as_it_is_written() {
        for text in ["native", "5min", "15min", "30min", "hour", "day", "week", "month"] {
            assert_eq!(text.parse::<Every>().unwrap().to_string(), text);
        }
        for text in ["", "0min", "60min", "7min", "minute", "HOUR"] {
            assert!(text.parse::<Every>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn boundaries_rise_and_hours_include_those_of_days_and_days_those_of_months(
            from in 1_500_000_000..1_900_000_000_i64,
            days in 1..100_i64,
            name in prop::sample::select(vec![
                "UTC", "Europe/Brussels", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca",
                "America/Santiago", "Pacific/Chatham", "Asia/Tehran", "America/St_Johns",
            ]),
        ) {
            let (from, to) = (At::from_unix(from)?, At::from_unix(from + days * DAY)?);
            let of = |every| boundaries(from, to, every, &zone(name));
            let order = [Every::Minutes(15), Every::Hour, Every::Day, Every::Month].map(of);
            for all in &order {
                prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
                prop_assert_eq!((all[0], all[all.len() - 1]), (from, to));
            }
            for pair in order.windows(2) {
                prop_assert!(pair[1].iter().all(|coarse| pair[0].contains(coarse)), "{name} {pair:?}");
            }
            prop_assert!(of(Every::Week).iter().all(|week| order[2].contains(week)));
            prop_assert!(order[2][1..order[2].len() - 1].iter().all(|day| is_boundary(*day, Every::Hour, &zone(name))));
        }
    }
}
