//! The meter that a name begins with, in each of the standard spellings.
//!
//! | name | source |
//! |---|---|
//! | `urn:imei:490154203237518` | OMA LwM2M, section 7.3.1 |
//! | `urn:imei-imsi:490154203237518-262021234567890`, `urn:imei-msisdn:490154203237518-4915123456789` | LwM2M 1.0, 6.2.1 |
//! | `urn:gsma:imei:49015420-323751-0;svn=07` | RFC 7254 |
//! | `urn:imeisv:4901542032375107` | 3GPP TS 23.003, section 6.2.2 |
//! | `urn:dev:IMEI:490154203237518` | KPN Things, kpn-iot/thingsml-c-library |
//! | `urn:dev:mac:0024befffe804ff1` | RFC 9039, section 4.1 |
//!
//! Upper and lower case are the same (RFC 8141, section 3.1).

use crate::device::{DeviceId, DeviceIdError, Imei, Serial};

/// A meter, and what follows it in the name.
pub(super) type Named<'a> = (DeviceId, &'a str);

/// The part of a name after the IMEI.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// Nothing.
    Plain,
    /// A hyphen and the number of the subscriber, who is not the meter.
    Subscriber,
    /// Parameters that begin with a semicolon. The last digit may be a zero in place of the check digit.
    Gsma,
    /// The version of the software, in place of the check digit.
    Version,
}

const IMEIS: [(&str, Form); 7] = [
    ("urn:imei:", Form::Plain),
    ("urn:dev:imei:", Form::Plain),
    ("urn:imei-imsi:", Form::Subscriber),
    ("urn:imei-msisdn:", Form::Subscriber),
    ("urn:gsma:imei:", Form::Gsma),
    ("urn:imeisv:", Form::Version),
    ("urn:gsma:imeisv:", Form::Version),
];

const MAC: &str = "urn:dev:mac:";

/// The meter that a name begins with; `None` if it begins otherwise.
pub(super) fn named(name: &str) -> Option<Result<Named<'_>, DeviceIdError>> {
    let strip = |prefix: &str| {
        let (start, rest) = name.split_at_checked(prefix.len())?;
        start.eq_ignore_ascii_case(prefix).then_some(rest)
    };
    let imei = IMEIS.iter().find_map(|&(prefix, form)| Some(imei(strip(prefix)?, form)));
    match imei.or_else(|| strip(MAC).map(mac))? {
        // The rest names something in the meter, and must be separate from its ID.
        Ok((_, rest)) if rest.starts_with(|c: char| c.is_ascii_alphanumeric()) => None,
        named => Some(named),
    }
}

/// The meter of a base name that is an IMEI, as LwM2M clients of several networks are called. Only a right check digit
/// tells it from another number.
pub(super) fn bare(base_name: &str) -> Option<Named<'_>> {
    let (digits, rest) = leading(base_name, |c| c.is_ascii_digit());
    let is_imei = digits.len() == 15 && digits.ends_with(&check_digit(&digits[..14]));
    let ends = !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    (is_imei && ends).then_some(())?;
    Some((DeviceId::Nbiot(digits.parse().ok()?), rest))
}

fn imei(text: &str, form: Form) -> Result<Named<'_>, DeviceIdError> {
    let (digits, rest) = hyphenated(text, form).unwrap_or_else(|| {
        let (digits, rest) = leading(text, |c| c.is_ascii_digit());
        (digits.to_owned(), rest)
    });
    let is_hyphenated = text.as_bytes().get(8) == Some(&b'-');
    let digits = match (form, digits.len()) {
        (Form::Version, 16) => digits[..14].to_owned() + &check_digit(&digits[..14]),
        (Form::Version, _) | (Form::Gsma, 16) => return Err(DeviceIdError::Imei(digits)),
        // With the zero, the meter would have another ID than the one that is printed on it.
        _ if (form == Form::Gsma || is_hyphenated) && digits.len() == 15 && digits.ends_with('0') => {
            digits[..14].to_owned() + &check_digit(&digits[..14])
        }
        _ => digits,
    };
    let imei: Imei = digits.parse()?;
    Ok((DeviceId::Nbiot(imei), after(rest, form)))
}

/// The digits of an IMEI that is written as `49015420-323751-8`; with the version of the software, there are two at the
/// end.
fn hyphenated(text: &str, form: Form) -> Option<(String, &str)> {
    let (tac, text) = leading(text, |c| c.is_ascii_digit());
    let (serial, text) = leading(text.strip_prefix('-')?, |c| c.is_ascii_digit());
    let (end, rest) = leading(text.strip_prefix('-')?, |c| c.is_ascii_digit());
    let at_the_end = if form == Form::Version { 2 } else { 1 };
    ([tac.len(), serial.len(), end.len()] == [8, 6, at_the_end]).then(|| ([tac, serial, end].concat(), rest))
}

/// The rest of a name without what belongs to the IMEI.
fn after(mut rest: &str, form: Form) -> &str {
    match form {
        Form::Subscriber => {
            let (digits, after) = leading(rest.strip_prefix('-').unwrap_or_default(), |c| c.is_ascii_digit());
            if digits.is_empty() { rest } else { after }
        }
        Form::Gsma | Form::Version => {
            while let Some(parameter) = rest.strip_prefix(';') {
                rest = leading(parameter, |c| c.is_ascii_alphanumeric() || "=-.".contains(c)).1;
            }
            rest
        }
        Form::Plain => rest,
    }
}

