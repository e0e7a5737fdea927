//! Reads the value of one variable: every number, every hex text and every missing value by the same rule.

use pulsegate_model::at::At;
use pulsegate_model::device::SigfoxId;
use pulsegate_model::event::{LinkQuality, Measure};
use pulsegate_model::uplink::{Decibels, Payload, RadioText, UplinkError};
use serde_json::Value as Json;

use super::number;

/// Words for a variable without a value, in lower case and without a sign: `null` (documented for `rssi`), `N/A` (for
/// `avgSnr`), and those that relays in Python, JavaScript, C and spreadsheets write. A calculation without a result is
/// no value either.
const NO_VALUE: &[&str] =
    &["", "null", "none", "nil", "nan", "inf", "infinity", "undefined", "n/a", "#n/a", "na", "(null)", "<null>"];

/// A value that a variable's text can be parsed as.
pub trait Value: Sized {
    /// Parses a [`plain`] text. Returns `None` if it is not such a value.
    fn read(text: &str) -> Option<Self>;
}

/// A time: a number of seconds or milliseconds, or a date.
pub(super) enum Time {
    /// Seconds or milliseconds since 1970. A fraction is dropped, as that of a second is.
    Number(i64),
    /// A date with a time and an offset, as some relays write the time.
    Date(At),
}

/// Removes what carries no meaning around a value: white space, also of no width, zero bytes, and quotes.
pub(super) fn plain(mut text: &str) -> &str {
    loop {
        text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\0' | '\u{FEFF}' | '\u{200B}'));
        let unquoted = ['"', '\''].iter().find_map(|&quote| text.strip_prefix(quote)?.strip_suffix(quote));
        match unquoted {
            Some(inner) => text = inner,
            None => return text,
        }
    }
}

/// Returns `true` for the spellings of a missing value, and for a variable that was not replaced, such as `{rssi}`.
pub(super) fn is_absent(text: &str) -> bool {
    let text = plain(text);
    is_placeholder(text) || NO_VALUE.iter().any(|word| text.trim_start_matches(['-', '+']).eq_ignore_ascii_case(word))
}

/// Returns `true` for the spellings of a missing value that Sigfox itself uses: of any variable, even one that this
/// product does not know.
pub(super) fn is_unsaid(text: &str) -> bool {
    let plain = plain(text);
    is_empty(text) || is_placeholder(plain) || plain.eq_ignore_ascii_case("N/A")
}

/// Returns `true` for `null`, in a template with or without quotes, and for nothing.
pub(super) fn is_empty(text: &str) -> bool {
    let text = plain(text);
    text.is_empty() || text.eq_ignore_ascii_case("null")
}

/// `{rssi}`, `${rssi}` or `{{rssi}}`. An object has a colon.
fn is_placeholder(text: &str) -> bool {
    let name = text.strip_prefix('$').unwrap_or(text);
    name.len() > 2 && name.starts_with('{') && name.ends_with('}') && !name.contains(':')
}

/// Returns the bytes of `data`: hex digits, with or without `0x` and separators.
pub(super) fn payload(text: &str) -> Result<Payload, UplinkError> {
    hex_digits(text).unwrap_or_else(|| text.to_owned()).parse()
}

/// Joins hex digits that are written with `0x`, and byte by byte with white space, colons or hyphens between them.
/// Returns `None` if a group between separators has half a byte: which half is missing is unknown.
fn hex_digits(text: &str) -> Option<String> {
    let groups: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || matches!(c, ':' | '-'))
        .filter(|group| !group.is_empty())
        .map(|group| group.strip_prefix("0x").or_else(|| group.strip_prefix("0X")).unwrap_or(group))
        .collect();
    (groups.len() == 1 || groups.iter().all(|group| group.len().is_multiple_of(2))).then(|| groups.concat())
}

/// Reads a member of one of Sigfox's own JSON values, whether it is in quotes or not.
pub(super) fn member<T: Value>(value: &Json) -> Option<T> {
    match value {
        Json::String(text) => T::read(plain(text)),
        Json::Number(number) => T::read(&number.to_string()),
        _ => None,
    }
}

