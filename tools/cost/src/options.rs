//! Command-line options of all commands, and the parsers of their values.

use rust_decimal::{Decimal, dec};

use crate::load::{Arrival, Load};

/// The options that describe how a fleet sends.
#[derive(Debug, Clone, clap::Args)]
pub struct Sending {
    /// Uplinks of a meter in an hour
    #[arg(long, visible_alias = "per-hour", value_name = "UPLINKS", value_parser = positive, default_value = "1", help_heading = "Fleet")]
    pub interval: Decimal,
    /// Part of the meters on Sigfox; the others are on NB-IoT
    #[arg(long, value_parser = share, default_value = "0.5", help_heading = "Fleet")]
    pub sigfox_share: Decimal,
    /// Sigfox device types; each has its own batch callback every second
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000), default_value_t = 1, help_heading = "Fleet")]
    pub device_types: u32,
    /// The moment within the hour at which meters send; it determines shards and tasks
    #[arg(long, value_enum, default_value = "uniform", help_heading = "Fleet")]
    pub arrival: Arrival,
}

impl Sending {
    /// The load of a fleet of `devices` meters.
    pub fn load(&self, devices: u64) -> Load {
        Load { devices, per_hour: self.interval, sigfox_share: self.sigfox_share, device_types: self.device_types }
    }
}

/// Parses a number of meters: 3600000, 3600k, 3.6M.
///
/// # Errors
/// A description of the allowed values.
pub fn devices(text: &str) -> Result<u64, String> {
    let thousands = text.strip_suffix('k').map(|digits| (digits, dec!(1000)));
    let millions = text.strip_suffix('M').map(|digits| (digits, dec!(1_000_000)));
    let (digits, times) = thousands.or(millions).unwrap_or((text, Decimal::ONE));
    let number = digits.parse::<Decimal>().ok().and_then(|number| number.checked_mul(times));
    number
        .filter(|number| number.is_integer() && *number >= Decimal::ONE && *number <= dec!(1_000_000_000))
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| "a whole number from 1 to 1000M, such as 180000, 180k or 3.6M".to_owned())
}

fn within(text: &str, fits: impl Fn(Decimal) -> bool, what: &str) -> Result<Decimal, String> {
    text.parse().ok().filter(|number| fits(*number)).ok_or_else(|| what.to_owned())
}

/// Parses a number that is not zero.
///
/// # Errors
/// A description of the allowed values.
pub fn positive(text: &str) -> Result<Decimal, String> {
    within(text, |n| n >= dec!(0.0001) && n <= dec!(10_000), "a number from 0.0001 to 10000")
}

/// Parses a part of a whole. The digits are limited, because the remainder of a longer one would round to zero in some
/// calculations and not in others.
///
/// # Errors
/// A description of the allowed values.
pub fn share(text: &str) -> Result<Decimal, String> {
    let fits = |n: Decimal| n >= Decimal::ZERO && n <= Decimal::ONE && n.normalize().scale() <= 9;
    within(text, fits, "a part of the whole, from 0 to 1, with up to 9 digits after the point")
}

/// Parses the used part of a capacity.
///
/// # Errors
/// A description of the allowed values.
pub fn used(text: &str) -> Result<Decimal, String> {
    within(text, |n| n >= dec!(0.05) && n <= Decimal::ONE, "a part of the whole, from 0.05 to 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_whole_has_few_digits() {
        assert_eq!(share("0.500000000000"), Ok(dec!(0.5)));
        for wrong in ["-0.1", "1.1", "0.0000000001", "0.9999999999999999999999999999", "half"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn meters_are_counted_in_thousands_and_millions() {
        let cases =
            [("180000", Some(180_000)), ("180k", Some(180_000)), ("3.6M", Some(3_600_000)), ("0", None), ("1.5", None)];
        for (text, number) in cases {
            assert_eq!(devices(text).ok(), number, "{text}");
        }
        for wrong in ["", "k", "-5", "2000M", "1e40", "5kk5", "99999999999999999999999999M"] {
            assert!(devices(wrong).is_err(), "{wrong}");
        }
    }
}
