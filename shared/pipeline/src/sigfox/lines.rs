//! The messages of a batch callback (channel `BATCH_URL`).
//!
//! Sigfox gathers messages for a second, writes each as a line after the callback's line pattern, and sends all lines as the
//! value of one parameter. What the parameter is called is the customer's choice; the pattern is the profile's.

use std::collections::BTreeSet;

use pulsegate_model::profile::Profile;

use super::CallbackKind;
use super::variables::Variables;

/// A profile's line pattern, such as `{device};{time};{data};{seqNumber}`.
#[derive(Debug, Clone, Copy)]
pub(super) struct LinePattern(&'static str);

/// The lines of a batch.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    pub(super) pattern: LinePattern,
    text: &'a str,
}

impl Batch<'_> {
    /// The lines, whichever way they end. Empty ones are none.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        lines(self.text)
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', '\r']).filter(|line| !line.trim().is_empty())
}

/// The batches that a callback holds, of which there is one at most in life: it names no device, and the value of some
/// parameter, or else the body as it stands, has lines of which at least one fits the pattern.
pub(super) fn find<'a>(
    kind: CallbackKind,
    profile: &Profile,
    variables: &'a Variables,
    body: &'a [u8],
) -> Vec<Batch<'a>> {
    let pattern = match kind {
        CallbackKind::Uplink => LinePattern(profile.callbacks.uplink_line),
        CallbackKind::Bidir => LinePattern(profile.callbacks.bidir_line),
        _ => return Vec::new(),
    };
    if variables.peek("device").is_some_and(|device| pattern.values(device).is_none()) {
        return Vec::new();
    }
    let fits = |text: &&str| lines(text).any(|line| pattern.values(line).is_some());
    // Once, where the query was moved into the form and left where it was.
    let mut texts: BTreeSet<&str> = variables.values().filter(fits).collect();
    if texts.is_empty() {
        texts.extend(std::str::from_utf8(body).ok().filter(fits));
    }
    texts.into_iter().map(|text| Batch { pattern, text }).collect()
}

impl LinePattern {
    /// As it is typed into the back end.
    pub(super) fn text(self) -> &'static str {
        self.0
    }

    /// The names and values of a line; `None` if it lacks one of the pattern's separators. One more separator at the end is
    /// no matter: many patterns have one there.
    pub(super) fn values(self, line: &str) -> Option<Vec<(&'static str, &str)>> {
        let (mut pattern, mut line) = (self.0, line);
        let mut values = Vec::new();
        let mut separator = "";
        while let Some((literal, rest)) = pattern.split_once('{') {
            line = line.strip_prefix(literal)?;
            let (name, rest) = rest.split_once('}')?;
            let literal = &rest[..rest.find('{').unwrap_or(rest.len())];
            let last = literal.len() == rest.len();
            if !last {
                separator = literal;
            }
            let value = match line.find(literal) {
                Some(end) if !last => &line[..end],
                None if !last => return None,
                _ => {
                    let value = line.strip_suffix(literal).unwrap_or(line);
                    if separator.is_empty() { value } else { value.trim_end_matches(separator) }
                }
            };
            values.push((name, value));
            line = &line[value.len()..];
            pattern = rest;
        }
        Some(values)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulsegate_model::profile::PROFILES;

    use super::*;

    fn values(pattern: &'static str, line: &str) -> Option<Vec<String>> {
        LinePattern(pattern).values(line).map(|values| values.into_iter().map(|(n, v)| format!("{n}={v}")).collect())
    }

    #[test]
    fn a_line_is_cut_where_its_pattern_has_something_between_two_variables() {
        let expected = Some(vec!["device=1A".to_owned(), "time=5".to_owned(), "data=46".to_owned()]);
        assert_eq!(values("{device};{time};{data}", "1A;5;46"), expected);
        assert_eq!(values("{device};{time};{data};", "1A;5;46;"), expected);
        assert_eq!(values("{device};{time};{data}", "1A;5;46;"), expected);
        assert_eq!(values("{device};{time};{data};", "1A;5;46"), expected);
        assert_eq!(values("<{device}|t={time}, {data}>", "<1A|t=5, 46>"), expected);
        assert_eq!(values("{device};{time};{data}", "1A;5"), None);
        assert_eq!(values("{device};{time};{data}", ""), None);
    }

    #[test]
    fn a_value_may_be_empty() {
        let expected = Some(vec!["device=1A".to_owned(), "data=".to_owned(), "seqNumber=7".to_owned()]);
        assert_eq!(values("{device};{data};{seqNumber}", "1A;;7"), expected);
    }

    #[test]
    fn every_profiles_patterns_have_device_time_and_data_and_something_between_any_two() {
        for callbacks in PROFILES.iter().map(|profile| &profile.callbacks) {
            for pattern in [callbacks.uplink_line, callbacks.bidir_line] {
                assert!(["{device}", "{time}", "{data}"].iter().all(|name| pattern.contains(name)), "{pattern}");
                assert!(!pattern.contains("}{"), "{pattern}");
            }
            assert!(callbacks.bidir_line.contains("{ack}"), "without it nobody is ever answered");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line: String) {
            let _ = values("{device};{time};{data};{seqNumber};{ack};", &line);
        }
    }
}
