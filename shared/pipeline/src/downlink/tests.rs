use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::FutureExt as _;
use proptest::prelude::*;
use pulsegate_model::event::is_refusal;
use pulsegate_model::uplink::Uplink;
use serde_json::{Value, json};

use super::*;
use crate::fakes::FakeDownlinks;

const DEVICE: &str = "sigfox:1A2345";

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn at(text: &str) -> At {
    format!("2026-11-20T{text}Z").parse().unwrap()
}

/// The host's time of every request.
fn now() -> At {
    at("14:00:00")
}

fn uplink_at(time: At, sequence: u32) -> NaturalKey {
    let uplink: Uplink = serde_json::from_value(json!({
        "device": DEVICE, "kind": "data", "at": time, "time_source": "network", "sequence": sequence,
        "profile": "adeunis-pulse-v4", "payload": "",
    }))
    .unwrap();
    uplink.key()
}

fn uplink(time: &str) -> NaturalKey {
    uplink_at(at(time), 42)
}

fn item(priority: u8, queued: &str, name: &str, data: &str) -> Value {
    json!({"device": DEVICE, "downlink": format!("{priority}#{}#{name}", at(queued)), "data": data})
}

fn table(items: &[Value]) -> FakeDownlinks {
    let table = FakeDownlinks::default();
    for item in items {
        table.put(item.clone());
    }
    table
}

/// The downlinks of a table, without the markers of answered uplinks.
fn downlinks(table: &FakeDownlinks) -> Vec<Downlink> {
    let entries = table.items().into_iter().map(Entry::read);
    let downlink = |entry| match entry {
        Entry::Downlink(downlink) => Some(downlink),
        Entry::Answered { .. } => None,
        Entry::Invalid { key, reason } => panic!("{key}: {reason}"),
    };
    entries.filter_map(downlink).collect()
}

async fn ask(table: &FakeDownlinks, uplink: &NaturalKey) -> Option<String> {
    answer(table, uplink, Timeliness::InTime, now(), soon()).await.unwrap().map(hex::encode)
}

async fn report(table: &FakeDownlinks, time: &str, code: u32) {
    close(table, DEVICE.parse().unwrap(), at(time), code, code_name(code), soon()).await.unwrap();
}

/// The state of each downlink, in the order of their IDs.
fn states(table: &FakeDownlinks) -> Vec<State> {
    downlinks(table).iter().map(|downlink| downlink.state(at("23:00:00"))).collect()
}

const LOW: &str = "0000000000000001";
const HIGH: &str = "00000000000000ff";

#[tokio::test]
async fn the_most_urgent_goes_first_and_then_the_oldest() {
    let table = table(&[
        item(5, "09:00:00", "old", "0000000000000002"),
        item(5, "10:00:00", "new", "0000000000000003"),
        item(0, "11:00:00", "urgent", "0000000000000001"),
    ]);
    for (time, expected) in [("12:00:00", 1), ("13:00:00", 2), ("14:00:00", 3)] {
        assert_eq!(ask(&table, &uplink(time)).await, Some(format!("{expected:016x}")));
    }
    assert_eq!(ask(&table, &uplink("15:00:00")).await, None);
}

#[tokio::test]
async fn the_same_uplink_gets_the_same_bytes_even_when_something_more_urgent_came_in_between() {
    let table = table(&[item(5, "09:00:00", "a", LOW)]);
    assert_eq!(ask(&table, &uplink("12:00:00")).await.as_deref(), Some(LOW));
    table.put(item(0, "12:00:01", "b", HIGH));
    let before = table.items();
    assert_eq!(ask(&table, &uplink("12:00:00")).await.as_deref(), Some(LOW));
    assert_eq!(table.items(), before);
}

