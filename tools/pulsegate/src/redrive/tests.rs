mod datagrams;
mod refusals;

use std::collections::BTreeSet;
use std::sync::Arc;

use clap::Parser as _;
use proptest::prelude::*;
use pulsegate_model::quarantine::Quarantined;
use pulsegate_pipeline::fakes::{FakeQueue, FakeReceiveQueue, FakeStream, Life};
use pulsegate_pipeline::ports::Queue as _;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::walk::Walk;
use super::*;
use crate::CommandOutput;
use crate::options::{Command, Format, Options, RedriveCommand};
use crate::stop::Stop;

const UPLINK: &str = r#"{"device":"sigfox:1A2345","kind":"data","at":"2026-11-20T12:00:00Z","time_source":"network",
    "sequence":42,"profile":"adeunis-pulse-v4","payload":"46800000009f00000002"}"#;

/// The queues and the stream of a run. A run may be killed at any of its requests.
struct World {
    quarantine: FakeReceiveQueue,
    raw_sigfox: FakeQueue,
    pulse_sigfox: FakeQueue,
    pulse_nbiot: FakeQueue,
    stream: Arc<FakeStream>,
}

impl World {
    async fn holding(messages: &[String]) -> Self {
        let world = Self {
            quarantine: FakeReceiveQueue::new(),
            raw_sigfox: FakeQueue::default(),
            pulse_sigfox: FakeQueue::default(),
            pulse_nbiot: FakeQueue::default(),
            stream: Arc::default(),
        };
        assert!(world.quarantine.send(messages, deadline()).await.is_empty());
        sleep(Duration::from_secs(1)).await;
        world
    }

    async fn send(&self, mortal: &Life, line: &str) -> Result<CommandOutput, crate::Problem> {
        let endpoints = Endpoints {
            quarantine: mortal.with(&self.quarantine),
            again: mortal.with(&self.quarantine),
            raw_sigfox: mortal.with(&self.raw_sigfox),
            pulse_sigfox: mortal.with(&self.pulse_sigfox),
            pulse_nbiot: mortal.with(&self.pulse_nbiot),
            raw_nbiot: mortal.with(&self.stream),
        };
        Ok(send(&endpoints, &order(line, self.quarantine.now())?, &Stop::default()).await)
    }

    /// The report of a whole run, and its problem.
    async fn run(&self, line: &str) -> (Value, Option<String>) {
        let done = self.send(&Life::of(usize::MAX), line).await.unwrap();
        assert_eq!(self.quarantine.held(), 0, "all is given back");
        (serde_json::from_str(&done.text).unwrap(), done.problem.map(|problem| problem.in_full()))
    }

    async fn list(&self) -> Vec<Value> {
        let (nothing, stop) = (Selection::default(), Stop::default());
        let done = list(&self.quarantine, &nothing, Format::Json, self.quarantine.now(), &stop).await;
        assert_eq!(self.quarantine.held(), 0, "all is given back");
        serde_json::from_str(&done.text).unwrap()
    }

    /// The destinations and bodies that have arrived, without duplicates.
    fn arrived(&self) -> BTreeSet<(&'static str, String)> {
        let queues =
            [("raw", &self.raw_sigfox), ("pulse-sigfox", &self.pulse_sigfox), ("pulse-nbiot", &self.pulse_nbiot)];
        let sent = queues.into_iter().flat_map(|(name, queue)| queue.sent().into_iter().map(move |body| (name, body)));
        let records = self.stream.records().into_iter();
        sent.chain(records.map(|record| ("stream", String::from_utf8_lossy(&record.data).into_owned()))).collect()
    }
}

fn order(line: &str, began: u64) -> Result<Order, crate::Problem> {
    let words = ["pulsegate", "redrive", "send"].into_iter().chain(line.split_whitespace());
    let Command::Redrive(options) = Options::try_parse_from(words).unwrap().command else { panic!("not redrive") };
    let RedriveCommand::Send(send) = options.command else { panic!("not send") };
    Order::of(&send, Format::Json, began)
}

