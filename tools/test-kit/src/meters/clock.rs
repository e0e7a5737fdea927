//! The meters' clocks. A meter on NB-IoT dates its own uplinks, with a clock that runs fast or slow at its own rate. A Sigfox
//! meter has no clock; the network dates its uplinks.

use pulsegate_model::at::At;
use pulsegate_model::device::Network;

use super::Fleet;
use super::chance::{About, hash};

/// Milliseconds from one uplink of a session to the next over Sigfox: three frames of 2 s, with pauses.
const APART: i64 = 10_000;

/// A second a day, in parts of 10^9.
const SECOND_A_DAY: f64 = 1e9 / 86_400.0;

const PARTS: i64 = 1_000_000_000;

impl Fleet {
    /// The time in the key of a session's uplink, also for hours before the start.
    pub(super) fn at(&self, network: Network, number: u32, hour: i64, position: usize) -> At {
        let due = self.order.time(number, hour);
        let sent = due + APART * i64::try_from(position).unwrap_or(0);
        let shown = match network {
            Network::Sigfox => sent,
            Network::Nbiot => sent + sent * self.rate(number) / PARTS,
        };
        self.moment(shown.div_euclid(1_000))
    }

    /// This many seconds after the start.
    pub(super) fn moment(&self, seconds: i64) -> At {
        // A checked spec is far from both ends of the range of `At`.
        At::from_unix(self.spec.start.unix() + seconds).unwrap_or(At::EPOCH)
    }

    /// The only hour whose session may have an uplink with this time in its key.
    pub(super) fn hour_near(&self, network: Network, number: u32, at: At) -> i64 {
        /// Milliseconds: the seconds' rounding and that of the rate.
        const TOLERANCE: i64 = 2_000;
        let shown = (at.unix() - self.spec.start.unix()).saturating_mul(1_000);
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
