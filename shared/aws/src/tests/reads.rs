//! Tests of retried reads.

use pulsegate_pipeline::ports::{PulseReader as _, ReceiveQueue as _};

use super::*;

const HOLD: Duration = Duration::from_mins(5);

fn keys(count: usize) -> Vec<Key> {
    (0..count).map(|n| Key { device: "d".to_owned(), uplink: n.to_string() }).collect()
}

fn part(scope: Scope) -> Part {
    Part { scope, from: "2026-11-20T00:00:00Z".parse().ok(), to: "2026-11-21T00:00:00Z".parse().ok() }
}

#[tokio::test(start_paused = true)]
async fn keys_that_the_table_leaves_undone_are_asked_for_again_and_no_request_is_too_large() {
    let answer = |_, request: &Value| {
        let asked = request["RequestItems"]["t"]["Keys"].as_array().unwrap();
        assert!(asked.len() <= 100, "{}", asked.len());
        let (done, undone) = asked.split_at(asked.len().div_ceil(2));
        let undone = if undone.is_empty() { json!({}) } else { json!({"t": {"Keys": undone}}) };
        let units = json!([{"TableName": "t", "CapacityUnits": 0.5}]);
        (200, json!({"Responses": {"t": done}, "UnprocessedKeys": undone, "ConsumedCapacity": units}))
    };
    let (config, requests) = answering(answer);
    let found = DynamoReader::new(&config, "t").get(&keys(250), soon()).await.unwrap();
    let mut got: Vec<Key> = found.items.iter().filter_map(Key::of).collect();
    got.sort_by_key(|key| key.uplink.parse::<u32>().unwrap());
    assert_eq!(got, keys(250));
    let requests = requests.lock().unwrap().len();
    assert!(requests > 3);
    assert!((found.units.unwrap() - 0.5 * f64::from(u32::try_from(requests).unwrap())).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn keys_that_stay_undone_are_an_error_shortly_before_the_deadline() {
    let answer = |_, request: &Value| (200, json!({"UnprocessedKeys": request["RequestItems"]}));
    let (config, requests) = answering(answer);
    let deadline = soon();
    assert!(DynamoReader::new(&config, "t").get(&keys(3), deadline).await.is_err());
    assert!(requests.lock().unwrap().len() > 5 && Instant::now() < deadline);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_throttles_is_read_again_and_one_that_is_not_there_is_not() {
    let answer = |before, request: &Value| match before {
        0..3 => (400, json!({"__type": "x#ProvisionedThroughputExceededException"})),
        3 => (500, json!({"__type": "x#InternalServerError"})),
        _ => {
            assert_eq!(request["FilterExpression"], "#uplink >= :from AND #uplink < :to");
            assert_eq!(
                (&request["Segment"], &request["TotalSegments"], &request["Limit"]),
                (&json!(1), &json!(4), &json!(7))
            );
            (200, json!({"Items": [], "LastEvaluatedKey": {"device": {"S": "d"}, "uplink": {"S": "9"}}, "Count": 0}))
        }
    };
    let (config, requests) = answering(answer);
    let segment = part(Scope::Segment { number: 1, of: 4 });
    let page = DynamoReader::new(&config, "t").page(&segment, None, 7, soon()).await.unwrap();
    assert_eq!(
        (page.items.len(), page.next, page.units),
        (0, Some(Key { device: "d".into(), uplink: "9".into() }), None)
    );
    assert_eq!(requests.lock().unwrap().len(), 5);

    let (config, requests) = answering(|_, _| (400, json!({"__type": "x#ResourceNotFoundException"})));
    let device = part(Scope::Device("sigfox:1".parse().unwrap()));
    assert!(DynamoReader::new(&config, "t").page(&device, Some(&keys(1)[0]), 7, soon()).await.is_err());
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0]["KeyConditionExpression"], "#device = :device AND #uplink BETWEEN :from AND :to");
    assert_eq!(requests[0]["ExclusiveStartKey"]["uplink"]["S"], "0");
}

fn pulse(hour: u32) -> Value {
    json!({
        "device": {"S": "sigfox:1"}, "uplink": {"S": format!("2026-11-20T{hour:02}:00:00Z#00042")},
        "profile": {"S": "adeunis-pulse-v4"}, "codec": {"S": "adeunis-pulse-v4"}, "codec_version": {"N": "4"},
        "frame": {"S": "0x46"}, "battery_mv": {"N": "3600"}, "expires_at": {"N": "1900000000"},
    })
}

#[tokio::test(start_paused = true)]
async fn pulse_items_are_read_page_by_page_to_the_end_of_a_span_and_without_what_only_the_table_knows() {
    let (config, requests) = answering(|before, _: &Value| match before {
        0 => (200, json!({"Items": [pulse(10)], "LastEvaluatedKey": {"device": {"S": "d"}, "uplink": {"S": "9"}}})),
        1 => (200, json!({"Items": [pulse(11)]})),
        _ => (200, json!({"Items": [{"device": {"S": "sigfox:1"}, "uplink": {"S": "x"}}]})),
    });
    let reader = PulseTableReader { table: DynamoReader::new(&config, "t") };
    let (from, to) = ("2026-11-20T10:00:00Z".parse().unwrap(), "2026-11-20T11:00:00Z".parse().unwrap());
    let device = "sigfox:1".parse().unwrap();
    let items = reader.items(device, from, to, soon()).await.unwrap();
    let read: Vec<_> = items.iter().map(|item| (item.uplink.as_str(), item.battery_mv)).collect();
    assert_eq!(read, [("2026-11-20T10:00:00Z#00042", Some(3600)), ("2026-11-20T11:00:00Z#00042", Some(3600))]);
    {
        let requests = requests.lock().unwrap();
        assert_eq!(requests[0]["KeyConditionExpression"], "#device = :device AND #uplink BETWEEN :from AND :to");
        // A key is longer than its time, so that of the second after the last is not in the range.
        assert_eq!(requests[0]["ExpressionAttributeValues"][":to"]["S"], "2026-11-20T11:00:01Z");
        assert_eq!(requests[1]["ExclusiveStartKey"]["uplink"]["S"], "9");
    }
    assert_eq!(reader.items(device, to, from, soon()).await.unwrap(), []);
    assert_eq!(requests.lock().unwrap().len(), 2, "DynamoDB rejects a range that ends before it begins");
    let error = reader.items(device, from, to, soon()).await.unwrap_err();
    assert_eq!(error.to_string(), "a pulse item of sigfox:1 cannot be read");
}

#[tokio::test(start_paused = true)]
async fn what_one_request_receives_is_not_lost_because_another_fails() {
    let answer = |before, request: &Value| {
        assert_eq!((&request["VisibilityTimeout"], &request["WaitTimeSeconds"]), (&json!(300), &json!(1)));
        let message = json!({
            "MessageId": "id", "ReceiptHandle": "h", "Body": "b", "MD5OfBody": "92eb5ffee6ae2fec3ad71c777531578f",
            "Attributes": {"SentTimestamp": "1795176000123"},
        });
        if before == 4 { (200, json!({"Messages": [message]})) } else { (403, json!({"__type": "x#AccessDenied"})) }
    };
    let (config, requests) = answering(answer);
    let inbox = SqsReceiver::new(&config, "https://sqs/q");
    let received = inbox.receive(HOLD, soon()).await.unwrap();
    assert_eq!((received.len(), received[0].sent, received[0].id.as_str()), (1, 1_795_176_000_123, "id"));
    assert_eq!(requests.lock().unwrap().len(), 10);
    assert!(inbox.receive(HOLD, soon()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_deleted_is_told() {
    let answer = |before, request: &Value| {
        let entries = request["Entries"].as_array().unwrap();
        assert!(entries.len() <= 10);
        let failed = |entry: &Value, sender| json!({"Id": entry["Id"], "SenderFault": sender, "Code": "X"});
        let ok: Vec<Value> = entries.iter().skip(2).map(|entry| json!({"Id": entry["Id"]})).collect();
        let all: Vec<Value> = entries.iter().map(|entry| json!({"Id": entry["Id"]})).collect();
        match before {
            0 => (200, json!({"Successful": ok, "Failed": [failed(&entries[0], true), failed(&entries[1], false)]})),
            _ => (200, json!({"Successful": all, "Failed": []})),
        }
    };
    let handles: Vec<String> = (0..12).map(|n| format!("handle {n}")).collect();
    let (config, requests) = answering(answer);
    let refused = SqsReceiver::new(&config, "https://sqs/q").delete(&handles, soon()).await;
    assert_eq!(refused.len(), 1);
    assert_eq!(requests.lock().unwrap().len(), 3);
    let (config, requests) = answering(answer);
    assert_eq!(SqsReceiver::new(&config, "https://sqs/q").give_back(&handles, soon()).await.len(), 1);
    assert_eq!(requests.lock().unwrap()[0]["Entries"][0]["VisibilityTimeout"], 0);
}