#[tokio::test]
async fn who_asks_late_is_given_what_he_was_given_in_time_and_nothing_new() {
    let table = table(&[item(5, "09:00:00", "a", LOW), item(6, "09:00:00", "b", HIGH)]);
    let late =
        async |time| answer(&table, &uplink(time), Timeliness::Late, now(), soon()).await.unwrap().map(hex::encode);
    assert_eq!(late("12:00:00").await, None);
    assert_eq!(states(&table), [State::Pending, State::Pending]);
    assert_eq!(ask(&table, &uplink("12:00:00")).await.as_deref(), Some(LOW));
    assert_eq!(late("12:00:00").await.as_deref(), Some(LOW));
    assert_eq!(late("13:00:00").await, None);
    assert_eq!(states(&table), [State::Answered, State::Pending]);
}

/// The marker of an uplink at noon that was answered with the downlink of this name.
fn marker(name: &str) -> Value {
    let answer = format!("5#2026-11-20T09:00:00Z#{name}");
    json!({"device": DEVICE, "downlink": "answered#2026-11-20T12:00:00Z#00042", "answer": answer})
}

#[tokio::test]
async fn an_uplink_whose_answer_was_deleted_gets_no_second_one() {
    let table = table(&[item(5, "09:00:00", "b", LOW)]);
    table.put(marker("a"));
    assert_eq!(ask(&table, &uplink("12:00:00")).await, None);
}

#[tokio::test]
async fn half_a_transaction_is_enough_to_know_the_answer() {
    let table = table(&[item(1, "09:00:00", "a", LOW), item(5, "09:00:00", "b", HIGH)]);
    table.put(marker("b"));
    assert_eq!(ask(&table, &uplink("12:00:00")).await.as_deref(), Some(HIGH));
}

#[tokio::test]
async fn validity_is_a_matter_of_the_uplinks_time() {
    let mut short = item(0, "09:00:00", "short", HIGH);
    short["valid_until"] = "2026-11-20T12:00:00Z".into();
    let table = table(&[short, item(5, "09:00:00", "long", LOW)]);
    assert_eq!(ask(&table, &uplink("12:00:01")).await.as_deref(), Some(LOW));
    assert_eq!(ask(&table, &uplink("12:00:00")).await.as_deref(), Some(HIGH));
}

#[tokio::test]
async fn what_somebody_typed_wrongly_is_never_sent_and_holds_nothing_up() {
    let mut no_time = item(0, "09:00:00", "d", HIGH);
    no_time["valid_until"] = "tomorrow".into();
    let mut no_key = item(0, "09:00:00", "e", HIGH);
    no_key["downlink"] = "first of all".into();
    let table = table(&[
        item(0, "09:00:00", "a", "00ff"),
        item(0, "09:00:00", "b", "zz000000000000ff"),
        item(0, "09:00:00", "c", "0000000000000000ff"),
        no_time,
        no_key,
        item(9, "09:00:00", "good", LOW),
    ]);
    assert_eq!(ask(&table, &uplink("12:00:00")).await.as_deref(), Some(LOW));
    assert_eq!(ask(&table, &uplink("13:00:00")).await, None);
}

#[tokio::test]
async fn bytes_typed_in_capitals_are_the_same_bytes() {
    let table = table(&[item(5, "09:00:00", "a", "00000000000000FF")]);
    assert_eq!(ask(&table, &uplink("12:00:00")).await.as_deref(), Some(HIGH));
}

#[tokio::test]
async fn a_table_that_is_down_is_told_from_one_that_is_empty() {
    let down = FakeDownlinks::down();
    assert!(answer(&down, &uplink("12:00:00"), Timeliness::InTime, now(), soon()).await.is_err());
    assert!(close(&down, DEVICE.parse().unwrap(), At::EPOCH, 0, "", soon()).await.is_err());
}

#[tokio::test]
async fn an_answer_is_retained_from_the_hosts_time_whatever_time_its_uplink_has() {
    for uplink_time in ["1970-01-01T00:00:00Z", "2021-03-01T00:00:00Z", "2026-11-20T14:00:00Z", "9999-12-30T22:00:00Z"]
    {
        let table = table(&[item(5, "09:00:00", "a", LOW)]);
        let uplink = uplink_at(uplink_time.parse().unwrap(), 42);
        assert_eq!(ask(&table, &uplink).await.as_deref(), Some(LOW));
        let expiries: Vec<_> = table.items().into_iter().map(|item| item["expires_at"].as_i64()).collect();
        assert_eq!(expiries, [Some(now().unix() + RETENTION_SECONDS); 2], "downlink and marker, {uplink_time}");
    }
}

