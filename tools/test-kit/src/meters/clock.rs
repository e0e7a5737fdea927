//! The meters' clocks. A meter on NB-IoT dates its own uplinks, with a clock that runs fast or slow at its own rate. A Sigfox
//! meter has no clock; the network dates its uplinks.
//!
//! A wrong clock ([`Spec::wrong_clocks`](crate::spec::Spec::wrong_clocks)) is one of eight, evenly: it shows a default of
//! firmware and the time since the meter was started, or it is days ahead or behind. Three meters of four set it by the
//! answer to one of their first three sessions, so that later sessions have the right time. The others ignore the time in
//! the answers. The seed decides which answer it is, and not the arrival of one: a run that is resumed sends the same bytes.

use pulsegate_model::at::At;
use pulsegate_model::device::Network;

use super::Fleet;
use super::chance::{About, fraction, hash};

/// Milliseconds from one uplink of a session to the next over Sigfox: three frames of 2 s, with pauses.
const APART: i64 = 10_000;

/// A second a day, in parts of 10^9.
const SECOND_A_DAY: f64 = 1e9 / 86_400.0;

const DAY: i64 = 86_400;

/// The defaults of clocks that nobody has set, in seconds since 1970.
const DEFAULTS: [i64; 6] = [
    0,
    315_964_800,   // 1980-01-06, the epoch of GPS
    946_684_800,   // 2000-01-01, of many real-time clocks
    1_072_915_200, // 2004-01-01, of many modems
    1_611_878_400, // 2021-01-29, of Dragino's firmware
    3_471_897_600, // 2080-01-06, a modem's "80/01/06" with the wrong century
];

/// Wrong clocks that were set, in seconds from the right time.
const DAYS_OFF: [i64; 2] = [3 * DAY, -500 * DAY];

/// A meter with a default clock was started 1 to 30 days before the fleet's start: before the oldest log of its first frame.
const LONGEST_UPTIME: u64 = 30;

/// One wrong clock in this many is never set.
const IGNORES: u64 = 4;

/// A meter's wrong clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct WrongClock {
    /// Seconds from the right time to the one that it shows.
    off: i64,
    /// The hour of the session whose answer sets it right; `None` if the meter ignores the time in the answers.
    until: Option<u32>,
}

const PARTS: i64 = 1_000_000_000;

impl Fleet {
    /// The time in the key of a session's uplink, also for hours before the start.
    pub(super) fn at(&self, network: Network, number: u32, hour: i64, position: usize) -> At {
        let due = self.order.time(number, hour);
        let sent = due + APART * i64::try_from(position).unwrap_or(0);
        self.moment(self.shown_ms(network, number, sent).div_euclid(1_000) + self.off(network, number, hour))
    }

    /// The time that a meter's right clock, or the network's, shows at this many milliseconds after the start.
    pub(super) fn shown(&self, network: Network, number: u32, ms: i64) -> At {
        self.moment(self.shown_ms(network, number, ms).div_euclid(1_000))
    }

    fn shown_ms(&self, network: Network, number: u32, ms: i64) -> i64 {
        match network {
            Network::Sigfox => ms,
            Network::Nbiot => ms + ms * self.rate(number) / PARTS,
        }
    }

    /// This many seconds after the start.
    pub(super) fn moment(&self, seconds: i64) -> At {
        // A checked spec is far from both ends of the range of `At`.
        At::from_unix(self.spec.start.unix() + seconds).unwrap_or(At::EPOCH)
    }

    /// True if the meter's clock shows an impossible time in this hour.
    pub(super) fn is_wrong(&self, network: Network, number: u32, hour: i64) -> bool {
        self.off(network, number, hour) != 0
    }

    /// Seconds by which a meter's clock is wrong in an hour, apart from its drift.
    fn off(&self, network: Network, number: u32, hour: i64) -> i64 {
        let wrong = self.wrong_clock(network, number);
        wrong.filter(|wrong| wrong.until.is_none_or(|until| hour <= until.into())).map_or(0, |wrong| wrong.off)
    }

    fn wrong_clock(&self, network: Network, number: u32) -> Option<WrongClock> {
        let drawn = |nth| hash(self.spec.seed, About::WrongClock, number, nth);
        if network == Network::Sigfox || fraction(drawn(0)) >= self.spec.wrong_clocks {
            return None;
        }
        let started = DAY * (1 + drawn(1) % LONGEST_UPTIME).cast_signed();
        let defaults = DEFAULTS.map(|default| default + started - self.spec.start.unix());
        let clocks = [&defaults[..], &DAYS_OFF].concat();
        let off = clocks[usize::try_from(drawn(2)).unwrap_or(0) % clocks.len()];
        let until = u32::try_from(drawn(3) % IGNORES).ok().filter(|&until| u64::from(until) < IGNORES - 1);
        Some(WrongClock { off, until })
    }

    /// The hours whose sessions may have an uplink with this time in its key: by the right clock, and by a wrong one.
    pub(super) fn hours_near(&self, network: Network, number: u32, at: At) -> impl Iterator<Item = i64> {
        let off = self.wrong_clock(network, number).map(|wrong| wrong.off);
        let shown = [Some(0), off].into_iter().flatten();
        shown.map(move |off| self.hour_near(network, number, at.unix() - off))
    }

    fn hour_near(&self, network: Network, number: u32, at: i64) -> i64 {
        /// Milliseconds: the seconds' rounding and that of the rate.
        const TOLERANCE: i64 = 2_000;
        let shown = (at - self.spec.start.unix()).saturating_mul(1_000);
        let sent = match network {
            Network::Sigfox => shown,
            // A division, because a subtraction would be off by a second within six hours at 600 s a day.
            Network::Nbiot => {
                let shown = i128::from(shown) * i128::from(PARTS) / i128::from(PARTS + self.rate(number));
                i64::try_from(shown).unwrap_or(i64::MAX)
            }
        };
        let after = self.order.after_the_hour(number).cast_signed();
        sent.saturating_add(TOLERANCE).saturating_sub(after).div_euclid(super::order::HOUR.cast_signed())
    }

    /// How much a meter's clock runs fast, in parts of 10^9.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a checked spec has no more than minutes a day"
    )]
    fn rate(&self, number: u32) -> i64 {
        let bound = (self.spec.clock_drift * SECOND_A_DAY) as u64;
        let drawn = hash(self.spec.seed, About::Clock, number, 0) % (2 * bound + 1);
        drawn.cast_signed() - bound.cast_signed()
    }
}
