//! Fault injection. The fleet's seed decides which sessions are delayed. Loss and duplication are drawn
//! with the seed too, but in the order of events, which differs between runs.

use serde::{Deserialize, Serialize};

use crate::meters::chance::mix;

/// Rates of faults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Faults {
    /// Share of datagrams, requests, acknowledgements and answers that are lost, from 0 to 1.
    pub(super) loss: f64,
    /// Share of datagrams and requests that are sent twice, from 0 to 1.
    pub(super) duplicate: f64,
    /// Share of sessions that are delayed, from 0 to 1.
    pub(super) reorder: f64,
    /// Maximum delay in virtual seconds.
    pub(super) reorder_by: f64,
    /// Share of sessions that arrive after the fleet's last hour, from 0 to 1.
    #[serde(default)]
    pub(super) late: f64,
}

/// Draws the faults of one transport.
#[derive(Debug, Clone)]
pub(super) struct FaultInjector {
    faults: Faults,
    random: fastrand::Rng,
}

impl Faults {
    /// Delay of a session in virtual milliseconds; 0 for most. The result is deterministic, so that
    /// a resumed run delays the same sessions.
    pub(super) fn held_ms(&self, seed: u64, meter: u32, hour: u32) -> u64 {
        let session = u64::from(meter) << 32 | u64::from(hour);
        let mut random = fastrand::Rng::with_seed(mix(mix(seed ^ 0x5EC0_0DE7) ^ session));
        if random.f64() >= self.reorder {
            return 0;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the options are bounded, and not negative"
        )]
        let longest = (self.reorder_by * 1_000.0) as u64;
        random.u64(1..=longest.max(1))
    }

    /// Virtual milliseconds after the fleet's end at which a session arrives that is to be late; `None` for most. The result
    /// is deterministic.
    pub(super) fn late_ms(&self, seed: u64, meter: u32, hour: u32) -> Option<u64> {
        const SPREAD_MS: u64 = 600_000;
        let session = u64::from(meter) << 32 | u64::from(hour);
        let mut random = fastrand::Rng::with_seed(mix(mix(seed ^ 0x1A7E) ^ session));
        (self.late > 0.0 && random.f64() < self.late).then(|| random.u64(..SPREAD_MS))
    }

    /// Injector of a transport, seeded by its name.
    pub(super) fn injector(self, seed: u64, transport: &str) -> FaultInjector {
        let of_name = transport.bytes().fold(seed, |hash, byte| mix(hash ^ u64::from(byte)));
        FaultInjector { faults: self, random: fastrand::Rng::with_seed(of_name) }
    }
}

impl FaultInjector {
    /// True if to drop this one.
    pub(super) fn lost(&mut self) -> bool {
        self.faults.loss > 0.0 && self.random.f64() < self.faults.loss
    }

    /// True if to send this one twice.
    pub(super) fn doubled(&mut self) -> bool {
        self.faults.duplicate > 0.0 && self.random.f64() < self.faults.duplicate
    }

    /// A random factor from 1 to 1.5, so that messages that failed together are not repeated together.
    pub(super) fn spread(&mut self) -> f64 {
        1.0 + self.random.f64() / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_sessions_are_held_back_as_was_asked_for_and_none_longer() {
        let faults = Faults { reorder: 0.05, reorder_by: 3.0 * 3_600.0, ..Faults::default() };
        let held: Vec<u64> = (0..100_000).map(|meter| faults.held_ms(7, meter, 3)).filter(|&held| held > 0).collect();
        assert!((4_700..5_300).contains(&held.len()), "{}", held.len());
        assert!(held.iter().all(|&held| held <= 3 * 3_600_000));
        assert!(held.iter().max() > Some(&(2 * 3_600_000)), "they are spread over the whole time");
        assert_eq!(faults.held_ms(7, 42, 3), faults.held_ms(7, 42, 3));
    }

    #[test]
    fn without_faults_nothing_goes_wrong() {
        let mut injector = Faults::default().injector(1, "udp");
        assert!((0..10_000).all(|_| !injector.lost() && !injector.doubled()));
        assert!((0..10_000).all(|meter| Faults::default().held_ms(1, meter, 0) == 0));
    }

    #[test]
    fn as_much_gets_lost_and_doubled_as_was_asked_for() {
        let mut injector = Faults { loss: 0.1, duplicate: 0.05, ..Faults::default() }.injector(1, "udp");
        let lost = (0..100_000).filter(|_| injector.lost()).count();
        let doubled = (0..100_000).filter(|_| injector.doubled()).count();
        assert!((9_500..10_500).contains(&lost) && (4_700..5_300).contains(&doubled), "{lost} {doubled}");
    }
}
