//! Compares two items, attribute by attribute.

use std::collections::{BTreeSet, HashMap};

use pulsegate_aws::items::Item;
use serde_dynamo::AttributeValue;
use serde_json::Value;

/// True if two items are equal in a table: it normalises numbers, and does not keep the order of sets.
pub(super) fn same(a: &Item, b: &Item) -> bool {
    same_members(a.inner(), b.inner())
}

fn same_members(a: &HashMap<String, AttributeValue>, b: &HashMap<String, AttributeValue>) -> bool {
    a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same_value(a, b)))
}

fn same_value(a: &AttributeValue, b: &AttributeValue) -> bool {
    match (a, b) {
        (AttributeValue::N(a), AttributeValue::N(b)) => decimal(a) == decimal(b),
        (AttributeValue::M(a), AttributeValue::M(b)) => same_members(a, b),
        (AttributeValue::L(a), AttributeValue::L(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
        }
        (AttributeValue::Ss(a), AttributeValue::Ss(b)) => same_set(a, b, Clone::clone),
        (AttributeValue::Ns(a), AttributeValue::Ns(b)) => same_set(a, b, |number| decimal(number)),
        (AttributeValue::Bs(a), AttributeValue::Bs(b)) => same_set(a, b, Clone::clone),
        _ => a == b,
    }
}

fn same_set<T, K: Ord>(a: &[T], b: &[T], key: impl Fn(&T) -> K) -> bool {
    a.iter().map(&key).collect::<BTreeSet<_>>() == b.iter().map(&key).collect::<BTreeSet<_>>()
}

/// Normalises a number: sign, digits without leading and trailing zeros, and exponent.
fn decimal(text: &str) -> (bool, String, i64) {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return (false, String::new(), 0);
    }
    let shifted = i64::try_from(digits.len() - significant.len()).unwrap_or_default();
    let behind = i64::try_from(fraction.len()).unwrap_or_default();
    (negative, significant.to_owned(), exponent.parse::<i64>().unwrap_or_default() + shifted - behind)
}

/// Returns a line for each attribute that differs: `channels.A[0].index: 295 -> 159`.
pub(super) fn differences(before: &Item, now: &Item) -> Vec<String> {
    let mut found = Vec::new();
    members("", before.inner(), now.inner(), &mut found);
    found
}

fn members(
    path: &str,
    before: &HashMap<String, AttributeValue>,
    now: &HashMap<String, AttributeValue>,
    found: &mut Vec<String>,
) {
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        differ(&path, before.get(name), now.get(name), found);
    }
}

fn differ(path: &str, before: Option<&AttributeValue>, now: Option<&AttributeValue>, found: &mut Vec<String>) {
    match (before, now) {
        (Some(AttributeValue::M(before)), Some(AttributeValue::M(now))) => members(path, before, now, found),
        (Some(AttributeValue::L(before)), Some(AttributeValue::L(now))) => {
            for position in 0..before.len().max(now.len()) {
                differ(&format!("{path}[{position}]"), before.get(position), now.get(position), found);
            }
        }
        (Some(before), Some(now)) if same_value(before, now) => {}
        (before, now) => found.push(format!("{path}: {} -> {}", shown(before), shown(now))),
    }
}

fn shown(value: Option<&AttributeValue>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    match value {
        AttributeValue::N(number) => number.clone(),
        AttributeValue::B(bytes) => format!("{} bytes", bytes.len()),
        value => serde_dynamo::from_attribute_value::<_, Value>(value.clone())
            .map_or_else(|_| format!("{value:?}"), |value| value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn item(value: Value) -> Item {
        serde_dynamo::to_item(value).unwrap()
    }

    fn number(text: &str) -> Item {
        HashMap::from([("n".to_owned(), AttributeValue::N(text.to_owned()))]).into()
    }

    proptest! {
        #[test]
        fn what_is_the_same_has_no_differences_and_what_is_not_has_some(a in -99..99_i32, b in -99..99_i32, key in "[ab]") {
            let (one, other) = (item(json!({"c": {key: [a, 1]}})), item(json!({"c": {"a": [b, 1]}})));
            prop_assert_eq!(same(&one, &other), differences(&one, &other).is_empty());
        }
    }

    #[test]
    fn a_number_is_the_same_however_it_is_spelled() {
        for (a, b) in
            [("1", "1.0"), ("100", "1E2"), ("0.0000001", "1E-7"), ("-0", "0"), ("21.50", "21.5"), ("007", "7")]
        {
            assert!(same(&number(a), &number(b)), "{a} {b}");
        }
        for (a, b) in [("1", "-1"), ("1", "10"), ("1.5", "15"), ("0.1", "0.01"), ("1E2", "1E-2")] {
            assert!(!same(&number(a), &number(b)), "{a} {b}");
        }
    }

    #[test]
    fn a_set_has_no_order() {
        let set = |texts: [&str; 2]| -> Item {
            let texts = texts.map(str::to_owned).to_vec();
            HashMap::from([("s".to_owned(), AttributeValue::Ss(texts))]).into()
        };
        assert!(same(&set(["a", "b"]), &set(["b", "a"])) && !same(&set(["a", "b"]), &set(["a", "c"])));
    }

    #[test]
    fn differences_are_told_attribute_by_attribute() {
        let before = item(json!({"codec_version": 1, "channels": {"A": [{"index": 295}]}, "flags": ["x"], "same": 1}));
        let now = item(json!({"codec_version": 2, "channels": {"A": [{"index": 159}, {"index": 7}]}, "same": 1}));
        let expected = [
            "channels.A[0].index: 295 -> 159",
            "channels.A[1]: nothing -> {\"index\":7}",
            "codec_version: 1 -> 2",
            "flags: [\"x\"] -> nothing",
        ];
        assert_eq!(differences(&before, &now), expected);
    }
}
