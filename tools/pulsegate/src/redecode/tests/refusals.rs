//! Runs that are rejected, so that they overwrite nothing that an operator may need.

use super::*;

/// The problem that ends a run, and its report.
async fn refused(world: &World, line: &str) -> (String, Value) {
    let done = world.redecode(&Life::of(usize::MAX), &order(line).unwrap(), &Stop::default()).await.unwrap();
    (done.problem.expect("a refusal").in_full(), serde_json::from_str(&done.text).unwrap())
}

/// Runs until the first write.
async fn interrupted(world: &World, line: &str) {
    let mortal = Life::of(usize::MAX);
    let order = order(line).unwrap();
    let archive = Archive { store: mortal.with(&world.archive), bits: order.bits.clone() };
    let stores = Stores { archive, pulses: mortal.with(&world.pulses), out: FakeTable::down() };
    assert!(run(&stores, &order, &Stop::default()).await.unwrap().problem.is_some());
}

#[tokio::test(start_paused = true)]
async fn another_version_of_a_codec_writes_nothing_of_what_a_run_was_begun_with() {
    for interrupted_at_once in [false, true] {
        let scratch = Scratch::new();
        let line = format!("--all --write {}", scratch.options());
        let world = World::mixed(3);
        if interrupted_at_once {
            interrupted(&world, &line).await;
        } else {
            World::mixed(3).report(&line).await;
        }
        let path = scratch.0.join("state");
        let mut state: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        state["tally"]["versions"]["adeunis-pulse-v4"] = json!("77");
        state["positions"] = json!(["start", "start", "start", "start"]);
        std::fs::write(&path, state.to_string()).unwrap();
        let before = world.pulses.items();
        let (reason, _) = refused(&world, &format!("{line} --continue")).await;
        assert!(reason.contains("started with adeunis-pulse-v4 77") && reason.ends_with("start a new run"), "{reason}");
        assert!(world.pulses.items() == before, "something is written");
        let after: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(after, state, "something is noted");
    }
}

#[tokio::test(start_paused = true)]
async fn the_versions_a_run_writes_with_are_noted_before_it_writes() {
    let (world, scratch) = (World::mixed(1), Scratch::new());
    interrupted(&world, &format!("--all --write --parallel 1 {}", scratch.options())).await;
    let state: Value = serde_json::from_slice(&std::fs::read(scratch.0.join("state")).unwrap()).unwrap();
    assert!(state["tally"]["versions"]["adeunis-pulse-v4"].is_string(), "{state}");
}

#[tokio::test(start_paused = true)]
async fn what_a_newer_version_has_decoded_is_told_and_never_replaced() {
    // Four uplinks, one of which does not decode here: three items of a newer version, and one of an older.
    let archive = archive(&(0..4).map(|n| uplink(n, n != 2)).collect::<Vec<_>>());
    let now = |n| pulsegate_aws::items::pulse_item(&pulse::decode(&uplink(n, true)).unwrap());
    // As a string, 10 would be smaller than 2.
    let newer: Vec<Item> = (0..3).map(|n| in_version("10", &now(n))).collect();
    let pulses = FakeTable::of(newer.iter().cloned().chain([older(&now(3))]));
    let world = World { archive, pulses, expected: vec![], differ: BTreeMap::new() };
    for line in ["--all", "--all --write"] {
        let (reason, report) = refused(&world, line).await;
        assert!(reason.starts_with("3 pulse items are of a newer version"), "{reason}");
        let counts = ["newer", "changed", "no_longer_decodable"].map(|name| &report[name]);
        assert_eq!((counts, &report["finished"]), ([&json!(3), &json!(1), &json!(0)], &json!(true)), "{line}");
        assert_eq!(told(&report).values().filter(|what| *what == "newer").count(), 3);
    }
    let expected = FakeTable::of(newer.into_iter().chain([now(3)])).items();
    assert_eq!(world.pulses.items(), expected);
    let table = Order { format: Format::Table, ..order("--all").unwrap() };
    let text = world.redecode(&Life::of(usize::MAX), &table, &Stop::default()).await.unwrap().text;
    assert!(text.contains("newer, such as sigfox:") && text.ends_with("4 raw uplinks; nothing to write\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_there_stays_and_is_only_gone_on_with_by_its_own_run() {
    let (world, scratch) = (World::mixed(2), Scratch::new());
    let file = scratch.0.join("another");
    std::fs::write(&file, "somebody's\n").unwrap();
    let state = scratch.0.join("state").display().to_string();
    let run = async |line: &str| {
        let order = order(line).unwrap();
        world.redecode(&Life::of(usize::MAX), &order, &Stop::default()).await.map_err(|problem| problem.in_full())
    };
    let another = format!("--meters {}", file.display());
    for line in [format!("--all {another}"), format!("--all --state {state} {another}")] {
        assert!(run(&line).await.unwrap_err().ends_with("another is not empty: remove it, or name another"), "{line}");
    }
    let line = format!("--all {}", scratch.options());
    assert!(run(&line).await.is_ok() && run(&format!("{line} --continue")).await.is_ok());
    let reason = run(&format!("--all --state {state} {another} --continue")).await.unwrap_err();
    assert!(reason.contains("other options"), "{reason}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "somebody's\n");
}

#[test]
fn a_time_span_that_ends_before_it_begins_is_no_question() {
    for to in ["2026-11-03T00:00:00Z", "2026-11-02T00:00:00Z"] {
        let reason = order(&format!("--from 2026-11-03T00:00:00Z --to {to}")).unwrap_err().in_full();
        assert_eq!(reason, format!("no uplink is selected: --from 2026-11-03T00:00:00Z is not before --to {to}"));
    }
}
