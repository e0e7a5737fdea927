//! The pulse inputs of a meter.

/// The part of hot water in all water: one in this many.
const QUARTER: i64 = 4;

/// An input of a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// The household's water.
    A,
    /// Its hot water, a quarter of that.
    B,
}

impl Input {
    /// The pulses of this input, of all pulses of the household.
    pub(super) fn of(self, counted: i64) -> i64 {
        match self {
            Self::A => counted,
            Self::B => counted.div_euclid(QUARTER),
        }
    }
}