impl Value for SigfoxId {
    /// Hex digits, with more leading zeros than an ID has digits, or with the prefix of this product's own IDs.
    fn read(text: &str) -> Option<Self> {
        let text = text
            .get(.."sigfox:".len())
            .filter(|start| start.eq_ignore_ascii_case("sigfox:"))
            .map_or(text, |start| &text[start.len()..]);
        let digits = hex_digits(text)?;
        // The last digit stays if all are zeros.
        let last = digits.len().checked_sub(1)?;
        digits.get(digits.find(|digit| digit != '0').unwrap_or(last)..)?.parse().ok()
    }
}

impl Value for Time {
    fn read(text: &str) -> Option<Self> {
        let number = number::rounded_down(text).and_then(|number| number.try_into().ok());
        number.map(Self::Number).or_else(|| At::from_rfc3339(text).ok().map(Self::Date))
    }
}

impl Value for bool {
    fn read(text: &str) -> Option<Self> {
        [true, false].into_iter().find(|value| text.eq_ignore_ascii_case(&value.to_string()))
    }
}

impl Value for LinkQuality {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Value for RadioText {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// Implements [`Value`] for types of numbers.
macro_rules! numbers {
    ($read:path: $($type:ty),+) => {
        $(impl Value for $type {
            fn read(text: &str) -> Option<Self> {
                Self::try_from($read(text)?).ok()
            }
        })+
    };
}

numbers!(number::whole: u8, u16, u32);
numbers!(number::decimal: Measure, Decibels);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_way_to_write_no_value_is_one() {
        let ways = [
            "null",
            "None",
            "NONE",
            "NaN",
            "-nan",
            "Infinity",
            "-Infinity",
            "undefined",
            "N/A",
            "n/a",
            "NA",
            "-",
            "--",
            " ",
            "",
        ];
        let others = [
            "\"null\"",
            "{seqNumber}",
            "${seqNumber}",
            "{{ payload.seq }}",
            "(null)",
            "\u{FEFF}null\0",
            "nil",
            "'None'",
        ];
        for way in ways.into_iter().chain(others) {
            assert!(is_absent(way), "{way:?}");
        }
        for value in ["0", "-1", "nano", "{\"lat\": 1}", "{}", "no", "false"] {
            assert!(!is_absent(value), "{value:?}");
        }
    }

    #[test]
    fn half_a_byte_between_separators_is_not_completed() {
        for text in ["46:8:0", "46 80 0 0", "4 6", "0x4 0x6", "468"] {
            assert!(payload(text).is_err(), "{text}");
        }
        assert_eq!(payload("0x46 0X80").ok(), payload("4680").ok());
    }

    #[test]
    fn a_device_of_more_than_eight_digits_is_none_unless_they_are_zeros() {
        assert_eq!(SigfoxId::read("00000000001A2345"), "1A2345".parse().ok());
        assert_eq!(SigfoxId::read("SIGFOX:1a2345"), "1A2345".parse().ok());
        assert_eq!(SigfoxId::read("000000000"), "0".parse().ok());
        for text in ["123456789", "sigfox:", "nbiot:1A2345", "0x", "1A2345h", "+1A", "1A:234:5"] {
            assert_eq!(SigfoxId::read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String) {
            let _ = (is_absent(&text), payload(&text), SigfoxId::read(&text), Time::read(&text), u32::read(&text));
            prop_assert_eq!(plain(plain(&text)), plain(&text));
        }

        #[test]
        fn data_is_the_same_bytes_however_it_is_set_out(
            bytes in proptest::collection::vec(any::<u8>(), 0..=12), separator in "[ :-]|",
            prefixed: bool, upper: bool
        ) {
            let byte = |byte: &u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
            let prefix = if prefixed && !separator.is_empty() { "0x" } else { "" };
            let text = bytes.iter().map(|b| format!("{prefix}{}", byte(b))).collect::<Vec<_>>().join(&separator);
            prop_assert_eq!(payload(&text).ok(), Payload::from_bytes(&bytes).ok());
        }
    }
}
