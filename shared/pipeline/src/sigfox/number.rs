//! Reads decimal numbers exactly, in all spellings of one number: `42`, `+42`, `42.0`, `4.2e1`.
//!
//! A comma is never read: `1,795` may be a fraction or a thousand.

/// The most digits of a whole number, to bound the work for an exponent. `i128` holds any of so many.
const MAX_DIGITS: usize = 38;

/// A decimal number, exact: digits with the point after the first `whole` of them.
struct Decimal {
    negative: bool,
    digits: String,
    whole: i64,
}

/// Parses a number without a fraction.
pub(super) fn whole(text: &str) -> Option<i128> {
    let (number, exact) = Decimal::parse(text)?.integer()?;
    exact.then_some(number)
}

/// Parses a number and rounds it down.
pub(super) fn rounded_down(text: &str) -> Option<i128> {
    let number = Decimal::parse(text)?;
    let (integer, exact) = number.integer()?;
    Some(if number.negative && !exact { integer - 1 } else { integer })
}

/// Parses any number; never infinite or not a number.
pub(super) fn decimal(text: &str) -> Option<f64> {
    Decimal::parse(text)?;
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = [whole, fraction].concat();
        let valid = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        let whole = i64::try_from(whole.len()).ok()? + i64::from(exponent);
        valid.then_some(Self { negative, digits, whole })
    }

    /// The part before the point, and `true` if there is nothing behind it. `None` if it has too many digits.
    fn integer(&self) -> Option<(i128, bool)> {
        let zeros = self.digits.len() - self.digits.trim_start_matches('0').len();
        let significant = self.digits[zeros..].trim_end_matches('0');
        let whole = self.whole - i64::try_from(zeros).ok()?;
        let Ok(whole) = usize::try_from(whole) else { return Some((0, significant.is_empty())) };
        if significant.is_empty() {
            return Some((0, true));
        }
        if whole > MAX_DIGITS {
            return None;
        }
        let (before, behind) = significant.split_at(whole.min(significant.len()));
        let magnitude: i128 = format!("{before:0<whole$}").parse().unwrap_or(0);
        Some((if self.negative { -magnitude } else { magnitude }, behind.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_whole_number_is_read_in_all_its_spellings() {
        for text in ["42", "+42", "042", "42.", "42.0", "42.000", "4.2e1", "4.2E+1", "420e-1", "0.42e2", ".42e2"] {
            assert_eq!(whole(text), Some(42), "{text}");
        }
        for text in ["0", "-0", "0.0", "0e99", "00.00e-5", "0e2147483647"] {
            assert_eq!(whole(text), Some(0), "{text}");
        }
        assert_eq!(rounded_down("1.795176e9"), Some(1_795_176_000));
        assert_eq!(rounded_down("1795176000.987"), Some(1_795_176_000));
        assert_eq!((rounded_down("-0.5"), rounded_down("-1.0"), rounded_down("0.01")), (Some(-1), Some(-1), Some(0)));
    }

    #[test]
    fn what_is_no_number_or_not_whole_is_none() {
        let not = [
            "", ".", "+", "-", "42.5", "4.25e1", "42e-3", "42,0", "1,795", "1 795", "0x2A", "4_2", "e1", "42e", "1e999",
        ];
        for text in not.into_iter().chain(["NaN", "inf", "++1", "4２", "1e2147483648", "1.2.3"]) {
            assert_eq!(whole(text), None, "{text}");
        }
        for text in ["inf", "-infinity", "nan", "1e999", "1,5", ""] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_number_is_read_exactly_wherever_its_point_is(number: i64, shift in 0..30_usize, zeros in 0..5_usize) {
            let moved = format!("{number}{}e-{shift}", "0".repeat(shift));
            let fraction = format!("{number}.{}", "0".repeat(zeros));
            for text in [number.to_string(), moved, fraction] {
                prop_assert_eq!(whole(&text), Some(i128::from(number)), "{}", text);
                prop_assert_eq!(rounded_down(&text), Some(i128::from(number)));
            }
        }

        #[test]
        fn a_fraction_is_never_rounded_to_a_whole_number(number: u32, fraction in "[0-9]{0,20}[1-9]") {
            let text = format!("{number}.{fraction}");
            prop_assert_eq!(whole(&text), None);
            prop_assert_eq!(rounded_down(&text), Some(i128::from(number)));
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.eE ]{0,12}|.*") {
            let _ = (whole(&text), rounded_down(&text), decimal(&text));
        }
    }
}