/// A MAC address of 48 bits, or one that was extended to 64 bits by `fffe` or `ffff` in its middle.
fn mac(text: &str) -> Result<Named<'_>, DeviceIdError> {
    let (digits, rest) = leading(text, |c| c.is_ascii_hexdigit());
    let serial: Serial = match (digits.len(), digits.get(6..10).map(str::to_ascii_lowercase).as_deref()) {
        (16, Some("fffe" | "ffff")) => [&digits[..6], &digits[10..]].concat().parse()?,
        _ => digits.parse()?,
    };
    Ok((DeviceId::NbiotSerial(serial), rest))
}

fn leading(text: &str, is_part: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()))
}

/// The check digit of an IMEI (3GPP TS 23.003, annex B).
fn check_digit(digits: &str) -> String {
    let doubled = |digit: u32| digit * 2 / 10 + digit * 2 % 10;
    let digits = digits.chars().map(|c| c.to_digit(10).unwrap_or_default());
    let sum: u32 = digits.enumerate().map(|(n, digit)| if n % 2 == 1 { doubled(digit) } else { digit }).sum();
    ((10 - sum % 10) % 10).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(name: &str) -> Option<String> {
        named(name).and_then(Result::ok).map(|(device, rest)| format!("{device} {rest}"))
    }

    #[test]
    fn every_standard_spelling_of_an_imei_is_the_same_meter() {
        for (name, rest) in [
            ("urn:imei:490154203237518", ""),
            ("urn:imei:490154203237518:", ":"),
            ("urn:imei:490154203237518/3", "/3"),
            ("URN:IMEI:490154203237518:", ":"),
            ("Urn:Imei:490154203237518_A", "_A"),
            ("urn:imei:49015420-323751-8:", ":"),
            ("urn:gsma:imei:49015420-323751-8:", ":"),
            ("urn:gsma:imei:49015420-323751-0:", ":"),
            ("URN:GSMA:imei:49015420-323751-0", ""),
            ("urn:gsma:imei:49015420-323751-0;svn=07:A", ":A"),
            ("urn:gsma:imei:49015420-323751-0;svn=07;vers=0/", "/"),
            ("urn:gsma:imei:490154203237518:", ":"),
            ("urn:gsma:imei:490154203237510:", ":"),
            ("urn:imeisv:4901542032375107:", ":"),
            ("urn:gsma:imeisv:49015420-323751-07:", ":"),
            ("urn:imei-imsi:490154203237518-262021234567890:", ":"),
            ("urn:imei-msisdn:490154203237518-4915123456789", ""),
            ("urn:IMEI-MSISDN:490154203237518-4915123456789/", "/"),
            ("urn:imei-imsi:490154203237518:", ":"),
            ("urn:dev:IMEI:490154203237518:", ":"),
        ] {
            assert_eq!(split(name), Some(format!("nbiot:490154203237518 {rest}")), "{name}");
        }
        assert_eq!(split("urn:gsma:imei:35685003-518460-0").as_deref(), Some("nbiot:356850035184603 "));
        assert_eq!(split("urn:gsma:imei:49015420-323751-5").as_deref(), Some("nbiot:490154203237515 "));
        assert_eq!(split("urn:imei:490154203237510").as_deref(), Some("nbiot:490154203237510 "), "as it is written");
    }

    #[test]
    fn a_mac_address_is_a_serial_number() {
        for name in ["urn:dev:mac:0024be804ff1", "urn:dev:mac:0024befffe804ff1", "URN:DEV:MAC:0024BEFFFF804FF1"] {
            assert_eq!(split(&format!("{name}:A")).as_deref(), Some("nbiot:0024BE804FF1 :A"), "{name}");
        }
        for name in ["urn:dev:mac:0024be0102804ff1", "urn:dev:mac:0024be804ff", "urn:dev:mac:000000000000"] {
            assert!(matches!(named(name), Some(Err(DeviceIdError::Serial(_)))), "{name}");
        }
    }

    #[test]
    fn no_other_name_is_a_meters() {
        for name in [
            "",
            "A",
            "urn:imei:490154203237518x",
            "urn:gsma:imei:49015420-323751-8x",
            "urn:dev:ow:10e2073a01080063",
            "urn:dev:os:32473-123456",
            "urn:dev:DEVEUI:A84041D86182B195:",
            "urn:dev:mac:0024be804ff1x",
            "490154203237518",
        ] {
            assert_eq!(named(name), None, "{name}");
        }
        for name in [
            "urn:imei:",
            "urn:imei:49015420323751",
            "urn:imei:000000000000000",
            "urn:gsma:imei:4901542-0323751-8",
            "urn:gsma:imei:49015420-323751-",
            "urn:gsma:imei:49015420-323751-82",
            "urn:imeisv:490154203237518",
        ] {
            assert!(matches!(named(name), Some(Err(DeviceIdError::Imei(_)))), "{name}");
        }
    }

    #[test]
    fn a_bare_imei_needs_the_right_check_digit() {
        assert_eq!(bare("490154203237518:"), Some(("nbiot:490154203237518".parse().unwrap(), ":")));
        for name in ["490154203237517:", "490154203237518A", "49015420323751", "4901542032375181", "000000000000000"] {
            assert_eq!(bare(name), None, "{name}");
        }
    }
}
