use clap::Parser as _;
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::downlink::{DownlinkAnswer, DownlinkOutcome, Downlinks as _, Timeliness, answer};
use pulsegate_pipeline::fakes::FakeDownlinks;
use serde_json::{Value, json};

use super::*;
use crate::options::{Command, Options};

const DATA: &str = "00000000000000ff";

fn noon() -> At {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// The output of a command line, or the error.
async fn at(admin: &FakeDownlinks, now: At, line: &str) -> Result<String, String> {
    let words = ["pulsegate", "downlinks", "--table", "t"].into_iter().chain(line.split_whitespace());
    let Command::Downlinks(options) = Options::try_parse_from(words).map_err(|e| e.to_string())?.command else {
        panic!("not about downlinks");
    };
    run(admin, options, now).await.map_err(|problem| problem.in_full())
}

async fn done(admin: &FakeDownlinks, line: &str) -> String {
    at(admin, noon(), line).await.unwrap()
}

async fn refused(admin: &FakeDownlinks, line: &str) -> String {
    at(admin, noon(), line).await.unwrap_err()
}

async fn listed(admin: &FakeDownlinks, line: &str) -> Vec<Value> {
    serde_json::from_str(&done(admin, &format!("list --format json {line}")).await).unwrap()
}

/// The device requests a downlink, an hour after noon.
async fn ask(admin: &FakeDownlinks) -> Option<[u8; 8]> {
    let uplink: Uplink = serde_json::from_value(json!({
        "device": "sigfox:1A2345", "kind": "data", "at": "2026-11-20T13:00:00Z", "time_source": "network",
        "sequence": 42, "profile": "p", "payload": "",
    }))
    .unwrap();
    answer(admin, &uplink.key(), Timeliness::InTime, uplink.at, deadline()).await.unwrap()
}

#[tokio::test]
async fn what_is_queued_is_what_the_device_gets() {
    let admin = FakeDownlinks::default();
    done(&admin, &format!("queue 001a2345 {DATA} --name open-valve --valid-for 7d")).await;
    let expected = json!([{
        "device": "sigfox:1A2345", "downlink": "5#2026-11-20T12:00:00Z#open-valve", "data": DATA, "state": "pending",
        "valid_until": "2026-11-27T12:00:00Z", "expires_at": 1_798_372_800,
    }]);
    assert_eq!(json!(listed(&admin, "1A2345").await), expected);
    assert_eq!(ask(&admin).await, Some([0, 0, 0, 0, 0, 0, 0, 0xFF]));
    assert_eq!(listed(&admin, "--state answered").await[0]["uplink"], "2026-11-20T13:00:00Z#00042");
    assert_eq!(listed(&admin, "--state pending,refused").await.len(), 0);
}

#[tokio::test]
async fn the_list_is_in_the_order_in_which_they_go() {
    let admin = FakeDownlinks::default();
    for line in [
        "queue 2 00000000000000ff --name c",
        "queue 1 00000000000000ff --name b --priority 9",
        "queue 1 00000000000000ff --name a --priority 0 --valid-until 2026-11-20T11:00:00Z",
    ] {
        done(&admin, line).await;
    }
    let expected = "\
device    downlink                  data              state    valid until           uplink
--------  ------------------------  ----------------  -------  --------------------  ------
sigfox:1  0#2026-11-20T12:00:00Z#a  00000000000000ff  expired  2026-11-20T11:00:00Z  -
sigfox:1  9#2026-11-20T12:00:00Z#b  00000000000000ff  pending  -                     -
sigfox:2  5#2026-11-20T12:00:00Z#c  00000000000000ff  pending  -                     -
";
    assert_eq!(done(&admin, "list").await, expected);
}

#[tokio::test]
async fn two_of_one_name_in_one_second_are_one_too_many() {
    let admin = FakeDownlinks::default();
    done(&admin, &format!("queue 1A2345 {DATA} --name a")).await;
    assert!(refused(&admin, &format!("queue 1A2345 {DATA} --name a")).await.contains("choose another --name"));
    for _ in 0..2 {
        done(&admin, &format!("queue 1A2345 {DATA}")).await;
    }
    assert_eq!(listed(&admin, "").await.len(), 3);
}

#[tokio::test]
async fn only_what_still_waits_can_be_taken_back() {
    const ID: &str = "5#2026-11-20T12:00:00Z#a";
    let admin = FakeDownlinks::default();
    done(&admin, &format!("queue 1A2345 {DATA} --name a")).await;
    done(&admin, &format!("cancel 1A2345 {ID}")).await;
    assert_eq!(ask(&admin).await, None);
    assert!(refused(&admin, &format!("cancel 1A2345 {ID}")).await.starts_with(&format!("there is no downlink {ID}")));
    done(&admin, &format!("queue 1A2345 {DATA} --name a")).await;
    ask(&admin).await.unwrap();
    let reason = refused(&admin, &format!("cancel 1A2345 {ID}")).await;
    assert_eq!(reason, format!("{ID} is answered: only a pending downlink can be cancelled"));
}

#[tokio::test]
async fn what_was_refused_or_has_expired_is_queued_again_under_a_new_id() {
    let later: At = "2026-11-20T14:00:00Z".parse().unwrap();
    let admin = FakeDownlinks::default();
    done(&admin, &format!("queue 1A2345 {DATA} --name a --priority 2 --valid-for 1h")).await;
    let again = "requeue 1A2345 2#2026-11-20T12:00:00Z#a --valid-for 2d";
    assert!(refused(&admin, again).await.contains("is pending"));
    at(&admin, later, again).await.unwrap();
    let new = listed(&admin, "").await.pop().unwrap();
    assert_eq!(new["downlink"], "2#2026-11-20T14:00:00Z#a");
    assert_eq!((&new["data"], &new["valid_until"]), (&json!(DATA), &json!("2026-11-22T14:00:00Z")));
}

#[tokio::test]
async fn what_no_word_came_of_is_queued_again_on_request_only() {
    let admin = FakeDownlinks::default();
    done(&admin, &format!("queue 1A2345 {DATA} --name a")).await;
    ask(&admin).await.unwrap();
    let again = "requeue 1A2345 5#2026-11-20T12:00:00Z#a";
    let later: At = "2026-11-20T14:00:00Z".parse().unwrap();
    assert!(at(&admin, later, again).await.unwrap_err().contains("--unconfirmed"));
    at(&admin, later, &format!("{again} --unconfirmed")).await.unwrap();
    assert_eq!(listed(&admin, "--state pending").await.len(), 1);
}

#[tokio::test]
async fn the_reason_of_a_refusal_is_in_the_list() {
    let admin = FakeDownlinks::default();
    done(&admin, &format!("queue 1A2345 {DATA} --name a")).await;
    let downlink: Downlink = serde_json::from_value(admin.items().remove(0)).unwrap();
    let (uplink, marker) = ("2026-11-20T13:00:00Z#00042".to_owned(), "answered#2026-11-20T13:00:00Z#00042".to_owned());
    let answer = DownlinkAnswer { downlink: downlink.clone(), uplink, marker, expires_at: 0 };
    assert!(admin.answer_with(&answer, deadline()).await.unwrap());
    let outcome = DownlinkOutcome { downlink, code: 4, message: "no station".to_owned(), told_at: noon() };
    admin.close(&outcome, deadline()).await.unwrap();
    assert!(done(&admin, "list").await.contains("refused (4 NETWORK_ERROR)"));
    let object = &listed(&admin, "--state refused").await[0];
    assert_eq!((&object["message"], &object["code_name"]), (&json!("no station"), &json!("NETWORK_ERROR")));
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let admin = FakeDownlinks::default();
    for (line, part) in [
        ("queue 1A2345 00ff", "is not 8 bytes in hex"),
        ("queue XYZ 00000000000000ff", "is not a Sigfox device ID"),
        ("queue nbiot:490154203237518 00000000000000ff", "is not a Sigfox device ID"),
        ("queue 1 00000000000000ff --priority 10", "--priority"),
        ("queue 1 00000000000000ff --name a#b", "is not a name"),
        ("queue 1 00000000000000ff --valid-for soon", "7d, 36h or 90m"),
        ("queue 1 00000000000000ff --valid-for -7d", "-7"),
        ("queue 1 00000000000000ff --valid-for 7d --valid-until 2026-12-01T00:00:00Z", "cannot be used with"),
        ("queue 1 00000000000000ff --valid-for 8000y", "not a duration such as"),
        ("cancel 1 a", "is not a downlink's ID"),
        ("list --state gone", "possible values: pending, expired, answered, delivered, refused"),
    ] {
        let reason = refused(&admin, line).await;
        assert!(reason.contains(part), "{line}: {reason}");
    }
    assert!(refused(&FakeDownlinks::down(), "list").await.contains("is not available: down"));
    assert_eq!(admin.items().len(), 0);
}
