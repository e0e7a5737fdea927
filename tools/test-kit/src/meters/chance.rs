//! Random values that are the same in every run: a function of the seed, the subject, the meter and the hour.
//!
//! Resuming or auditing a run computes its meters again, so these values must never change. A test pins them, and fails if a
//! new version of `fastrand` has another stream.

use fastrand::Rng;

/// The subject of a random value. Values of different subjects are independent.
#[derive(Debug, Clone, Copy)]
pub(super) enum About {
    Region = 1,
    Order,
    Home,
    Hour,
    Jitter,
    Clock,
    Fate,
    Start,
    Restart,
    Sequence,
    Radio,
    WrongClock,
    Setting,
    Lost,
    Garbled,
    Status,
    Assignment,
}

/// The random value of a subject, for a meter and an hour; both are zero for a value of the whole fleet.
pub(super) fn hash(seed: u64, about: About, meter: u32, hour: i64) -> u64 {
    mix(mix(mix(seed ^ about as u64) ^ u64::from(meter)) ^ hour.cast_unsigned())
}

/// A generator of several such values.
pub(super) fn rng(seed: u64, about: About, meter: u32, hour: i64) -> Rng {
    Rng::with_seed(hash(seed, about, meter, hour))
}

/// A fraction from 0 to 1, without 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits are what a double holds")]
pub(super) fn fraction(hash: u64) -> f64 {
    const BITS: u32 = f64::MANTISSA_DIGITS;
    (hash >> (u64::BITS - BITS)) as f64 / (1_u64 << BITS) as f64
}

/// The step of `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): each bit of
/// the input changes half of the bits of the output.
pub fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_is_that_of_the_published_generator() {
        // The first numbers of SplitMix64 with the seed 1234567, as in the tests of other implementations.
        assert_eq!(mix(1_234_567), 6_457_827_717_110_365_317);
        assert_eq!(mix(1_234_567_u64.wrapping_add(0x9E37_79B9_7F4A_7C15)), 3_203_168_211_198_807_973);
    }

    /// If this fails after an update, earlier runs can no longer be resumed or audited: keep the old version, or say so in
    /// the changelog.
    #[test]
    fn the_stream_is_the_one_that_runs_were_recorded_with() {
        let mut rng = rng(7, About::Hour, 42, -3);
        let drawn = [rng.u32(..), rng.u32(0..100), rng.u32(30..=60), rng.u32(..)];
        assert_eq!(drawn, [3_380_151_014, 72, 47, 1_686_579_782]);
        assert_eq!(hash(7, About::Order, 0, 0), 12_038_581_038_462_365_557);
    }

    #[test]
    fn a_fraction_is_below_one() {
        assert_eq!(fraction(0).to_bits(), 0.0_f64.to_bits());
        assert!(fraction(u64::MAX) < 1.0);
    }
}
