mod refusals;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Parser as _;
use proptest::prelude::*;
use pulsegate_aws::fakes::FakeTable;
use pulsegate_aws::items::Item;
use pulsegate_model::at::At;
use pulsegate_model::pulse;
use pulsegate_model::uplink::{Payload, Uplink};
use pulsegate_pipeline::archive::object;
use pulsegate_pipeline::archive::settle::Settle;
use pulsegate_pipeline::archive::store::{Condition, ObjectStore as _};
use pulsegate_pipeline::fakes::{FakeObjects, Life};
use serde_dynamo::AttributeValue;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::*;
use crate::options::{Command, Format, Options};
use crate::stop::Stop;
use crate::{CommandOutput, Problem};

/// The time of the runs.
const NOW: &str = "2027-01-01T00:00:00Z";

/// Longer than any run, in simulated time.
const LONG: std::time::Duration = std::time::Duration::from_hours(24);

/// The pulse item of an uplink before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Current,
    Older,
    Nothing,
}

/// An archive, part of which is settled, and a table of pulses that an older codec has filled in part.
struct World {
    archive: FakeObjects,
    pulses: FakeTable,
    /// The expected contents of the table of pulses after the run.
    expected: Vec<Item>,
    /// The expected finding for each uplink that differs.
    differ: BTreeMap<String, &'static str>,
}

/// Seven devices, each of which sends once a day from 2026-11-01 on.
fn uplink(n: usize, decodable: bool) -> Uplink {
    let at = At::from_unix(1_793_534_400 + 86_400 * i64::try_from(n / 7).unwrap()).unwrap();
    serde_json::from_value(json!({
        "device": format!("sigfox:{:X}", n % 7), "kind": "data", "at": at,
        "time_source": "network", "sequence": n, "profile": "adeunis-pulse-v4",
        "payload": if decodable { format!("46800000{n:04x}00000002") } else { "ff".to_owned() },
    }))
    .unwrap()
}

/// The item as an older version of the codec has decoded it.
fn older(item: &Item) -> Item {
    in_version("0", item)
}

fn in_version(version: &str, item: &Item) -> Item {
    let mut item = item.inner().clone();
    item.insert("codec_version".to_owned(), AttributeValue::N(version.to_owned()));
    item.insert("gone".to_owned(), AttributeValue::S("x".to_owned()));
    item.into()
}

/// An archive with these uplinks, of which the first half is settled.
fn archive(uplinks: &[Uplink]) -> FakeObjects {
    let (store, bits) = (FakeObjects::default(), "2026-11-05=2".parse().unwrap());
    let deadline = tokio::time::Instant::now() + LONG;
    let filled = async {
        let (settled, new) = uplinks.split_at(uplinks.len() / 2);
        for batch in [settled, new].into_iter().flat_map(|part| part.chunks(100).map(Some).chain([None])) {
            match batch {
                Some(batch) => {
                    let object = object::encode(batch).unwrap();
                    store.put(&object.key, object.content, Condition::Always, deadline).await.unwrap();
                }
                None if store.keys("day/").is_empty() => {
                    Settle { store: &store, bits: &bits, stop: deadline, deadline }.run().await.unwrap();
                }
                None => {}
            }
        }
    };
    futures_util::FutureExt::now_or_never(filled).unwrap();
    store
}

