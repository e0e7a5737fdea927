//! Holds the files of `events/` to the table of `events/README.md`. The end-to-end tests pass each to its function.

use std::collections::BTreeSet;

use pulsegate_tests::events;
use pulsegate_tests::template::Template;
use serde_json::json;

#[test]
fn the_table_lists_every_file_once_and_nothing_else() {
    let rows: Vec<String> = events::listed().into_iter().map(|row| row.file).collect();
    let listed: BTreeSet<String> = rows.iter().cloned().collect();
    assert_eq!((listed.len(), &listed), (rows.len(), &events::files()));
}

#[test]
fn every_file_is_named_for_the_function_it_is_handed_to() {
    let template = Template::read();
    for row in events::listed() {
        assert_eq!(events::function_of(&row.file, &template), Some(row.function), "{}", row.file);
    }
}

#[test]
fn every_file_is_an_event_of_the_kind_its_function_takes() {
    for row in events::listed() {
        let event = events::read(&row.file);
        let expects = |member: &str| row.answer.get(member).is_some();
        assert_eq!(event["requestContext"]["http"].is_object(), expects("statusCode"), "{}", row.file);
        assert_eq!(event["Records"].is_array(), expects("batchItemFailures"), "{}", row.file);
    }
}

#[test]
fn an_answer_holds_what_is_expected_whatever_it_says_besides() {
    let answer = json!({"statusCode": 200, "body": "{}"});
    assert!(events::answers(&answer, &json!({"statusCode": 200})));
    assert!(events::answers(&answer, &json!({})));
    for wrong in [json!({"statusCode": 204}), json!({"batchItemFailures": []}), json!(null)] {
        assert!(!events::answers(&answer, &wrong), "{wrong}");
    }
}
