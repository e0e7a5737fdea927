//! The meters' clocks. One that is on NB-IoT dates its own uplinks, and runs fast or slow at a rate of its own; a Sigfox meter has
//! none, and the network dates it.

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
    /// The time in the key of a session's uplink; of the hours before the start, of one that would have been.
    pub(super) fn at(&self, network: Network, number: u32, hour: i64, position: usize) -> At {
        let due = self.order.time(number, hour);
        let sent = due + APART * i64::try_from(position).unwrap_or(0);
        let shown = match network {
            Network::Sigfox => sent,
            Network::Nbiot => sent + sent * self.rate(number) / PARTS,
        };
        self.moment(shown.div_euclid(1_000))
    }

    /// So many seconds after the start.
    pub(super) fn moment(&self, seconds: i64) -> At {
        // A checked spec is far from either end of what can be held.
        At::from_unix(self.spec.start.unix() + seconds).unwrap_or(At::EPOCH)
    }

    /// The only hour whose session may have an uplink with this time in its key.
    pub(super) fn hour_near(&self, network: Network, number: u32, at: At) -> i64 {
        /// Of what was cut off, and of the rate's own rounding.
        const TOLERANCE: i64 = 2_000;
        let shown = (at.unix() - self.spec.start.unix()).saturating_mul(1_000);
        let sent = match network {
            Network::Sigfox => shown,
            // Divided, not taken off: at 600 s a day that would be wrong by a second within six hours.
            Network::Nbiot => {
                let shown = i128::from(shown) * i128::from(PARTS) / i128::from(PARTS + self.rate(number));
                i64::try_from(shown).unwrap_or(i64::MAX)
            }
        };
        let after = self.order.after_the_hour(number).cast_signed();
        sent.saturating_add(TOLERANCE).saturating_sub(after).div_euclid(super::order::HOUR.cast_signed())
    }

    /// How much a meter's clock goes ahead, in parts of 10^9.
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