impl World {
    /// Takes for each uplink: its pulse item, whether it decodes now, and whether it arrived in two kinds.
    fn of(uplinks: impl IntoIterator<Item = (Before, bool, bool)>) -> Self {
        let (mut sent, mut held, mut expected, mut differ) = (Vec::new(), Vec::new(), Vec::new(), BTreeMap::new());
        for (n, (before, decodable, twice)) in uplinks.into_iter().enumerate() {
            let uplink = uplink(n, decodable);
            sent.push(uplink.clone());
            if twice {
                sent.push(Uplink { kind: pulsegate_model::uplink::Kind::DataAdvanced, ..uplink.clone() });
                let kind = pulsegate_model::uplink::Kind::Event;
                sent.push(Uplink { kind, payload: Payload::default(), ..uplink.clone() });
            }
            let was = pulsegate_aws::items::pulse_item(&pulse::decode(&super::tests::uplink(n, true)).unwrap());
            let was = match before {
                Before::Current => Some(was),
                Before::Older => Some(older(&was)),
                Before::Nothing => None,
            };
            let now = pulse::decode(&uplink).map(|item| pulsegate_aws::items::pulse_item(&item)).ok();
            let what = match (&was, &now) {
                (Some(was), Some(now)) if was == now => None,
                (Some(_), Some(_)) => Some("changed"),
                (None, Some(_)) => Some("new"),
                (Some(_), None) => Some("no-longer-decodable"),
                (None, None) => None,
            };
            differ.extend(what.map(|what| (format!("{} {}", uplink.device, uplink.key()), what)));
            expected.extend(now.or_else(|| was.clone()));
            held.extend(was);
        }
        let expected = FakeTable::of(expected).items();
        Self { archive: archive(&sent), pulses: FakeTable::of(held), expected, differ }
    }

    /// Every combination, `times` times.
    fn mixed(times: usize) -> Self {
        use Before::{Current, Nothing, Older};
        let each = [Current, Older, Nothing].into_iter().flat_map(|before| {
            [(true, false), (true, true), (false, false)].map(|(decodable, twice)| (before, decodable, twice))
        });
        Self::of(std::iter::repeat_n(each.collect::<Vec<_>>(), times).flatten())
    }

    async fn redecode(&self, mortal: &Life, order: &Order, stop: &Stop) -> Result<CommandOutput, Problem> {
        let archive = Archive { store: mortal.with(&self.archive), bits: order.bits.clone() };
        let (pulses, out) = (mortal.with(&self.pulses), mortal.with(&self.pulses));
        run(&Stores { archive, pulses, out }, order, stop).await
    }

    async fn report(&self, line: &str) -> Value {
        let done = self.redecode(&Life::of(usize::MAX), &order(line).unwrap(), &Stop::default()).await.unwrap();
        assert!(done.problem.is_none(), "{:?}", done.problem);
        serde_json::from_str(&done.text).unwrap()
    }
}

fn order(line: &str) -> Result<Order, Problem> {
    let words = "pulsegate redecode --archive-bucket b --partition-bits 2026-11-05=2 --pulse-table p --format json";
    let Command::Redecode(options) =
        Options::try_parse_from(words.split_whitespace().chain(line.split_whitespace())).unwrap().command
    else {
        panic!("not redecode");
    };
    Order::of(&options, NOW.parse().unwrap())
}