fn envelope_of(uplink: &str) -> String {
    format!(r#"{{"v":1,"uplinks":[{uplink}]}}"#)
}

fn quarantined(stage: &'static str, record: &str) -> String {
    Quarantined::new(stage, &"why", record.as_bytes()).to_message()
}

fn callback(stage: &'static str, kind: &'static str, query: &str, body: &str) -> String {
    let record = Quarantined::new(stage, &"why", body.as_bytes()).under("adeunis-pulse-v4");
    record.of_callback(kind, query).to_message()
}

fn listed() -> Value {
    let url = "https://a1.example.com/sigfox/adeunis-pulse-v4/uplink";
    json!({"callback": {"url": url, "body": {"device": "B", "time": 1_795_176_000, "data": "46"}}, "deviceId": "B"})
}

/// A readable record of every stage, with its expected destination and body.
fn of_every_stage() -> Vec<(String, &'static str, Option<String>)> {
    let sigfox = envelope_of(UPLINK);
    let nbiot = envelope_of(&UPLINK.replace("sigfox:1A2345", "nbiot:490154203237518"));
    let newer = envelope_of(&UPLINK.replace(r#""kind":"data""#, r#""kind":"newer""#));
    let event = r#"{"v":1,"events":[{"device":"sigfox:1A2345","kind":"status","at":"2026-11-20T12:00:00Z",
        "profile":"adeunis-pulse-v4","says":{}}]}"#;
    let body = r#"{"device": "A", "time": "1795176000", "data": "46", "ack": true}"#;
    let as_it_is = |stage, record: &str, place| (quarantined(stage, record), place, Some(record.to_owned()));
    vec![
        as_it_is("pulse", &sigfox, "pulse-sigfox"),
        as_it_is("pulse", &nbiot, "pulse-nbiot"),
        as_it_is("pulse", &newer, "pulse-sigfox"),
        as_it_is("pulse", event, "raw"),
        as_it_is("raw-sigfox", "noise", "raw"),
        as_it_is("raw-nbiot", "\u{8}record", "stream"),
        as_it_is("raw-nbiot", event, "raw"),
        (callback("sigfox-callback", "bidir", "", body), "raw", None),
        (callback("sigfox-callback", "uplink", "device=C&time=1795176000&data=46", ""), "raw", None),
        (callback("sigfox-callback", "status", "device=C&time=1795176000&batt=3.1", ""), "raw", None),
        (callback("sigfox-recovery", "uplink", "", "D;1795176000;46;7"), "raw", None),
        (quarantined("sigfox-recovery", &listed().to_string()), "raw", None),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_record_of_every_stage_goes_back_to_where_it_came_from() {
    let records = of_every_stage();
    let world = World::holding(&records.iter().map(|(message, ..)| message.clone()).collect::<Vec<_>>()).await;
    let (report, problem) = world.run("--all").await;
    assert_eq!((problem, &report["selected"], &report["sent"]), (None, &json!(12), &json!(12)), "{report}");
    let arrived = world.arrived();
    for (_, place, body) in &records {
        assert!(body.as_ref().is_none_or(|body| arrived.contains(&(*place, body.clone()))), "{place} {body:?}");
    }
    for device in ["sigfox:A", "sigfox:B", "sigfox:C", "sigfox:D"] {
        assert!(world.raw_sigfox.sent().iter().any(|body| body.contains(device)), "{device}");
    }
    assert_eq!(world.raw_sigfox.sent().len(), 3 + 5);
    assert_eq!(world.quarantine.bodies().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_killed_at_any_moment_and_does_it_again_loses_nothing() {
    let messages: Vec<String> = of_every_stage().into_iter().map(|(message, ..)| message).collect();
    let unbroken = World::holding(&messages).await;
    unbroken.run("--all").await;
    for moments in 0.. {
        let world = World::holding(&messages).await;
        let first = timeout(Duration::from_secs(30), world.send(&Life::of(moments), "--all")).await;
        // The messages of the killed run become visible again.
        sleep(VISIBILITY_TIMEOUT).await;
        let (_, problem) = world.run("--all").await;
        assert_eq!((problem, world.quarantine.bodies().len()), (None, 0), "killed at {moments}");
        assert_eq!(world.arrived(), unbroken.arrived(), "killed at {moments}");
        if first.is_ok() {
            assert!(moments > 15, "it went through {moments} moments only");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_what_is_refused_nothing_is_deleted_and_the_rest_goes() {
    let mut world = World::holding(&[
        quarantined("pulse", &envelope_of(UPLINK)),
        quarantined("raw-sigfox", "noise"),
        quarantined("raw-nbiot", "record"),
    ])
    .await;
    world.pulse_sigfox = FakeQueue::down();
    world.stream.set_down(true);
    let (report, problem) = world.run("--all").await;
    assert_eq!((&report["sent"], &report["refused"]), (&json!(1), &json!(2)));
    assert_eq!(problem.unwrap(), "1 of 3 selected records have been sent");
    assert_eq!(world.quarantine.bodies().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_came_after_the_run_began_is_not_chased() {
    let world = World::holding(&[]).await;
    let began = world.quarantine.now();
    world.quarantine.send(&[quarantined("raw-sigfox", "noise")], deadline()).await;
    let endpoints = Endpoints {
        quarantine: Life::of(usize::MAX).with(&world.quarantine),
        again: FakeQueue::default(),
        raw_sigfox: FakeQueue::default(),
        pulse_sigfox: FakeQueue::default(),
        pulse_nbiot: FakeQueue::default(),
        raw_nbiot: Arc::<FakeStream>::default(),
    };
    let done = send(&endpoints, &order("--all", began).unwrap(), &Stop::default()).await;
    let report: Value = serde_json::from_str(&done.text).unwrap();
    assert_eq!((&report["selected"], &report["came_later"]), (&json!(0), &json!(1)));
    assert_eq!(
        (endpoints.raw_sigfox.sent().len(), world.quarantine.bodies().len(), world.quarantine.held()),
        (0, 1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_because_a_walk_takes_long_is_met_once() {
    let world = World::holding(&(0..250).map(|n| quarantined("pulse", &n.to_string())).collect::<Vec<_>>()).await;
    let mut walk = Walk::new(&world.quarantine, world.quarantine.now());
    let mut met = Vec::new();
    while let Some(some) = walk.next().await.unwrap() {
        met.extend(some.into_iter().map(|message| message.id));
        sleep(VISIBILITY_TIMEOUT * 2).await;
    }
    assert_eq!((met.len(), met.iter().collect::<BTreeSet<_>>().len()), (250, 250));
    walk.end().await;
    assert_eq!(world.quarantine.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_selected_goes() {
    let device = Quarantined::new("pulse", &"frame code 0x30", envelope_of(UPLINK).as_bytes());
    let device = device.of(&serde_json::from_str(UPLINK).unwrap()).to_message();
    let another = UPLINK.replace("42", "43");
    let others = [quarantined("pulse", &envelope_of(&another)), quarantined("raw-sigfox", "noise")];
    for (line, sent) in [
        ("--device 1a2345", 1),
        ("--device nbiot:490154203237518", 0),
        ("--stage pulse", 2),
        ("--stage pulse --stage raw-sigfox", 3),
        ("--reason 0x30", 1),
        ("--reason why --stage pulse", 1),
        ("--all --limit 2", 2),
        ("--all --dry-run", 3),
    ] {
        let world = World::holding(&[device.clone(), others[0].clone(), others[1].clone()]).await;
        let (report, problem) = world.run(line).await;
        assert_eq!((&report["sent"], problem), (&json!(sent), None), "{line}");
        let left = if line.contains("--dry-run") { 3 } else { 3 - sent };
        assert_eq!((world.quarantine.bodies().len(), world.arrived().len()), (left, 3 - left), "{line}");
    }
    assert!(order("", 0).unwrap_err().in_full().starts_with("nothing is selected"));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_sent_by_its_id_and_one_that_is_not_there_is_told() {
    let world = World::holding(&[quarantined("raw-sigfox", "one"), quarantined("raw-sigfox", "other")]).await;
    let id = world.list().await[0]["examples"][0]["id"].as_str().unwrap().to_owned();
    let (report, problem) = world.run(&format!("--id {id}")).await;
    assert_eq!((&report["sent"], problem), (&json!(1), None));
    let (_, problem) = world.run(&format!("--id {id}")).await;
    assert_eq!(problem.unwrap(), format!("0 of 0 selected records have been sent; not in quarantine, or held: {id}"));
}

#[tokio::test(start_paused = true)]
async fn what_still_cannot_be_read_stays_and_is_told() {
    let records = [
        (callback("sigfox-callback", "uplink", "", r#"{"time": "later"}"#), "still unreadable: the variable device"),
        (callback("sigfox-callback", "nonsense", "", "{}"), "\"nonsense\" is no kind of callback"),
        (Quarantined::new("sigfox-callback", &"r", b"").under("acme").to_message(), "no Sigfox profile is called"),
        (
            quarantined("sigfox-recovery", r#"{"callback": {"url": "https://a/b"}}"#),
            "the callback is for another service",
        ),
        (quarantined("sigfox-recovery", "noise"), "the record names no profile"),
        (quarantined("pulse", "noise"), "the record has no device ID, so its network is unknown"),
        (quarantined("raw-sigfox", "\u{1}"), "the record is not text that a queue accepts"),
        (quarantined("another", "x"), "no stage is called \"another\""),
    ];
    let world = World::holding(&records.clone().map(|(message, _)| message)).await;
    let (report, problem) = world.run("--all").await;
    assert_eq!(problem.unwrap(), "0 of 8 selected records have been sent");
    for (_, reason) in &records {
        let told = report["left"]
            .as_array()
            .unwrap()
            .iter()
            .any(|left| left["reason"].to_string().contains(&reason.replace('"', "\\\"")));
        assert!(told, "{reason}: {report}");
    }
    assert_eq!((world.quarantine.bodies().len(), world.arrived().len()), (8, 0));
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_the_good_lines_go_and_the_bad_one_is_quarantined_again_by_itself() {
    let world =
        World::holding(&[callback("sigfox-callback", "uplink", "", "A;1795176000;46;1\nnoise\nB;1795176000;46;2")])
            .await;
    let (report, problem) = world.run("--all").await;
    assert_eq!((&report["sent"], &report["quarantined_again"], problem), (&json!(1), &json!(1), None));
    assert!(world.raw_sigfox.sent()[0].contains("sigfox:A") && world.raw_sigfox.sent()[0].contains("sigfox:B"));
    let left: Vec<Value> = world.quarantine.bodies().iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    assert_eq!((left.len(), &left[0]["record"]), (1, &json!({"text": "noise"})));
}

#[tokio::test(start_paused = true)]
async fn the_list_tells_what_is_there_and_leaves_it() {
    let mut messages: Vec<String> = (0..205).map(|n| quarantined("pulse", &n.to_string())).collect();
    messages.push("noise\u{20AC}".to_owned());
    let world = World::holding(&messages).await;
    let groups = world.list().await;
    assert_eq!(
        (&groups[0]["stage"], &groups[0]["count"], &groups[0]["reason"]),
        (&json!("pulse"), &json!(205), &json!("why"))
    );
    assert_eq!(
        (&groups[0]["oldest"], groups[0]["examples"].as_array().unwrap().len()),
        (&json!("2026-11-20T12:00:00Z"), 3)
    );
    assert_eq!((&groups[1]["stage"], &groups[1]["count"]), (&json!(null), &json!(1)));
    assert_eq!((groups.len(), world.quarantine.bodies().len()), (2, 206));
    let (nothing, stop) = (Selection::default(), Stop::default());
    let table = list(&world.quarantine, &nothing, Format::Table, world.quarantine.now(), &stop).await.text;
    assert!(table.contains("205    pulse") && table.ends_with("206 messages\n"), "{table}");
}

#[tokio::test(start_paused = true)]
async fn who_stops_it_is_told_and_nothing_stays_held() {
    let world = World::holding(&[quarantined("raw-sigfox", "noise")]).await;
    let stop = Stop::default();
    stop.request();
    let done = list(&world.quarantine, &Selection::default(), Format::Table, world.quarantine.now(), &stop).await;
    assert!(done.problem.unwrap().in_full().starts_with("stopped"));
    assert_eq!((world.quarantine.held(), world.quarantine.bodies().len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_quarantine_that_cannot_be_read_says_so() {
    let (nothing, stop) = (Selection::default(), Stop::default());
    let done = list(&FakeReceiveQueue::down(), &nothing, Format::Table, 0, &stop).await;
    assert_eq!(done.problem.unwrap().in_full(), "the queue cannot be read: down on purpose");
}

proptest! {
    #[test]
    fn any_message_is_sent_or_left_and_none_is_lost(
        messages in proptest::collection::vec(any_message(), 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World::holding(&messages).await;
            let (report, _) = world.run("--all").await;
            let count = |reasons: &Value| {
                reasons.as_array().into_iter().flatten().filter_map(|reason| reason["count"].as_u64()).sum::<u64>()
            };
            let sent = report["sent"].as_u64().unwrap();
            assert_eq!(sent + count(&report["left"]) + count(&report["not_ours"]), messages.len() as u64, "{report}");
            let left = world.quarantine.bodies().len() as u64 - report["quarantined_again"].as_u64().unwrap();
            assert_eq!(left, messages.len() as u64 - sent);
        });
    }
}

/// Quarantined records with any content, nearly valid records, and other messages.
fn any_message() -> impl Strategy<Value = String> {
    let text = "[ -~]{1,20}";
    let stage = prop_oneof![
        Just("pulse"),
        Just("raw-sigfox"),
        Just("raw-nbiot"),
        Just("sigfox-callback"),
        Just("sigfox-recovery"),
        Just("udp-bridge"),
        Just("x"),
    ];
    let kind = prop_oneof![Just("uplink"), Just("bidir"), Just("status"), Just("nonsense")];
    let ours = (stage, proptest::collection::vec(any::<u8>(), 0..40), proptest::option::of(kind), "[a-z=&;0-9]{0,20}");
    let ours = ours.prop_map(|(stage, record, kind, query)| {
        let record = Quarantined::new(stage, &"why", &record);
        match kind {
            Some(kind) => record.under("adeunis-pulse-v4").of_callback(kind, &query).to_message(),
            None => record.to_message(),
        }
    });
    let nearly = (text, text).prop_map(|(stage, record)| {
        json!({"v": 1, "stage": stage, "reason": "r", "record": {"text": record}, "device": "sigfox:1"}).to_string()
    });
    prop_oneof![ours, nearly, text.prop_map(|text| format!("x{text}"))]
}
