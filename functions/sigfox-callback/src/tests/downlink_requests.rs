//! Tests of downlink requests.

use std::time::{SystemTime, UNIX_EPOCH};

use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::downlink::{Data, Downlink, DownlinkAnswer, DownlinkId, DownlinkOutcome, Entry, Unavailable};

use super::*;

const AT: i64 = 1_795_176_000;

/// The response to the first request.
const FIRST: &str = r#"{"1A2345":{"downlinkData":"0101010101010101"}}"#;

fn waiting(device: &str, id: &str, data: &str) -> Downlink {
    let id = id.parse::<DownlinkId>().unwrap();
    Downlink::pending(device.parse().unwrap(), id, data.parse::<Data>().unwrap(), None)
}

async fn with(secret: &FakeSecret, downlinks: FakeDownlinks) -> Fake<'_> {
    Callback { downlinks, ..up(secret).await }
}

fn bidir(device: &str, ack: &Value, sequence: u32) -> Request {
    sent(json!({"device": device, "time": AT, "data": "46", "seqNumber": sequence, "ack": ack}).to_string())
}

fn asked_at(time: i64) -> Request {
    sent(json!({"device": "1A2345", "time": time, "data": "46", "seqNumber": 42, "ack": true}).to_string())
}

fn sent(body: String) -> Request {
    event(|event| {
        event["pathParameters"]["kind"] = "bidir".into();
        event["body"] = body.into();
    })
}

async fn answer(request: &Request, callback: &Fake<'_>) -> (u16, String) {
    let response = handle(request, callback, Instant::now() + Duration::from_mins(1)).await;
    (response.status_code, response.body)
}

fn two() -> FakeDownlinks {
    FakeDownlinks::holding([
        waiting("sigfox:1A2345", "5#2026-11-20T10:00:00Z#a", "0101010101010101"),
        waiting("sigfox:1A2345", "5#2026-11-20T11:00:00Z#b", "0202020202020202"),
        waiting("sigfox:FAF7E", "5#2026-11-20T11:00:00Z#c", "0303030303030303"),
    ])
}

#[tokio::test]
async fn who_asks_is_answered_in_his_own_spelling_and_who_asks_again_the_same() {
    let secret = secret();
    let callback = with(&secret, two()).await;
    let first = (200, json!({"001a2345": {"downlinkData": "0101010101010101"}}).to_string());
    for _ in 0..3 {
        assert_eq!(answer(&bidir("001a2345", &json!(true), 42), &callback).await, first);
    }
    let second = (200, json!({"1A2345": {"downlinkData": "0202020202020202"}}).to_string());
    assert_eq!(
        answer(&bidir("1A2345", &json!("true"), 43), &callback).await,
        second,
        "nothing was consumed in between"
    );
    assert_eq!(
        answer(&bidir("1A2345", &json!(true), 44), &callback).await,
        (204, String::new()),
        "no downlink is left"
    );
    assert_eq!(uplinks(&callback).len(), 5);
}

#[tokio::test]
async fn only_an_explicit_true_of_a_bidirectional_callback_asks() {
    let secret = secret();
    let callback = with(&secret, two()).await;
    for ack in
        [json!(false), json!("false"), json!(null), json!("{ack}"), json!(1), json!("1"), json!("yes"), json!("")]
    {
        assert_eq!(answer(&bidir("1A2345", &ack, 42), &callback).await, (204, String::new()), "{ack}");
    }
    let mut without = json!({"device": "1A2345", "time": AT, "data": "46"});
    let missing = event(|event| {
        event["pathParameters"]["kind"] = "bidir".into();
        event["body"] = without.to_string().into();
    });
    assert_eq!(answer(&missing, &callback).await.0, 204);
    without["ack"] = true.into();
    assert_eq!(answer(&event(|event| event["body"] = without.to_string().into()), &callback).await.0, 204, "an uplink");
    assert_eq!(answer(&bidir("1A2345", &json!(true), 43), &callback).await.0, 200);
}

#[tokio::test]
async fn a_batch_is_answered_for_all_who_asked_in_it() {
    let secret = secret();
    let callback = with(&secret, two()).await;
    let batch =
        sent(format!("1A2345;{AT};46;1;true\nFAF7E;{AT};46;1;true\n1FD48BE;{AT};46;1;true\nA0;{AT};46;1;false"));
    let expected =
        json!({"1A2345": {"downlinkData": "0101010101010101"}, "FAF7E": {"downlinkData": "0303030303030303"}});
    assert_eq!(answer(&batch, &callback).await, (200, expected.to_string()));
    assert_eq!(uplinks(&callback).len(), 4);
}

#[tokio::test]
async fn an_uplink_that_is_not_durable_consumes_nothing() {
    let secret = secret();
    let callback = Callback { raw: FakeQueue::down(), ..with(&secret, two()).await };
    assert_eq!(answer(&bidir("1A2345", &json!(true), 42), &callback).await, (503, String::new()));
    let callback = Callback { raw: FakeQueue::default(), ..callback };
    let first = json!({"1A2345": {"downlinkData": "0101010101010101"}}).to_string();
    assert_eq!(answer(&bidir("1A2345", &json!(true), 43), &callback).await, (200, first));
}