/// The reported finding for each uplink that differs.
fn told(report: &Value) -> BTreeMap<String, String> {
    let differences = report["differences"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let each = differences.iter().map(|d| (format!("{} {}", text(&d["device"]), text(&d["uplink"])), text(&d["what"])));
    let told: BTreeMap<_, _> = each.collect();
    assert_eq!(told.len(), differences.len(), "an uplink twice");
    told
}

fn owned(differ: &BTreeMap<String, &'static str>) -> BTreeMap<String, String> {
    differ.iter().map(|(key, what)| (key.clone(), (*what).to_owned())).collect()
}

/// A temporary directory of one test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("pulsegate-{}-{:016x}", std::process::id(), fastrand::u64(..)));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn options(&self) -> String {
        format!("--state {0}/state --meters {0}/meters", self.0.display())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_changed_and_new_is_named_and_nothing_is_written_unless_asked_for() {
    let world = World::mixed(20);
    let before = world.pulses.items();
    let report = world.report("--all").await;
    assert_eq!(told(&report), owned(&world.differ));
    let counts = ["same", "changed", "new", "no_longer_decodable", "still_undecodable"].map(|name| &report[name]);
    assert_eq!(counts, [40, 40, 40, 40, 20].map(|n| json!(n)).each_ref());
    assert_eq!(report["raw_uplinks"], 20 * (9 + 3));
    assert_eq!(world.pulses.items(), before);

    let report = world.report("--all --write").await;
    assert_eq!(told(&report), owned(&world.differ));
    assert_eq!(world.pulses.items(), world.expected);

    let report = world.report("--all --write").await;
    assert_eq!((&report["changed"], &report["new"], &report["same"]), (&json!(0), &json!(0), &json!(120)));
    assert_eq!(world.pulses.items(), world.expected);
}

#[tokio::test(start_paused = true)]
async fn examples_tell_the_difference_attribute_by_attribute_and_by_codec() {
    let world = World::of([(Before::Older, true, false), (Before::Current, false, false)]);
    let report = world.report("--all").await;
    let pair = |now: &str| report["by_codec"].as_array().unwrap().iter().find(|pair| pair["before"] == now).unwrap();
    let example = &pair("adeunis-pulse-v4 0")["examples"][0];
    let now = pulsegate_aws::items::pulse_item(&pulse::decode(&uplink(0, true)).unwrap());
    let Some(AttributeValue::N(version)) = now.inner().get("codec_version") else { panic!("no version") };
    let why = json!([format!("codec_version: 0 -> {version}"), "gone: \"x\" -> nothing"]);
    assert_eq!((&example["what"], &example["why"]), (&json!("changed"), &why));
    let example = &pair(&format!("adeunis-pulse-v4 {version}"))["examples"][0];
    assert_eq!(example["what"], "no-longer-decodable");
    assert!(report["differences"].as_array().unwrap().iter().any(|difference| difference["reason"].is_string()));
    let done = world
        .redecode(&Life::of(usize::MAX), &Order { format: Format::Table, ..order("--all").unwrap() }, &Stop::default())
        .await
        .unwrap();
    for part in
        ["codec before", "    gone: \"x\" -> nothing\n", "2 raw uplinks; nothing written; --write would write 1"]
    {
        assert!(done.text.contains(part), "{part}: {}", done.text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_and_a_time_span_are_decoded_alone() {
    let world = World::mixed(10);
    for (line, device, from, to) in [
        ("--device 3", "sigfox:3", "", "3"),
        ("--device sigfox:3 --from 2026-11-04T12:00:00Z", "sigfox:3", "2026-11-04", "3"),
        ("--from 2026-11-04T12:00:00Z --to 2026-11-06T12:00:00Z", "", "2026-11-04", "2026-11-06"),
        ("--to 2026-11-03T00:00:00Z --parallel 1", "", "", "2026-11-03"),
        ("--device 3 --from 2026-11-04T12:00:00Z --to 2026-11-06T12:00:00Z", "sigfox:3", "2026-11-04", "2026-11-06"),
    ] {
        let within = |key: &str| {
            let (whose, uplink) = key.split_once(' ').unwrap();
            (device.is_empty() || device == whose) && uplink >= from && uplink < to
        };
        let expected = owned(&world.differ).into_iter().filter(|(key, _)| within(key)).collect::<BTreeMap<_, _>>();
        assert!(!expected.is_empty());
        assert_eq!(told(&world.report(line).await), expected, "{line}");
    }
    assert!(order("").unwrap_err().in_full().starts_with("nothing is selected"));
}

#[tokio::test(start_paused = true)]
async fn an_uplink_in_two_kinds_that_contradict_each_other_is_as_it_was_written_last() {
    let data = uplink(0, true);
    let advanced = Uplink {
        kind: pulsegate_model::uplink::Kind::DataAdvanced,
        payload: "46800000ffff00000002".parse().unwrap(),
        ..data.clone()
    };
    for held in [&data, &advanced] {
        let pulses = FakeTable::of([pulse::decode(held).map(|item| pulsegate_aws::items::pulse_item(&item)).unwrap()]);
        let world = World {
            archive: archive(&[data.clone(), advanced.clone()]),
            pulses,
            expected: vec![],
            differ: BTreeMap::new(),
        };
        assert_eq!(world.report("--all --write").await["same"], 1);
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_kinds_that_contradict_each_other_the_one_that_readers_of_the_archive_see_is_written() {
    let data = uplink(0, true);
    let advanced = Uplink {
        kind: pulsegate_model::uplink::Kind::DataAdvanced,
        payload: "46800000ffff00000002".parse().unwrap(),
        ..data.clone()
    };
    let unset = Uplink { time_source: pulsegate_model::uplink::TimeSource::Unset, ..data.clone() };
    let now = |uplink: &Uplink| pulsegate_aws::items::pulse_item(&pulse::decode(uplink).unwrap());
    let expected = FakeTable::of([now(&advanced), now(&unset)]).items();
    let archive = archive(&[data, advanced, unset]);
    let world = World { archive, pulses: FakeTable::default(), expected: vec![], differ: BTreeMap::new() };
    assert_eq!(world.report("--all --write").await["new"], 2);
    assert_eq!(world.pulses.items(), expected);
}

/// The item with an expiry.
fn expiring(item: Item, expires_at: &str) -> Item {
    expiry::with(item, Some(AttributeValue::N(expires_at.to_owned())))
}

#[tokio::test(start_paused = true)]
async fn the_expiry_of_an_item_is_no_difference_and_stays() {
    let now = |n| pulsegate_aws::items::pulse_item(&pulse::decode(&uplink(n, true)).unwrap());
    let archive = archive(&[uplink(0, true), uplink(1, true)]);
    let pulses = FakeTable::of([expiring(now(0), "7"), expiring(older(&now(1)), "8")]);
    let world = World { archive, pulses, expected: vec![], differ: BTreeMap::new() };
    let report = world.report("--all --write --pulse-retention-days 30").await;
    assert_eq!((&report["same"], &report["changed"], &report["expired"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(world.pulses.items(), FakeTable::of([expiring(now(0), "7"), expiring(now(1), "8")]).items());
}

#[tokio::test(start_paused = true)]
async fn a_new_item_expires_after_its_uplink_and_one_that_would_have_expired_is_not_written() {
    // Uplinks of 2026-11-01 and of the day after, of 2026-11-01 with a clock that is not set, and one that does not decode.
    let unset = Uplink { time_source: pulsegate_model::uplink::TimeSource::Unset, ..uplink(1, true) };
    let sent = [uplink(0, true), uplink(7, true), unset, uplink(2, false)];
    let world =
        World { archive: archive(&sent), pulses: FakeTable::default(), expected: vec![], differ: BTreeMap::new() };
    // The first is 60 days and a half older than the run.
    let report = world.report("--all --write --pulse-retention-days 60").await;
    let counts = ["new", "expired", "still_undecodable"].map(|name| &report[name]);
    assert_eq!(counts, [&json!(2), &json!(1), &json!(1)]);
    assert_eq!(report["differences"].as_array().unwrap().len(), 2);
    let item = |uplink: &Uplink, from: At| {
        let item = pulsegate_aws::items::pulse_item(&pulse::decode(uplink).unwrap());
        expiring(item, &from.expires_at(60).to_string())
    };
    let expected = FakeTable::of([item(&sent[1], sent[1].at), item(&sent[2], NOW.parse().unwrap())]);
    assert_eq!(world.pulses.items(), expected.items());
    let again = world.report("--all --write --pulse-retention-days 60").await;
    assert_eq!((&again["same"], &again["new"], &again["expired"]), (&json!(2), &json!(0), &json!(1)));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_killed_at_any_moment_and_continues_ends_as_if_nothing_had_been() {
    let scratch = Scratch::new();
    let line = format!("--all --write --parallel 2 --read-units 50 {}", scratch.options());
    let unbroken = World::mixed(4).report(&line).await;
    assert_eq!(unbroken["finished"], true);
    for moments in 0.. {
        let (world, scratch) = (World::mixed(4), Scratch::new());
        let line = format!("--all --write --parallel 2 --read-units 50 {}", scratch.options());
        let mortal = Life::of(moments);
        let first = timeout(LONG, world.redecode(&mortal, &order(&line).unwrap(), &Stop::default())).await;
        let report = world.report(&format!("{line} --continue")).await;
        let sorted = |report: &Value| {
            report["differences"].as_array().unwrap().iter().map(ToString::to_string).collect::<BTreeSet<_>>()
        };
        assert!(sorted(&report) == sorted(&unbroken), "the lists differ, killed at {moments}");
        for part in ["by_codec", "raw_uplinks", "same", "changed", "new", "no_longer_decodable", "still_undecodable"] {
            assert_eq!(report[part], unbroken[part], "{part}, killed at {moments}");
        }
        assert_eq!(world.pulses.items(), world.expected, "killed at {moments}");
        if first.is_ok() {
            assert!(moments > 20, "it went through {moments} moments only");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_is_gone_on_with_in_the_middle_of_a_file() {
    let at = |n: usize| At::from_unix(1_793_534_400 + i64::try_from(n).unwrap()).unwrap();
    let sent: Vec<Uplink> = (0..450).map(|n| Uplink { at: at(n), ..uplink(n, true) }).collect();
    let expected = sent.iter().map(|uplink| pulsegate_aws::items::pulse_item(&pulse::decode(uplink).unwrap()));
    let expected = FakeTable::of(expected).items();
    for stopped_after in [2, 4] {
        let scratch = Scratch::new();
        let pulses = FakeTable::default();
        let world = World { archive: archive(&sent), pulses, expected: vec![], differ: BTreeMap::new() };
        // A page of 100 uplinks a second.
        let line = format!("--all --write --read-units 50 --write-units 1000 {}", scratch.options());
        let stop = Stop::default();
        let stopping = async {
            tokio::time::sleep(std::time::Duration::from_secs(stopped_after)).await;
            stop.request();
        };
        let (mortal, order) = (Life::of(usize::MAX), order(&line).unwrap());
        let (done, ()) = tokio::join!(world.redecode(&mortal, &order, &stop), stopping);
        let report: Value = serde_json::from_str(&done.unwrap().text).unwrap();
        let before = report["raw_uplinks"].as_u64().unwrap();
        assert!((100..450).contains(&before) && world.pulses.len() as u64 == before, "{before}");
        let report = world.report(&format!("{line} --continue")).await;
        assert_eq!((&report["raw_uplinks"], &report["new"]), (&json!(450), &json!(450)));
        assert_eq!(report["differences"].as_array().unwrap().len(), 450);
        assert_eq!(world.pulses.items(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn who_stops_it_is_told_how_to_go_on() {
    let (world, scratch) = (World::mixed(60), Scratch::new());
    let line = format!("--all --write {}", scratch.options());
    let stop = Stop::default();
    let asking = async {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        stop.request();
    };
    let (mortal, order) = (Life::of(usize::MAX), order(&line).unwrap());
    let (done, ()) = tokio::join!(world.redecode(&mortal, &order, &stop), asking);
    let done = done.unwrap();
    assert_eq!(done.problem.unwrap().in_full(), "stopped; resume with the same options and --continue");
    let report: Value = serde_json::from_str(&done.text).unwrap();
    assert_eq!(report["finished"], false);
    assert!(report["raw_uplinks"].as_u64().unwrap() > 0 && world.pulses.items() != world.expected);
    world.report(&format!("{line} --continue")).await;
    assert_eq!(world.pulses.items(), world.expected);
}

#[tokio::test(start_paused = true)]
async fn a_state_is_only_gone_on_with_by_its_own_question() {
    let (world, scratch) = (World::mixed(1), Scratch::new());
    let options = scratch.options();
    let refused = async |line: &str| {
        let order = order(&format!("{line} {options}")).unwrap();
        world.redecode(&Life::of(usize::MAX), &order, &Stop::default()).await.unwrap_err().in_full()
    };
    assert!(refused("--all --continue").await.contains("there is nothing to continue"));
    world.report(&format!("--all {options}")).await;
    assert!(refused("--all").await.contains("use --continue"));
    for other in ["--all --write", "--device 3", "--all --parallel 2"] {
        let reason = refused(&format!("{other} --continue")).await;
        assert!(reason.contains("other options") || reason.contains("another format"), "{other}: {reason}");
    }
    assert_eq!(world.report(&format!("--all {options} --continue")).await["finished"], true);
    let path = scratch.0.join("state");
    let state = std::fs::read_to_string(&path).unwrap();
    let version = &serde_json::from_str::<Value>(&state).unwrap()["tally"]["versions"]["adeunis-pulse-v4"];
    let other = state.replace(&format!(r#""adeunis-pulse-v4":{version}"#), r#""adeunis-pulse-v4":"77""#);
    std::fs::write(&path, other.replace(r#""end""#, r#""start""#)).unwrap();
    let order = order(&format!("--all {options} --continue")).unwrap();
    let done = world.redecode(&Life::of(usize::MAX), &order, &Stop::default()).await.unwrap();
    assert!(done.problem.unwrap().in_full().contains("start a new run"));
    std::fs::write(&path, "noise").unwrap();
    assert!(refused("--all --continue").await.contains("not a state file"));
    assert!(super::tests::order("--all --state x").unwrap_err().in_full().contains("--meters FILE"));
}

#[tokio::test(start_paused = true)]
async fn of_a_page_that_is_refused_nothing_counts() {
    let (world, scratch) = (World::mixed(1), Scratch::new());
    let line = format!("--all --write --parallel 1 {}", scratch.options());
    let (mortal, full) = (Life::of(usize::MAX), order(&line).unwrap());
    let archive = || Archive { store: mortal.with(&world.archive), bits: full.bits.clone() };
    let (pulses, out) = (mortal.with(&world.pulses), FakeTable::refusing(["sigfox:3"]));
    let done = run(&Stores { archive: archive(), pulses, out }, &full, &Stop::default()).await.unwrap();
    assert!(done.problem.unwrap().in_full().starts_with("the table of pulses has refused 1 items"));
    assert_eq!(serde_json::from_str::<Value>(&done.text).unwrap()["raw_uplinks"], 0);
    let down = Stores { archive: archive(), pulses: FakeTable::down(), out: FakeTable::down() };
    let done = run(&down, &order(&format!("{line} --continue")).unwrap(), &Stop::default()).await.unwrap();
    assert_eq!(done.problem.unwrap().in_full(), "the table cannot be read: down on purpose");
    world.report(&format!("{line} --continue")).await;
    assert_eq!(world.pulses.items(), world.expected);
}

#[tokio::test(start_paused = true)]
async fn it_takes_as_long_as_the_units_say() {
    let world = World::mixed(100);
    let began = tokio::time::Instant::now();
    world.report("--all --write --read-units 10 --write-units 20").await;
    // 900 uplinks, half a unit each for the lookup; 400 items written.
    assert!(began.elapsed().as_secs() >= 45, "{:?}", began.elapsed());
    assert!(began.elapsed().as_secs() <= 75, "{:?}", began.elapsed());
}

proptest! {
    #[test]
    fn whatever_was_there_ends_as_the_codecs_of_today_decode_it(
        uplinks in proptest::collection::vec(
            (prop_oneof![Just(Before::Current), Just(Before::Older), Just(Before::Nothing)], any::<bool>(), any::<bool>()),
            0..60,
        ),
        parallel in 1..4_u32,
    ) {
        let world = World::of(uplinks);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let line = format!("--all --parallel {parallel}");
            assert_eq!(told(&world.report(&line).await), owned(&world.differ));
            assert_eq!(told(&world.report(&format!("{line} --write")).await), owned(&world.differ));
            assert_eq!(world.pulses.items(), world.expected);
            let again = world.report(&format!("{line} --write")).await;
            assert_eq!((&again["changed"], &again["new"]), (&json!(0), &json!(0)));
        });
    }
}
