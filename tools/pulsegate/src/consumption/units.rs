//! Values and times as text: exact, in decimals.

use jiff::Timestamp;
use pulsegate_model::assignment::Zone;
use pulsegate_model::at::At;
use serde_json::Value;

use crate::options::UnitName;

impl UnitName {
    /// Decimals of a thousandth of a litre or of a pulse: with them each value is exact.
    pub fn decimals(self) -> usize {
        match self {
            Self::M3 => 6,
            Self::L | Self::Pulses => 3,
        }
    }

    /// The least decimals with which all these values, in thousandths of a litre or of a pulse, are exact. Cubic metres have
    /// three at least, as meters show them.
    pub fn decimals_of(self, values: impl IntoIterator<Item = i64>) -> usize {
        let least = if self == Self::M3 { 3 } else { 0 };
        let needed = |value: i64| {
            let mut decimals = self.decimals();
            let mut rest = value;
            while decimals > least && rest % 10 == 0 {
                rest /= 10;
                decimals -= 1;
            }
            decimals
        };
        values.into_iter().map(needed).max().unwrap_or(least)
    }

    /// A value with so many decimals, of at most [`decimals`](Self::decimals).
    pub fn text(self, value: i64, decimals: usize) -> String {
        let all = self.decimals();
        let digits = format!("{:0>width$}", value.unsigned_abs(), width = all + 1);
        let (whole, part) = digits.split_at(digits.len() - all);
        let sign = if value < 0 { "-" } else { "" };
        let part = part.get(..decimals.min(all)).unwrap_or_default();
        if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
    }

    /// A value with as many decimals as it needs.
    pub fn exact(self, value: i64) -> String {
        let text = self.text(value, self.decimals());
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// A value as a JSON number. Below 2^53 thousandths, it is read back as the same decimal.
    pub fn json(self, value: i64) -> Value {
        self.exact(value).parse::<serde_json::Number>().map_or(Value::Null, Value::Number)
    }
}

/// A local time with its offset, as in RFC 3339.
pub fn time(at: At, zone: &Zone) -> String {
    let zoned = Timestamp::from_second(at.unix()).unwrap_or(Timestamp::MAX).to_zoned(zone.time_zone().clone());
    zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// The same for people: with a space, and without seconds that are zero.
pub fn short_time(at: At, zone: &Zone) -> String {
    let zoned = Timestamp::from_second(at.unix()).unwrap_or(Timestamp::MAX).to_zoned(zone.time_zone().clone());
    zoned.strftime(if zoned.second() == 0 { "%Y-%m-%d %H:%M%:z" } else { "%Y-%m-%d %H:%M:%S%:z" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_exact_decimals() {
        let m3 = |value: i64| (UnitName::M3.text(value, 3), UnitName::M3.exact(value));
        assert_eq!(m3(12_000), ("0.012".to_owned(), "0.012".to_owned()));
        assert_eq!(m3(-1_234_567), ("-1.234".to_owned(), "-1.234567".to_owned()));
        assert_eq!(m3(0), ("0.000".to_owned(), "0".to_owned()));
        assert_eq!(UnitName::L.text(1_500, 0), "1");
        assert_eq!(UnitName::L.exact(10_000), "10");
        assert_eq!(UnitName::Pulses.exact(i64::MIN), "-9223372036854775.808");
        assert_eq!(UnitName::M3.json(12_000).to_string(), "0.012");
        assert_eq!(UnitName::M3.json(5_000_000).to_string(), "5");
    }

    #[test]
    fn all_values_of_a_column_have_the_least_decimals_that_are_exact() {
        assert_eq!(UnitName::M3.decimals_of([0, 12_000_000]), 3);
        assert_eq!(UnitName::M3.decimals_of([12_000, 12_340]), 5);
        assert_eq!(UnitName::L.decimals_of([0, 10_000]), 0);
        assert_eq!(UnitName::L.decimals_of([500, 10_000]), 1);
        assert_eq!(UnitName::Pulses.decimals_of([]), 0);
    }

    #[test]
    fn a_time_is_local_and_has_its_offset() {
        let brussels: Zone = "Europe/Brussels".parse().unwrap();
        let at: At = "2026-10-25T01:00:00Z".parse().unwrap();
        assert_eq!(time(at, &brussels), "2026-10-25T02:00:00+01:00");
        assert_eq!(short_time(at, &brussels), "2026-10-25 02:00+01:00");
        assert_eq!(time(at, &Zone::UTC), "2026-10-25T01:00:00+00:00");
    }
}
