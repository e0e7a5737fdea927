//! Rewrites a text that is almost JSON as JSON, where it can have one meaning only.
//!
//! Relays print what their language prints (`{'seqNumber': None}`, `NaN`, `undefined`), and templates without quotes
//! around a variable give JSON only for some of its values (`{"data": 0c46}`). Valid JSON never comes here, and the
//! text between double quotes stays as it is, byte for byte.

use serde_json::value::RawValue;

/// Outside of strings in double quotes: puts words and numbers that JSON does not have into quotes, a variable that was
/// not replaced (`{rssi}`) too, turns single quotes into double ones, drops a comma before a closing bracket, and
/// writes `null` for a value that is not there. The result need not be JSON.
pub(super) fn repaired(text: &str) -> String {
    let mut repaired = String::with_capacity(text.len() + text.len() / 4);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let placeholder = placeholder_len(rest);
        let len = match first {
            '"' | '\'' => string(rest, first, &mut repaired),
            '{' if placeholder > 0 => {
                quoted(&rest[..placeholder], &mut repaired);
                placeholder
            }
            ',' if next(rest).is_some_and(|next| matches!(next, '}' | ']')) => 1,
            ':' if next(rest).is_some_and(|next| matches!(next, '}' | ',')) => {
                repaired.push_str(":null");
                1
            }
            _ if is_word(first) => word(rest, &mut repaired),
            _ => {
                repaired.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[len..];
    }
    repaired
}

/// The first character behind the first one that is not white space.
fn next(rest: &str) -> Option<char> {
    rest[1..].trim_ascii_start().chars().next()
}

/// Copies a string, and returns its length in the text.
fn string(rest: &str, quote: char, to: &mut String) -> usize {
    let mut escaped = false;
    let end = rest[1..].find(|c| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let Some(end) = end else {
        to.push_str(rest);
        return rest.len();
    };
    let inner = &rest[1..=end];
    if quote == '"' {
        to.push_str(&rest[..end + 2]);
    } else {
        quoted(&inner.replace("\\'", "'").replace('"', "\\\""), to);
    }
    end + 2
}

/// The length of a `{name}`, zero if there is none. Valid JSON cannot have it: a member's name is in quotes.
fn placeholder_len(rest: &str) -> usize {
    let Some(inner) = rest.strip_prefix('{') else { return 0 };
    let len = inner.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '#'))).unwrap_or(inner.len());
    if len > 0 && inner[len..].starts_with('}') { len + "{}".len() } else { 0 }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.' | '/')
}

/// Copies a number, `true`, `false` or `null`, and any other word in quotes. Returns its length.
fn word(rest: &str, to: &mut String) -> usize {
    let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
    if serde_json::from_str::<&RawValue>(word).is_ok() {
        to.push_str(word);
    } else {
        quoted(word, to);
    }
    word.len()
}

fn quoted(text: &str, to: &mut String) {
    to.push('"');
    to.push_str(text);
    to.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn check(text: &str, expected: &Value) {
        let repaired = repaired(text);
        assert_eq!(serde_json::from_str::<Value>(&repaired).ok().as_ref(), Some(expected), "{text} is {repaired}");
    }

    #[test]
    fn words_that_json_does_not_have_are_texts() {
        check(
            "{\"a\": NaN, \"b\": -Infinity, \"c\": undefined}",
            &json!({"a": "NaN", "b": "-Infinity", "c": "undefined"}),
        );
        check("{\"device\": 1A2345, \"data\": 0046, \"n\": 1}", &json!({"device": "1A2345", "data": "0046", "n": 1}));
        check("{device: \"1A\", snr: {snr}, rssi: -1.5}", &json!({"device": "1A", "snr": "{snr}", "rssi": -1.5}));
        check("{'a': 'it\\'s \"x\"', 'b': None, 'c': True}", &json!({"a": "it's \"x\"", "b": "None", "c": "True"}));
        check("{\"a\": , \"b\": [1, 2,], \"c\":}", &json!({"a": null, "b": [1, 2], "c": null}));
    }

    #[test]
    fn what_may_have_two_meanings_stays_no_json() {
        for text in
            ["{\"a\": 1", "{\"a\": \"1}", "{\"a\": 1 2}", "{\"a\": 1,5}", "{\"a\" 1}", "{\"a\": 12:00}", "{'a': 'b"]
        {
            assert!(serde_json::from_str::<Value>(&repaired(text)).is_err(), "{text} is {}", repaired(text));
        }
    }

    /// Any JSON, with texts that look like what is rewritten.
    fn any_json() -> impl Strategy<Value = Value> {
        let text = "[a-zA-Z0-9{}',:\"\\\\\\[\\] -]{0,12}|NaN|\\{snr\\}|,\\}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(text, inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_stays_as_it_is_and_so_does_every_text_in_it(value in any_json(), pretty: bool) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            prop_assert_eq!(repaired(&text), text);
        }

        #[test]
        fn a_value_that_json_does_not_have_changes_none_of_its_neighbours(value in any_json(), word in "NaN|None|0x1|007|\\{snr\\}") {
            let text = format!("[{value},{word},{value}]");
            prop_assert_eq!(serde_json::from_str::<Value>(&repaired(&text))?, json!([value, word, value]));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = repaired(&text);
        }
    }
}