#[tokio::test]
async fn without_the_table_the_uplink_is_kept_and_the_network_asked_to_come_again() {
    let secret = secret();
    let callback = with(&secret, FakeDownlinks::down()).await;
    assert_eq!(answer(&bidir("1A2345", &json!(true), 42), &callback).await, (503, String::new()));
    assert_eq!(uplinks(&callback).len(), 1);
    assert_eq!(
        answer(&bidir("1A2345", &json!(false), 42), &callback).await,
        (204, String::new()),
        "no downlink was requested"
    );
}

/// Writes, and then returns an error.
#[derive(Debug)]
struct Silent(FakeDownlinks);

impl Downlinks for Silent {
    async fn of_device(&self, device: DeviceId, deadline: Instant) -> Result<Vec<Entry>, Unavailable> {
        self.0.of_device(device, deadline).await
    }

    async fn answer_with(&self, answer: &DownlinkAnswer, deadline: Instant) -> Result<bool, Unavailable> {
        self.0.answer_with(answer, deadline).await?;
        Err(Unavailable::new("no answer before the deadline"))
    }

    async fn close(&self, outcome: &DownlinkOutcome, deadline: Instant) -> Result<(), Unavailable> {
        self.0.close(outcome, deadline).await
    }
}

#[tokio::test]
async fn an_answer_of_which_it_is_not_known_whether_it_is_written_is_found_by_the_repetition() {
    let secret = secret();
    let Callback { secrets, rules, refusals, raw, quarantine, .. } = up(&secret).await;
    let callback = Callback { secrets, rules, refusals, raw, quarantine, downlinks: Silent(two()) };
    let handled = async || handle(&asked_at(AT), &callback, Instant::now() + Duration::from_mins(1)).await;
    assert_eq!(handled().await, Response::empty(503));
    assert_eq!(handled().await, Response::json(FIRST.to_owned()));
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

#[tokio::test]
async fn a_late_repetition_uses_no_downlink_up() {
    for age in [60, 120, 420, 600] {
        let secret = secret();
        let callback = with(&secret, two()).await;
        let before = callback.downlinks.items();
        assert_eq!(answer(&asked_at(now() - age), &callback).await, (204, String::new()), "{age}");
        assert_eq!(callback.downlinks.items(), before);
        assert_eq!(uplinks(&callback).len(), 1);
    }
}

#[tokio::test]
async fn who_asks_now_or_by_a_clock_that_must_be_wrong_is_given_a_downlink() {
    for age in [0, 30, -600, 3_600, 86_400 * 365] {
        let secret = secret();
        let callback = with(&secret, two()).await;
        assert_eq!(answer(&asked_at(now() - age), &callback).await, (200, FIRST.to_owned()), "{age}");
    }
}

#[tokio::test]
async fn an_answer_is_kept_for_thirty_days_from_now_whatever_time_the_callback_has() {
    for age in [0, 86_400, 86_400 * 365 * 5, -86_400 * 365] {
        let secret = secret();
        let callback = with(&secret, two()).await;
        let before = now();
        assert_eq!(answer(&asked_at(before - age), &callback).await, (200, FIRST.to_owned()), "{age}");
        let items = callback.downlinks.items();
        let expiries: Vec<_> = items.iter().filter_map(|item| item["expires_at"].as_i64()).collect();
        assert_eq!(expiries.len(), 2, "the downlink and the marker of the uplink");
        assert!(
            expiries.iter().all(|expiry| (before..=now()).contains(&(expiry - 30 * 86_400))),
            "{age}: {expiries:?}"
        );
    }
}

#[tokio::test]
async fn a_device_that_asks_twice_in_a_batch_is_answered_once_for_its_newest_uplink() {
    let secret = secret();
    let callback = with(&secret, two()).await;
    let batch = sent(format!("1A2345;{AT};46;9;true\n001A2345;{AT};46;10;true\n1A2345;{};46;11;true", AT - 1));
    let body = json!({"001A2345": {"downlinkData": "0101010101010101"}}).to_string();
    assert_eq!(answer(&batch, &callback).await, (200, body));
    let uplinks = callback.downlinks.items().into_iter().filter_map(|item| item["uplink"].as_str().map(str::to_owned));
    assert_eq!(uplinks.collect::<Vec<_>>(), ["2026-11-20T12:00:00Z#00010"]);
}

fn outcome(code: u32) -> Request {
    event(|event| {
        event["pathParameters"]["kind"] = "acknowledge".into();
        event["body"] = json!({"device": "1A2345", "time": AT + 30, "infoCode": code, "infoMessage": "so it is"})
            .to_string()
            .into();
    })
}

#[tokio::test]
async fn the_networks_word_closes_the_loop() {
    for (code, state) in [(0, "delivered"), (2, "refused"), (99, "refused"), (5, "answered"), (10, "answered")] {
        let secret = secret();
        let callback = with(&secret, two()).await;
        answer(&bidir("1A2345", &json!(true), 42), &callback).await;
        for _ in 0..2 {
            assert_eq!(answer(&outcome(code), &callback).await, (204, String::new()));
        }
        let items = callback.downlinks.items();
        let first: Downlink = items.into_iter().find_map(|item| serde_json::from_value(item).ok()).unwrap();
        assert_eq!(first.state(pulsegate_model::at::At::from_unix(AT + 60).unwrap()).name(), state);
    }
}

#[tokio::test]
async fn word_that_cannot_be_noted_is_answered_503_so_that_it_comes_again() {
    let secret = secret();
    let callback = with(&secret, FakeDownlinks::down()).await;
    assert_eq!(answer(&outcome(0), &callback).await, (503, String::new()));
}
