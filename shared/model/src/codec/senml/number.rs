//! Numbers, without loss of precision.

use std::fmt;

/// A finite number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// A whole number, written without fraction and exponent.
    Int(i128),
    /// Any other number.
    Float(f64),
}

impl Number {
    /// 2^53: below it, a double represents every whole number exactly (RFC 8259, section 6). From it on, a double may
    /// be the rounded value of another number.
    pub(super) const EXACT: i128 = 1 << 53;

    /// `None` if the number is not finite.
    pub(super) fn float(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self::Float(number))
    }

    /// `mantissa * 10^exponent`; `None` if it is too large.
    pub(super) fn decimal(exponent: i128, mantissa: i128) -> Option<Self> {
        let power = u32::try_from(exponent).ok().and_then(|exponent| 10_i128.checked_pow(exponent));
        match power.and_then(|power| mantissa.checked_mul(power)) {
            Some(whole) => Some(Self::Int(whole)),
            None => Self::float(format!("{mantissa}e{exponent}").parse().ok()?),
        }
    }

    /// The sum; `None` if it is too large.
    pub(super) fn plus(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.checked_add(b).map(Self::Int),
            (a, b) => Self::float(a.to_f64() + b.to_f64()),
        }
    }

    /// The number, if it is whole and exact.
    pub(super) fn whole(self) -> Option<i128> {
        match self {
            Self::Int(number) => Some(number),
            // Checked before `cut`, which turns a float that is too large into the largest integer.
            Self::Float(number) if number.fract() == 0.0 && number.abs() < Self::Int(Self::EXACT).to_f64() => {
                Some(self.cut())
            }
            Self::Float(_) => None,
        }
    }

    /// Without its fraction.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is intended; numbers that are too large become the largest"
    )]
    pub(super) fn cut(self) -> i128 {
        match self {
            Self::Int(number) => number,
            Self::Float(number) => number.trunc() as i128,
        }
    }

    /// The nearest double.
    #[expect(clippy::cast_precision_loss, reason = "RFC 8428 requires no more than the precision of a double")]
    pub(super) fn to_f64(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Float(number) if *number == 0.0 || (1e-6..1e15).contains(&number.abs()) => number.fmt(f),
            Self::Float(number) => write!(f, "{number:e}"), // avoids hundreds of zeros
        }
    }
}
