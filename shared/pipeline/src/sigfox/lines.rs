//! Splits a batch callback (channel `BATCH_URL`) into its messages.
//!
//! Sigfox collects messages for a second, formats each as a line with the callback's line pattern, and sends all lines
//! as the value of one parameter. The customer chooses the parameter's name; the profile has the pattern.

use std::collections::BTreeSet;

use pulsegate_model::profile::Profile;

use super::CallbackKind;
use super::body::Body;
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
    /// The lines, with any line ending. Empty lines are skipped.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        lines(self.text)
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', '\r']).filter(|line| !line.trim().is_empty())
}

/// Returns the batches of a callback; a real one has at most one. In a batch callback no variable names the device, and
/// the value of a parameter, or otherwise the whole body, has at least one line that fits the pattern.
pub(super) fn find<'a>(
    kind: CallbackKind,
    profile: &Profile,
    variables: &'a Variables,
    body: &'a Body,
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
    // A set, because a query that was also copied into the form appears twice.
    let mut texts: BTreeSet<&str> = variables.values().filter(fits).collect();
    if texts.is_empty() {
        texts.extend(body.text().filter(fits));
    }
    texts.into_iter().map(|text| Batch { pattern, text }).collect()
}

impl LinePattern {
    /// The pattern as typed into the Sigfox back end.
    pub(super) fn text(self) -> &'static str {
        self.0
    }

    /// Returns the names and values of a line; `None` if the line lacks one of the pattern's separators. Allows an
    /// extra separator at the end: many patterns have one there.
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
