//! The stand-in for Kinesis, over HTTP.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pulsegate_model::aggregate::Aggregator;
use serde_json::{Value, json};
use test_kit::kinesis::StandIn;
use test_kit::kinesis::fault::Fault;

/// Longer than anything here takes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

fn start() -> (StandIn, Receiver<Vec<u8>>) {
    let (sender, receiver) = sync_channel(1_000);
    (StandIn::start(Duration::ZERO, Some(sender), 7).unwrap(), receiver)
}

/// Puts this many records, each with two user records. Returns the answer; `None` if the connection closes without one.
fn put(addr: SocketAddr, records: usize) -> Option<(u16, Value)> {
    let mut open = Aggregator::default();
    for n in [1, 2] {
        open.add(|| "key".to_owned(), &[n; 100]);
    }
    let data = STANDARD.encode(open.close().unwrap().data);
    let records = vec![json!({"Data": data, "PartitionKey": "key"}); records];
    let body = json!({"Records": records, "StreamName": "stream"}).to_string();
    post(addr, "Kinesis_20131202.PutRecords", &body)
}

fn post(addr: SocketAddr, target: &str, body: &str) -> Option<(u16, Value)> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.post(format!("http://{addr}/")).header("x-amz-target", target).send(body).ok()?;
    let text = answer.body_mut().read_to_string().ok()?;
    Some((answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_default()))
}

#[test]
fn what_is_put_is_counted_and_handed_on() {
    let (stand_in, records) = start();
    let (status, answer) = put(stand_in.addr(), 3).unwrap();
    assert_eq!((status, &answer["FailedRecordCount"]), (200, &json!(0)));
    assert_eq!(answer["Records"].as_array().unwrap().len(), 3);
    let taken = stand_in.taken();
    assert_eq!((taken.requests, taken.records, taken.user_records), (1, 3, 6));
    let handed: Vec<Vec<u8>> = records.try_iter().collect();
    assert_eq!(handed.iter().map(|record| record.len() as u64).sum::<u64>(), taken.bytes);
}

/// How a request of ten records is answered (`None`: not at all), how many are called refused, and how many are kept.
fn check(fault: Fault, status: Option<u16>, refused: Option<u64>, kept: usize) {
    let (stand_in, records) = start();
    stand_in.fail(fault);
    let answer = put(stand_in.addr(), 10);
    assert_eq!(answer.as_ref().map(|(status, _)| *status), status, "{fault:?}");
    assert_eq!(answer.and_then(|(_, answer)| answer["FailedRecordCount"].as_u64()), refused, "{fault:?}");
    assert_eq!(records.try_iter().count(), kept, "{fault:?}");
    stand_in.fail(Fault::None);
    assert_eq!(put(stand_in.addr(), 10).unwrap().0, 200, "after {fault:?}");
    assert_eq!(records.try_iter().count(), 10, "after {fault:?}");
}

#[test]
fn each_fault_keeps_and_answers_what_it_says() {
    check(Fault::RefuseAll, Some(200), Some(10), 0);
    check(Fault::RefuseEvery(3), Some(200), Some(4), 6);
    check(Fault::InternalError, Some(500), None, 0);
    check(Fault::Throttled, Some(400), None, 0);
    check(Fault::Slow(Duration::from_millis(1)), Some(200), Some(0), 10);
    check(Fault::KeepAndHangUp, None, None, 10);
    check(Fault::CloseUnread, None, None, 0);
    check(Fault::Nonsense, Some(200), None, 0);
    check(Fault::ShortAnswer, Some(200), Some(0), 10);
    check(Fault::Forget(3), Some(200), Some(0), 7);
}

#[test]
fn of_what_is_refused_by_chance_exactly_the_rest_is_kept() {
    let (stand_in, records) = start();
    stand_in.fail(Fault::RefuseHalf);
    let (_, answer) = put(stand_in.addr(), 500).unwrap();
    let refused = answer["FailedRecordCount"].as_u64().unwrap();
    assert!((1..500).contains(&refused));
    assert_eq!(records.try_iter().count() as u64, 500 - refused);
}

#[test]
fn it_is_absent_and_comes_back_at_the_same_address() {
    let (stand_in, _records) = start();
    let until = |answers: bool| {
        let end = Instant::now() + ANSWER_TIMEOUT;
        while put(stand_in.addr(), 1).is_some() != answers {
            assert!(Instant::now() < end, "answers: {answers}");
        }
    };
    stand_in.fail(Fault::Absent);
    until(false);
    stand_in.fail(Fault::None);
    until(true);
}

#[test]
fn more_records_than_kinesis_takes_are_refused_and_so_is_what_it_does_not_do() {
    let (stand_in, records) = start();
    assert_eq!(put(stand_in.addr(), 501).unwrap().0, 400);
    assert_eq!(post(stand_in.addr(), "Kinesis_20131202.PutRecords", "{").unwrap().0, 400);
    assert_eq!(post(stand_in.addr(), "Kinesis_20131202.DeleteStream", "{}").unwrap().0, 400);
    assert_eq!(records.try_iter().count(), 0);
}

#[test]
fn it_knows_the_master_keys() {
    let (stand_in, _records) = start();
    let (_, answer) = post(stand_in.addr(), "secretsmanager.GetSecretValue", r#"{"SecretId":"keys"}"#).unwrap();
    assert!(answer["SecretString"].as_str().unwrap().contains("\"1\""));
}
