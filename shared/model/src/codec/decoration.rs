//! Undoes what modems, gateways and scripts do to the bytes of a datagram without changing their meaning: hex in ASCII,
//! quotes, line ends, a NUL from a C string.

use super::Undecodable;

/// UTF-8's mark for the order of bytes.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The most bytes of decoration behind the last field of a binary frame: CR, LF and NUL.
const MAX_END: usize = 3;

/// The hex digits of a datagram that is a text of nothing else. Around them there may be white space, NULs, a byte order
/// mark, quotes and `0x`; between them white space.
pub(super) struct HexText<'a> {
    /// The length of what is before the digits.
    before: usize,
    digits: &'a [u8],
}

impl<'a> HexText<'a> {
    /// The text; `None` if the datagram is not one.
    pub(super) fn of(datagram: &'a [u8]) -> Option<Self> {
        let mut rest = without_start(datagram);
        let quote = rest.first().copied().filter(|first| matches!(first, b'"' | b'\''));
        if quote.is_some() {
            rest = without_start(&rest[1..]);
        }
        rest = rest.strip_prefix(b"0x").or_else(|| rest.strip_prefix(b"0X")).unwrap_or(rest);
        let before = datagram.len() - rest.len();
        let mut digits = without_end(rest);
        if let Some(quote) = quote {
            digits = without_end(digits.strip_suffix(&[quote])?);
        }
        let is_hex = digits.iter().all(|byte| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace());
        (is_hex && !digits.is_empty()).then_some(Self { before, digits })
    }

    /// The bytes that the text spells.
    ///
    /// # Errors
    /// [`Undecodable::Form`] if the last byte lacks a digit.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, Undecodable> {
        let digits: Vec<u8> = self.digits.iter().copied().filter(u8::is_ascii_hexdigit).collect();
        hex::decode(digits).map_err(|_| Undecodable::Form("the datagram is hex in ASCII with an odd number of digits"))
    }

    /// The length of the datagram's beginning that spells so many bytes.
    pub(super) fn len_of(&self, bytes: usize) -> usize {
        let mut digits = self.digits.iter().enumerate().filter(|(_, byte)| byte.is_ascii_hexdigit());
        let last = digits.nth((2 * bytes).saturating_sub(1));
        self.before + last.map_or(self.digits.len(), |(place, _)| place + 1)
    }
}

/// True for a datagram of printable characters only, but for the decoration around them.
pub(super) fn is_text(datagram: &[u8]) -> bool {
    let text = without_end(without_start(datagram));
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
}

/// The datagram without a byte order mark, white space and NULs before it.
pub(super) fn without_start(datagram: &[u8]) -> &[u8] {
    let text = datagram.strip_prefix(BYTE_ORDER_MARK).unwrap_or(datagram);
    let start = text.iter().position(|byte| !is_blank(*byte)).unwrap_or(text.len());
    &text[start..]
}

/// True for bytes that can follow a binary frame without being part of it: a line end, a NUL, or a few of them.
pub(super) fn is_end(bytes: &[u8]) -> bool {
    bytes.len() <= MAX_END && bytes.iter().all(|byte| is_blank(*byte))
}

fn without_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !is_blank(*byte)).map_or(0, |last| last + 1);
    &text[..end]
}

fn is_blank(byte: u8) -> bool {
    byte == 0 || byte.is_ascii_whitespace()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every decorated text of these bytes in hex.
    pub(in crate::codec) fn decorated(bytes: &[u8]) -> impl Strategy<Value = Vec<u8>> + use<> {
        let blank = || prop::collection::vec(prop::sample::select(b" \t\r\n\0".to_vec()), 0..4);
        let quote = prop::sample::select(vec!["", "\"", "'"]);
        let prefix = prop::sample::select(vec!["", "0x", "0X"]);
        let between = prop::sample::select(vec!["", " ", "\r\n"]);
        let (text, mark) = (hex::encode(bytes), prop::sample::select(vec![&b""[..], BYTE_ORDER_MARK]));
        (mark, blank(), quote, prefix, between, any::<bool>(), blank()).prop_map(
            move |(mark, start, quote, prefix, between, upper, end)| {
                let text = if upper { text.to_uppercase() } else { text.clone() };
                let pairs: Vec<_> = text.as_bytes().chunks(2).map(<[u8]>::to_vec).collect();
                let text = pairs.join(between.as_bytes());
                let [quote, prefix] = [quote, prefix].map(str::as_bytes);
                [mark, &start, quote, prefix, &text, quote, &end].concat()
            },
        )
    }

    fn spelled(datagram: &[u8]) -> Option<Vec<u8>> {
        HexText::of(datagram).and_then(|text| text.bytes().ok())
    }

    #[test]
    fn only_a_text_of_nothing_but_hex_is_one() {
        assert_eq!(spelled(b"\0 \"0xF867\"\r\n\0"), Some(vec![0xF8, 0x67]));
        assert_eq!(spelled(b"f8 67"), Some(vec![0xF8, 0x67]));
        for datagram in ["", " ", "\0", "0x", "\"\"", "\"f867", "f867\"", "f8,67", "+f867", "{\"f867\"}", "f8\u{0}67"] {
            assert!(HexText::of(datagram.as_bytes()).is_none(), "{datagram:?}");
        }
        assert!(HexText::of(b"f86").is_some_and(|text| text.bytes().is_err()));
    }

    #[test]
    fn the_beginning_that_spells_bytes_is_as_long_as_it_was_sent() {
        let text = HexText::of(b" 0xF8 67\n").unwrap();
        assert_eq!([1, 2, 3].map(|bytes| text.len_of(bytes)), [5, 8, 8]);
    }

    #[test]
    fn a_text_has_no_other_bytes_than_printable_ones() {
        assert!(is_text(b"AT+NSOST\r\n\0") && is_text(b"f867"));
        assert!(!is_text(b"") && !is_text(b"\0\r\n") && !is_text(b"a\0b") && !is_text(b"a\x80"));
    }

    proptest! {
        #[test]
        fn bytes_come_out_of_any_decoration((bytes, text) in prop::collection::vec(any::<u8>(), 1..40)
            .prop_flat_map(|bytes| (Just(bytes.clone()), decorated(&bytes))))
        {
            prop_assert_eq!(spelled(&text), Some(bytes));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, wanted in 0..100_usize) {
            if let Some(text) = HexText::of(&bytes) {
                prop_assert!(text.len_of(wanted) <= bytes.len());
                let _ = text.bytes();
            }
            let _ = (is_text(&bytes), is_end(&bytes));
        }
    }
}