#[tokio::test]
async fn the_network_says_what_became_of_it() {
    let table = table(&[item(1, "09:00:00", "a", LOW), item(2, "09:00:00", "b", HIGH)]);
    ask(&table, &uplink("12:00:00")).await;
    ask(&table, &uplink("13:00:00")).await;
    report(&table, "12:00:00", 0).await;
    report(&table, "13:00:25", 99).await;
    assert_eq!(states(&table), [State::Delivered, State::Refused]);
    let refused = &downlinks(&table)[1];
    assert_eq!((refused.code, refused.message.as_deref()), (Some(99), Some("UNKNOWN")));
    assert_eq!(refused.told_at, Some(at("13:00:25")));
}

#[tokio::test]
async fn word_that_comes_late_or_twice_touches_no_newer_downlink_and_undoes_nothing() {
    let table = table(&[item(1, "09:00:00", "a", LOW), item(2, "09:00:00", "b", HIGH)]);
    ask(&table, &uplink("12:00:00")).await;
    ask(&table, &uplink("12:05:00")).await;
    report(&table, "12:00:30", 0).await;
    assert_eq!(states(&table), [State::Delivered, State::Answered]);
    let before = table.items();
    report(&table, "12:00:30", 1).await;
    assert_eq!(table.items(), before);
    report(&table, "12:05:30", 0).await;
    let before = table.items();
    report(&table, "12:05:30", 0).await;
    report(&table, "12:00:30", 0).await;
    assert_eq!(table.items(), before);
}

#[tokio::test]
async fn provisional_word_closes_nothing_and_is_no_refusal() {
    let table = table(&[item(1, "09:00:00", "a", LOW)]);
    ask(&table, &uplink("12:00:00")).await;
    let before = table.items();
    for code in [5, 10] {
        assert!(!is_refusal(code));
        report(&table, "12:00:05", code).await;
        assert_eq!(table.items(), before);
    }
    report(&table, "12:00:30", 0).await;
    assert_eq!(states(&table), [State::Delivered]);
    assert!(is_refusal(4) && is_refusal(99) && !is_refusal(0));
}

#[tokio::test]
async fn word_of_an_uplink_that_asked_in_vain_closes_nothing_of_long_before() {
    let table = table(&[item(1, "09:00:00", "a", LOW)]);
    ask(&table, &uplink("12:00:00")).await;
    let before = table.items();
    report(&table, "13:00:00", 1).await;
    report(&table, "11:59:59", 1).await;
    assert_eq!(table.items(), before);
}

#[test]
fn an_id_is_spelled_in_one_way() {
    let id = |text: &str| text.parse::<DownlinkId>().map(|id| id.to_string());
    let spelled = "5#2026-11-20T12:00:00Z#open-valve_2".to_owned();
    assert_eq!(id(&spelled), Ok(spelled));
    for wrong in [
        "",
        "5",
        "5#2026-11-20T12:00:00Z",
        "10#2026-11-20T12:00:00Z#a",
        "05#2026-11-20T12:00:00Z#a",
        "5#2026-11-20T13:00:00+01:00#a",
        "5#2026-11-20T12:00:00Z#",
        "5#2026-11-20T12:00:00Z#a#b",
        "answered#x#y",
    ] {
        assert!(id(wrong).is_err(), "{wrong}");
    }
}

/// A step of the property test; steps run in any order.
#[derive(Debug, Clone)]
enum Step {
    /// An operator queues a downlink of this priority.
    Queue(u8),
    /// A request for the uplink of this number reads the table and chooses a downlink.
    Choose { request: usize },
    /// The request writes its choice, however old that is.
    Write { request: usize },
    /// The network reports an outcome for the uplink of this number.
    Report { uplink: usize, code: u32 },
}

