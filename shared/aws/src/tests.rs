//! Tests the adapters with responses in which AWS accepts only a part. Time is paused, so pauses between requests take
//! no time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::Region;
use aws_config::retry::RetryConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sqs::config::Credentials;
use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use http::Response;
use pulsegate_model::aggregate::StreamRecord;
use pulsegate_model::at::At;
use pulsegate_pipeline::downlink::{Downlink, DownlinkAnswer, Downlinks as _};
use pulsegate_pipeline::ports::{Queue as _, Refused, Stream as _};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::items::Item;

mod observe;
mod reads;

/// The requests, in order.
type Requests = Arc<Mutex<Vec<Value>>>;

/// A configuration whose requests are answered by `answer`, which gets the number of earlier requests.
fn answering(answer: fn(usize, &Value) -> (u16, Value)) -> (SdkConfig, Requests) {
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    let client = infallible_client_fn(move |request: http::Request<SdkBody>| {
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let mut seen = seen.lock().unwrap();
        let (status, answer) = answer(seen.len(), &body);
        seen.push(body);
        Response::builder().status(status).body(SdkBody::from(answer.to_string())).unwrap()
    });
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .retry_config(RetryConfig::disabled())
        .http_client(client)
        .build();
    (config, requests)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn items(count: usize) -> Vec<Item> {
    (0..count).map(|n| serde_dynamo::to_item(json!({"device": "d", "uplink": n.to_string()})).unwrap()).collect()
}

fn bodies(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

/// Leaves the first item of the first request unprocessed.
fn one_unprocessed(before: usize, request: &Value) -> (u16, Value) {
    let unprocessed = if before == 0 { json!({"t": [request["RequestItems"]["t"][0]]}) } else { json!({}) };
    (200, json!({"UnprocessedItems": unprocessed}))
}

#[tokio::test(start_paused = true)]
async fn an_unprocessed_item_is_sent_again_alone() {
    let (config, requests) = answering(one_unprocessed);
    assert_eq!(DynamoTable::new(&config, "t").put(&items(3), soon()).await, Refused::new());
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1]["RequestItems"]["t"].as_array().unwrap().len(), 1);
    assert_eq!(requests[1]["RequestItems"]["t"][0], requests[0]["RequestItems"]["t"][0]);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_throttles_is_tried_until_shortly_before_the_deadline_and_then_all_is_given_back() {
    let error = |_, _: &Value| {
        (400, json!({"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}))
    };
    let (config, requests) = answering(error);
    let deadline = soon();
    assert_eq!(DynamoTable::new(&config, "t").put(&items(3), deadline).await, Refused::from([0, 1, 2]));
    assert!(requests.lock().unwrap().len() > 5);
    assert!(Instant::now() < deadline);
}

#[tokio::test(start_paused = true)]
async fn a_message_refused_as_the_services_fault_is_sent_again_and_one_refused_as_ours_is_given_back() {
    let answer = |before, _: &Value| {
        let entry = |id: &str, sender| json!({"Id": id, "SenderFault": sender, "Code": "X", "Message": "why"});
        let sent = |id: &str| json!({"Id": id, "MessageId": "m", "MD5OfMessageBody": "d"});
        let answer = if before == 0 {
            json!({"Successful": [sent("0")], "Failed": [entry("1", false), entry("2", true)]})
        } else {
            json!({"Successful": [sent("1")]})
        };
        (200, answer)
    };
    let (config, requests) = answering(answer);
    assert_eq!(SqsQueue::new(&config, "https://sqs/q").send(&bodies(3), soon()).await, Refused::from([2]));
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1]["Entries"].as_array().unwrap().len(), 1);
    assert_eq!(requests[1]["Entries"][0]["MessageBody"], "1");
}

#[tokio::test(start_paused = true)]
async fn one_item_that_the_table_cannot_hold_does_not_hold_back_its_neighbours() {
    let answer = |_, request: &Value| {
        let puts = request["RequestItems"]["t"].as_array().unwrap();
        let bad = puts.iter().any(|put| put["PutRequest"]["Item"]["uplink"]["S"] == "1");
        let refused = json!({"__type": "com.amazon.coral.validate#ValidationException", "message": "too big a number"});
        if bad { (400, refused) } else { (200, json!({"UnprocessedItems": {}})) }
    };
    let (config, requests) = answering(answer);
    assert_eq!(DynamoTable::new(&config, "t").put(&items(3), soon()).await, Refused::from([1]));
    assert_eq!(requests.lock().unwrap().len(), 1 + 3);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_not_there_is_not_asked_twice() {
    let (config, requests) = answering(|_, _| (400, json!({"__type": "com.amazonaws.sqs#QueueDoesNotExist"})));
    assert_eq!(SqsQueue::new(&config, "https://sqs/q").send(&bodies(3), soon()).await, Refused::from([0, 1, 2]));
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn exactly_the_records_that_the_stream_throttles_are_told_and_nothing_is_put_twice() {
    let answer = |_, request: &Value| {
        let throttled = json!({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"});
        let taken = json!({"SequenceNumber": "1", "ShardId": "shardId-000000000000"});
        let records = request["Records"].as_array().unwrap().len();
        let entry = |n| if n == 1 { throttled.clone() } else { taken.clone() };
        (200, json!({"FailedRecordCount": 1, "Records": (0..records).map(entry).collect::<Vec<_>>()}))
    };
    let (config, requests) = answering(answer);
    let record = |n: u8| StreamRecord { partition_key: format!("device-{n}"), data: vec![n] };
    let records: Vec<StreamRecord> = (0..3).map(record).collect();
    let records: Vec<&StreamRecord> = records.iter().collect();
    assert_eq!(KinesisStream::new(&config, "s").put(&records, soon()).await, Refused::from([1]));
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_there_refuses_every_record() {
    let (config, _) = answering(|_, _| (400, json!({"__type": "ResourceNotFoundException"})));
    let record = StreamRecord { partition_key: "device".to_owned(), data: vec![1] };
    assert_eq!(KinesisStream::new(&config, "s").put(&[&record, &record], soon()).await, Refused::from([0, 1]));
}

fn an_answer() -> DownlinkAnswer {
    let id = "5#2026-11-20T12:00:00Z#a".parse().unwrap();
    let downlink = Downlink::pending("sigfox:1A2345".parse().unwrap(), id, "00000000000000FF".parse().unwrap(), None);
    let uplink = "2026-11-20T12:00:00Z#00042".to_owned();
    DownlinkAnswer { downlink, marker: format!("answered#{uplink}"), uplink, expires_at: At::EPOCH.unix() }
}

fn cancelled(reason: &str) -> (u16, Value) {
    let reasons = json!([{"Code": "None"}, {"Code": reason}]);
    (400, json!({"__type": "TransactionCanceledException", "CancellationReasons": reasons}))
}

#[tokio::test(start_paused = true)]
async fn a_transaction_in_which_another_was_faster_is_not_done_and_no_failure() {
    let (config, requests) = answering(|before, _| match before {
        0 => cancelled("ConditionalCheckFailed"),
        1 => cancelled("TransactionConflict"),
        _ => (200, json!({})),
    });
    let table = DownlinkTable::new(&config, "t");
    for expected in [false, false, true] {
        assert_eq!(table.answer_with(&an_answer(), soon()).await.unwrap(), expected);
    }
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 3);
    // The text as typed, not the parsed value: the condition compares texts.
    let update = &requests[0]["TransactItems"][1]["Update"];
    assert_eq!(update["ExpressionAttributeValues"][":data"]["S"], "00000000000000FF");
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_fails_for_another_reason_is_a_failure() {
    let (config, _) = answering(|_, _| cancelled("ValidationError"));
    assert!(DownlinkTable::new(&config, "t").answer_with(&an_answer(), soon()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_table_of_downlinks_that_is_in_trouble_is_asked_again_until_the_deadline() {
    let trouble = |before, _: &Value| match before {
        0 => (500, json!({"__type": "InternalServerError"})),
        1 => (400, json!({"__type": "ThrottlingException"})),
        _ => (200, json!({"Items": [], "Count": 0})),
    };
    let (config, requests) = answering(trouble);
    let device = an_answer().downlink.device;
    assert!(DownlinkTable::new(&config, "t").of_device(device, soon()).await.unwrap().is_empty());
    assert_eq!(requests.lock().unwrap().len(), 3);
    let (config, _) = answering(|_, _| (500, json!({"__type": "InternalServerError"})));
    assert!(DownlinkTable::new(&config, "t").of_device(device, soon()).await.is_err());
}
