//! Checks the time that a device's clock shows against the network's time.
//!
//! A clock that was never set shows the time of the firmware's default and what has passed since: 1970, 2000, 2004,
//! 2021, 2080. A clock can also be days ahead. Such a time would sort counts into the wrong place of a meter's history,
//! so it dates nothing.

use crate::at::At;

/// 2020-01-01T00:00:00Z, before any of these devices was made.
const FIRST: i64 = 1_577_836_800;

/// The oldest time that is accepted, in seconds before the network's time: 400 days. A meter keeps readings through an
/// outage and sends them with their own time, but no log of these devices reaches back further.
const MAX_AGE: i64 = 400 * 86_400;

/// The latest time that is accepted, in seconds after the network's time. A clock set to local time is ahead by at most
/// 14 hours, and its times are at least in order.
const MAX_AHEAD: i64 = 86_400;

/// Accepts or rejects what a device's clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockCheck {
    network: Option<At>,
}

impl ClockCheck {
    /// Rejects every time: the network's time is unknown.
    pub const REJECT: Self = Self { network: None };

    /// Compares with the time at which the network received the uplink, or with one that was compared with it before.
    pub fn against(network: At) -> Self {
        Self { network: Some(network) }
    }

    /// True if the device's clock may have been right when it showed this time: from 2020 on, not more than 400 days
    /// before the network's time, not more than a day after it.
    pub fn accepts(self, shown: At) -> bool {
        self.network.is_some_and(|network| {
            let since = network.unix() - shown.unix();
            shown.unix() >= FIRST && (-MAX_AHEAD..=MAX_AGE).contains(&since)
        })
    }

    /// The time, from seconds since 1970; `None` if it is not accepted.
    pub fn time(self, seconds: impl Into<i64>) -> Option<At> {
        At::from_unix(seconds.into()).ok().filter(|&shown| self.accepts(shown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_accepted_from_400_days_before_to_a_day_after_the_networks_time() {
        let network: At = "2026-11-20T12:00:00Z".parse().unwrap();
        let check = ClockCheck::against(network);
        let accepted = |shown: &str| check.accepts(shown.parse().unwrap());
        for shown in ["2025-10-16T12:00:00Z", "2026-11-20T12:00:00Z", "2026-11-21T12:00:00Z"] {
            assert!(accepted(shown), "{shown}");
            assert!(!ClockCheck::REJECT.accepts(shown.parse().unwrap()));
        }
        for shown in [
            "1970-01-01T00:00:37Z", // counts from zero
            "1980-01-06T00:00:00Z", // the epoch of GPS
            "2000-01-01T00:00:00Z", // the default of many real-time clocks
            "2004-01-01T00:00:00Z", // the default of many modems
            "2007-04-06T12:00:00Z", // GPS weeks counted modulo 1,024
            "2021-01-29T00:00:41Z", // the default of Dragino's firmware
            "2025-10-16T11:59:59Z",
            "2026-11-21T12:00:01Z",
            "2080-01-06T00:00:00Z", // a modem's "80/01/06" with the wrong century
        ] {
            assert!(!accepted(shown), "{shown}");
        }
    }

    #[test]
    fn nothing_before_2020_is_accepted_whatever_the_networks_time_says() {
        let check = ClockCheck::against(At::from_unix(FIRST).unwrap());
        assert_eq!(check.time(FIRST - 1), None);
        assert_eq!(check.time(FIRST).map(At::unix), Some(FIRST));
        assert_eq!(check.time(-1), None);
    }
}