const UPLINKS: usize = 4;
const REQUESTS: usize = 3 * UPLINKS;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..10_u8).prop_map(Step::Queue),
        (0..REQUESTS).prop_map(|request| Step::Choose { request }),
        (0..REQUESTS).prop_map(|request| Step::Write { request }),
        (0..UPLINKS, 0..9_u32).prop_map(|(uplink, code)| Step::Report { uplink, code }),
    ]
}

/// Uplinks are a minute apart, so that a report for one may match the one before.
fn numbered(uplink: usize) -> NaturalKey {
    let seconds = 60 * i64::try_from(uplink).unwrap();
    uplink_at(At::from_unix(at("12:00:00").unix() + seconds).unwrap(), 42)
}

#[derive(Default)]
struct World {
    table: FakeDownlinks,
    chosen: BTreeMap<usize, DownlinkAnswer>,
    answered: BTreeMap<usize, BTreeSet<[u8; LEN]>>,
}

impl World {
    fn take(&mut self, number: usize, step: &Step) {
        match *step {
            Step::Queue(priority) => {
                let name = number.to_string();
                self.table.put(item(priority, "11:00:00", &name, &format!("{number:016x}")));
            }
            Step::Choose { request } => {
                let uplink = numbered(request % UPLINKS);
                match DeviceDownlinks::read(self.table.items().into_iter().map(Entry::read).collect()).choose(&uplink) {
                    Choice::Nothing => {}
                    Choice::Again(downlink) => self.note(request, downlink.data.bytes()),
                    Choice::First(downlink) => {
                        self.chosen.insert(request, DownlinkAnswer::new(downlink, &uplink, now()));
                    }
                }
            }
            Step::Write { request } => {
                if let Some(answer) = self.chosen.remove(&request)
                    && self.table.answer_with(&answer, soon()).now_or_never().unwrap().unwrap()
                {
                    self.note(request, answer.downlink.data.bytes());
                }
            }
            Step::Report { uplink, code } => {
                let at = numbered(uplink).at();
                let closed = close(&self.table, DEVICE.parse().unwrap(), at, code, "", soon());
                closed.now_or_never().unwrap().unwrap();
            }
        }
    }

    fn note(&mut self, request: usize, bytes: [u8; LEN]) {
        self.answered.entry(request % UPLINKS).or_default().insert(bytes);
    }
}

proptest! {
    #[test]
    fn whatever_comes_in_between_an_uplink_gets_one_downlink_and_a_downlink_goes_to_one_uplink(
        steps in proptest::collection::vec(step(), 0..60)
    ) {
        let mut world = World::default();
        let mut known = BTreeMap::new();
        for (number, step) in steps.iter().enumerate() {
            world.take(number, step);
            let downlinks = downlinks(&world.table);
            let answers: Vec<&String> = downlinks.iter().filter_map(|downlink| downlink.uplink.as_ref()).collect();
            prop_assert_eq!(answers.len(), answers.iter().collect::<BTreeSet<_>>().len());
            for Downlink { id, uplink, code, .. } in downlinks {
                let (was_uplink, was_code) = known.insert(id, (uplink.clone(), code)).unwrap_or_default();
                prop_assert!(was_uplink.is_none() || was_uplink == uplink);
                prop_assert!(was_code.is_none() || was_code == code);
            }
            prop_assert!(world.answered.values().all(|bytes| bytes.len() == 1));
        }
    }

    #[test]
    fn an_id_sorts_as_its_text_does(a in "[0-9]#20[0-9]{2}-1[0-2]-[12][0-9]T12:00:00Z#[a-zA-Z0-9_-]{1,9}",
                                    b in "[0-9]#20[0-9]{2}-1[0-2]-[12][0-9]T12:00:00Z#[a-zA-Z0-9_-]{1,9}") {
        let ids = [&a, &b].map(|text| text.parse::<DownlinkId>().unwrap());
        prop_assert_eq!(ids[0].cmp(&ids[1]), a.cmp(&b));
    }
}
