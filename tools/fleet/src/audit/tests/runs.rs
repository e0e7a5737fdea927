//! Audits of several runs, and of items that belong to none of them.

use super::*;
use crate::audit::check::all;

#[tokio::test(start_paused = true)]
async fn an_item_is_of_the_run_whose_session_it_is() {
    let (morning, in_the_morning) = run("2026-11-20T06:00:00Z");
    let (noon, at_noon) = run("2026-11-20T12:00:00Z");
    let mut world = World::of(in_the_morning.iter().chain(&at_noon));
    world.lose_pulses(&at_noon[2]);
    let found = world.audit(vec![morning, noon]).await;
    assert_eq!(stages(&found), [(at_noon[2].key(), Stage::NotPulses)]);
    let counts = all(&found.audit.networks);
    assert_eq!(counts.sent, (in_the_morning.len() + at_noon.len()) as u64);
    assert_eq!(counts.pulses, counts.sent - 1);
    // The remaining sessions of that meter are complete, so it is compared.
    assert_eq!((found.audit.meters.right, found.audit.meters.in_part), (u64::from(2 * DEVICES), 0));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_not_named_is_something_that_no_session_has_sent() {
    let (morning, in_the_morning) = run("2026-11-20T06:00:00Z");
    let (_, at_noon) = run("2026-11-20T12:00:00Z");
    let found = World::of(in_the_morning.iter().chain(&at_noon[..2])).audit(vec![morning]).await;
    assert_eq!((found.audit.strange.items, found.missing.len()), (4, 0));
    assert!(found.audit.wrong[0].contains("Name that too"), "{:?}", found.audit.wrong);
    assert!(found.audit.strange.examples.iter().any(|item| item.contains(&at_noon[0].key())));
    // A meter is compared only with the points of the audited run.
    assert_eq!(found.audit.meters.right, u64::from(DEVICES));
}

#[tokio::test(start_paused = true)]
async fn the_same_run_named_twice_is_all_right_twice() {
    let (expected_run, sent) = run("2026-11-20T06:00:00Z");
    let (again, _) = run("2026-11-20T06:00:00Z");
    let found = World::of(&sent).audit(vec![expected_run, again]).await;
    assert!(found.audit.ok, "{:?}", found.audit.wrong);
    assert_eq!(all(&found.audit.networks).pulses, 2 * sent.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn items_of_other_devices_are_counted_and_do_not_matter() {
    let (expected_run, sent) = run("2026-11-20T06:00:00Z");
    let mut world = World::of(&sent);
    let one = sent.iter().find(|sent| sent.uplink.device.network() == Network::Sigfox).unwrap();
    let stranger = Sent { uplink: Uplink { device: "sigfox:1".parse().unwrap(), ..one.uplink.clone() }, ..one.clone() };
    assert!(expected_run.fleet.number(&stranger.uplink.device).is_none());
    world.raw.push(stranger.uplink.clone());
    world.pulses.as_mut().unwrap().push(stranger.pulses());
    let nobody = serde_json::json!({"device": "nobody", "uplink": "2026-11-20T12:00:00Z#-", "note": "?"});
    world.pulses.as_mut().unwrap().push(serde_dynamo::to_item(nobody).unwrap());
    let found = world.audit(vec![expected_run]).await;
    assert_eq!((found.audit.ok, found.audit.foreign), (true, 3));
}

#[tokio::test(start_paused = true)]
async fn an_item_of_our_own_that_nobody_can_read_is_strange() {
    let (expected_run, sent) = run("2026-11-20T06:00:00Z");
    let mut world = World::of(&sent);
    let broken = serde_json::json!({"device": sent[0].uplink.device, "uplink": "never", "kind": "data"});
    world.pulses.as_mut().unwrap().push(serde_dynamo::to_item(&broken).unwrap());
    let found = world.audit(vec![expected_run]).await;
    assert_eq!((found.audit.ok, found.audit.strange.items), (false, 1));
    assert!(found.audit.strange.examples[0].contains("never"), "{:?}", found.audit.strange.examples);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_killed_is_not_accounted_for_and_what_it_had_not_noted_is_counted_apart() {
    let (mut expected_run, sent) = run("2026-11-20T06:00:00Z");
    expected_run.sessions = Sessions::new(DEVICES, HOURS);
    for each in sent.iter().filter(|each| each.meter != 4) {
        expected_run.sessions.send(each.meter, each.hour);
        expected_run.sessions.acknowledge(each.meter, each.hour);
    }
    let of_four = sent.iter().filter(|each| each.meter == 4).count() as u64;
    let world = World::of(&sent);
    expected_run.complete = false;
    let mut accounts = Accounts::new(vec![expected_run]);
    let found = check(&mut accounts, &world.stores(Layout::Half).await, &options()).await.unwrap();
    let counts = all(&found.audit.networks);
    assert_eq!((counts.unnoted, counts.pulses), (of_four, counts.sent));
    assert!(!found.audit.ok && found.audit.wrong[0].contains("--resume"), "{:?}", found.audit.wrong);
    accounts.runs[0].complete = true;
    let found = check(&mut accounts, &world.stores(Layout::Half).await, &options()).await.unwrap();
    assert_eq!(found.audit.wrong, [format!("{of_four} stored, and not noted as sent")]);
}

#[tokio::test(start_paused = true)]
async fn all_that_is_missing_is_in_the_file_and_the_first_are_in_the_list() {
    let (expected_run, sent) = run("2026-11-20T06:00:00Z");
    let directory = std::env::temp_dir().join(format!("fleet-audit-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("missing.jsonl");
    let world = World::of(&sent[30..]);
    let options = Options { missing: Some(file.clone()), list: 7, runs: vec![directory.clone()], ..options() };
    let found =
        check(&mut Accounts::new(vec![expected_run]), &world.stores(Layout::Half).await, &options).await.unwrap();
    check::leave(&found, &options).unwrap();
    let lines = std::fs::read_to_string(&file).unwrap();
    let audit = std::fs::read_to_string(directory.join(FILE)).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!((lines.lines().count(), found.missing.len()), (30, 7));
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&first["stage"], &first["acknowledged"]), (&"not-raw".into(), &true.into()));
    let read: Audit = serde_json::from_str(&audit).unwrap();
    assert_eq!(read, found.audit);
}

#[test]
fn a_file_of_sessions_that_knows_of_less_than_was_sent_is_refused() {
    let directory = std::env::temp_dir().join(format!("fleet-audit-stale-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let measured = Measured { sent: 5, ..Measured::default() };
    Run { spec: spec("2026-11-20T06:00:00Z"), options: serde_json::Map::new(), measured }.write(&directory).unwrap();
    let mut opened = [4, 5].into_iter().map(|noted| {
        let mut sessions = Sessions::new(DEVICES, HOURS);
        sessions.progress.sent = noted;
        sessions.write(&directory).unwrap();
        Accounts::open(std::slice::from_ref(&directory))
    });
    let (older, same) = (opened.next().unwrap(), opened.next().unwrap());
    drop(opened);
    std::fs::remove_dir_all(&directory).unwrap();
    let problem = older.unwrap_err().in_full();
    assert!(problem.contains("4 messages as sent") && problem.contains("5 in run.json"), "{problem}");
    assert!(same.is_ok());
}
