//! Tests of the depth of a queue and the lines of a log.

use pulsegate_pipeline::ports::Depth as _;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_queue_tells_what_waits_and_what_somebody_holds_and_what_is_delayed() {
    let counts = |before, request: &Value| {
        assert_eq!(request["AttributeNames"].as_array().unwrap().len(), 3);
        let all = json!({
            "ApproximateNumberOfMessages": "5", "ApproximateNumberOfMessagesNotVisible": "2",
            "ApproximateNumberOfMessagesDelayed": "1",
        });
        if before == 0 { (503, json!({"__type": "x#ServiceUnavailable"})) } else { (200, json!({"Attributes": all})) }
    };
    let (config, _) = answering(counts);
    let waiting = SqsReceiver::new(&config, "http://queue/q").depth(soon()).await.unwrap();
    assert_eq!((waiting.visible, waiting.in_flight, waiting.delayed, waiting.all()), (5, 2, 1, 8));
}

#[tokio::test(start_paused = true)]
async fn a_count_that_a_queue_does_not_tell_is_not_taken_for_nothing() {
    let (config, _) = answering(|_, _| (200, json!({"Attributes": {"ApproximateNumberOfMessages": "0"}})));
    let error = SqsReceiver::new(&config, "http://queue/q").depth(soon()).await.unwrap_err();
    assert!(error.source.to_string().contains("ApproximateNumberOfMessagesNotVisible"), "{}", error.source);
}

#[tokio::test]
async fn endpoint_region_and_credentials_are_those_that_are_given() {
    let given = |name: &str| match name {
        "AWS_ENDPOINT_URL" => Some("http://127.0.0.1:1".to_owned()),
        "AWS_REGION" => Some("eu-north-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
        _ => None,
    };
    let config = patient(&sdk_config_of(given).await, Duration::from_secs(30));
    assert_eq!((config.endpoint_url(), config.region().unwrap().as_ref()), (Some("http://127.0.0.1:1"), "eu-north-1"));
    assert_eq!(config.timeout_config().unwrap().operation_attempt_timeout(), Some(Duration::from_secs(30)));
}

#[cfg(feature = "logs")]
mod log {
    use pulsegate_pipeline::ports::Log as _;

    use super::*;

    /// One line at the end of each second, from 0 on.
    fn events(request: &Value, pages: bool) -> Value {
        let (from, to) = (request["startTime"].as_u64().unwrap(), request["endTime"].as_u64().unwrap());
        let skipped = request["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let limit = usize::try_from(request["limit"].as_u64().unwrap()).unwrap();
        let all: Vec<Value> = (from..=to)
            .map(|at| json!({"timestamp": at, "message": format!("line {at}\n"), "eventId": at.to_string()}))
            .collect();
        let some = &all[skipped.min(all.len())..(skipped + limit).min(all.len())];
        let rest = all.len() > skipped + some.len();
        let token = (pages && rest).then(|| json!((skipped + some.len()).to_string()));
        json!({"events": some, "nextToken": token})
    }

    async fn all_there(answer: fn(usize, &Value) -> (u16, Value)) -> usize {
        let (config, requests) = answering(answer);
        let mut lines = LogGroup::new(&config, "/aws/lambda/x").lines(5..45_005, soon()).await.unwrap();
        lines.sort_by_key(|line| line.at);
        assert_eq!(lines.len(), 45_000);
        assert_eq!((lines[0].at, lines[0].text.as_str(), lines[44_999].at), (5, "line 5", 45_004));
        assert!(lines.windows(2).all(|pair| pair[0].at < pair[1].at));
        requests.lock().unwrap().len()
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_of_many_pages_is_read_whole() {
        assert_eq!(all_there(|_, request| (200, events(request, true))).await, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn so_is_one_of_a_cloud_that_knows_no_pages_and_cuts_off() {
        assert!(all_there(|_, request| (200, events(request, false))).await > 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_millisecond_with_more_lines_than_an_answer_holds_is_an_error() {
        let same = |_, _: &Value| {
            let events: Vec<Value> = (0..10_000).map(|_| json!({"timestamp": 7, "message": "x"})).collect();
            (200, json!({"events": events}))
        };
        let (config, _) = answering(same);
        let error = LogGroup::new(&config, "g").lines(0..16, soon()).await.unwrap_err();
        assert_eq!(error.to_string(), "the log group g cannot be read");
    }
}
