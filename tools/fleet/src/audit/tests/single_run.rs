//! Audits of one run, with one error at a time.

use pulsegate_aws::Table as _;
use pulsegate_model::uplink::Kind;

use super::*;
use crate::audit::check::all;

const START: &str = "2026-11-20T06:00:00Z";

#[tokio::test(start_paused = true)]
async fn a_run_of_which_everything_is_stored_is_accounted_for() {
    let (expected_run, sent) = run(START);
    let found = World::of(&sent).audit(vec![expected_run]).await;
    assert!(found.audit.ok && found.audit.wrong.is_empty(), "{:?}", found.audit);
    assert_eq!(found.missing, []);
    let counts = all(&found.audit.networks);
    let number = sent.len() as u64;
    assert_eq!((counts.sent, counts.acknowledged, counts.raw, counts.pulses), (number, number, number, number));
    assert!(found.audit.networks.values().all(|counts| counts.sent > 0), "both networks: {:?}", found.audit.networks);
    assert_eq!((found.audit.meters.right, found.audit.meters.wrong), (DEVICES.into(), 0));
    assert!(show::text(&found, 20, Format::Table).contains(&format!("yes: {number} of {number}")));
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_and_is_nowhere_is_named_as_lost_before_the_archive() {
    let (expected_run, sent) = run(START);
    let mut world = World::of(&sent);
    world.lose_raw(&sent[7]);
    world.lose_pulses(&sent[7]);
    let found = world.audit(vec![expected_run]).await;
    assert_eq!(found.audit.wrong, ["1 acknowledged or stored, and not both in the archive and in the pulses table"]);
    assert_eq!(stages(&found), [(sent[7].key(), Stage::NotRaw)]);
    assert_eq!(found.missing[0].device, sent[7].uplink.device);
}

#[tokio::test(start_paused = true)]
async fn what_is_raw_and_not_among_pulses_is_named_as_lost_between_them() {
    let (expected_run, sent) = run(START);
    let mut world = World::of(&sent);
    world.lose_pulses(&sent[3]);
    let found = world.audit(vec![expected_run]).await;
    assert_eq!((found.audit.ok, stages(&found)), (false, vec![(sent[3].key(), Stage::NotPulses)]));
}

#[tokio::test(start_paused = true)]
async fn what_is_among_pulses_and_not_raw_is_named_too() {
    let (expected_run, sent) = run(START);
    let mut world = World::of(&sent);
    world.lose_raw(&sent[3]);
    let found = world.audit(vec![expected_run]).await;
    assert_eq!((found.audit.ok, stages(&found)), (false, vec![(sent[3].key(), Stage::PulsesOnly)]));
}

/// A stream cannot report its depth, so the audit must wait to distinguish a late message from a lost one.
#[tokio::test(start_paused = true)]
async fn what_the_stream_brings_late_is_waited_for() {
    let (expected_run, sent) = run(START);
    let mut world = World::of(&sent);
    let late = &sent[0];
    world.lose_raw(late);
    world.lose_pulses(late);
    let stores = world.stores(Layout::Half).await;
    let arrive = async {
        tokio::time::sleep(Duration::from_secs(45)).await;
        let deadline = Instant::now() + Duration::from_secs(1);
        put(&stores.archive.store, std::slice::from_ref(&late.uplink)).await;
        stores.pulses.as_ref().unwrap().put(&[late.pulses()], deadline).await
    };
    let mut accounts = Accounts::new(vec![expected_run]);
    let options = Options { wait: Duration::from_mins(2), ..options() };
    let (found, _) = tokio::join!(check(&mut accounts, &stores, &options), arrive);
    assert!(found.unwrap().audit.ok);
}

/// The loss is not the pipeline's: nothing was acknowledged, and the meter knows that.
#[tokio::test(start_paused = true)]
async fn a_session_that_was_never_acknowledged_is_named_and_is_nobodys_fault() {
    let (mut expected_run, sent) = run(START);
    let lost = sent[11].clone();
    expected_run.sessions = Sessions::new(DEVICES, HOURS);
    for each in &sent {
        expected_run.sessions.send(each.meter, each.hour);
        if (each.meter, each.hour) != (lost.meter, lost.hour) {
            expected_run.sessions.acknowledge(each.meter, each.hour);
        }
    }
    let is_lost = |each: &&Sent| (each.meter, each.hour) == (lost.meter, lost.hour);
    let found = World::of(sent.iter().filter(|each| !is_lost(each))).audit(vec![expected_run]).await;
    let expected: Vec<_> = sent.iter().filter(is_lost).map(|each| (each.key(), Stage::NeverAcknowledged)).collect();
    assert_eq!((found.audit.ok, stages(&found)), (true, expected.clone()));
    assert_eq!(all(&found.audit.networks).given_up, expected.len() as u64);
    let text = show::text(&found, 20, Format::Table);
    assert!(text.contains(&format!("no: {} of {}", sent.len() - expected.len(), sent.len())), "{text}");
}

/// The bit of a session says only whether all of it was acknowledged, but the run records the total number of
/// acknowledged messages.
#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_of_a_session_that_was_given_up_in_part_has_to_be_there() {
    let (mut expected_run, sent) = run(START);
    let in_series = |one: &Sent| sent.iter().filter(|each| (each.meter, each.hour) == (one.meter, one.hour)).count();
    let given_up = sent.iter().find(|each| in_series(each) >= 4).unwrap();
    let of_series = in_series(given_up) as u64;
    expected_run.sessions = Sessions::new(DEVICES, HOURS);
    for each in &sent {
        expected_run.sessions.send(each.meter, each.hour);
        if (each.meter, each.hour) != (given_up.meter, given_up.hour) {
            expected_run.sessions.acknowledge(each.meter, each.hour);
        }
    }
    expected_run.acknowledged = sent.len() as u64 - 1;
    let is_rest = |each: &&Sent| (each.meter, each.hour) == (given_up.meter, given_up.hour);
    let found = World::of(sent.iter().filter(|each| !is_rest(each))).audit(vec![expected_run]).await;
    let reason = "acknowledged, of sessions that were given up in part, and not stored";
    assert_eq!(found.audit.wrong, [format!("{} {reason}", of_series - 1)]);
}

#[tokio::test(start_paused = true)]
async fn other_bytes_in_the_archive_are_noticed() {
    let (expected_run, sent) = run(START);
    let mut world = World::of(&sent);
    world.lose_raw(&sent[5]);
    world.raw.push(sent[5].altered().uplink);
    let found = world.audit(vec![expected_run]).await;
    assert_eq!((found.audit.ok, stages(&found)), (false, vec![(sent[5].key(), Stage::Altered)]));
    assert_eq!(found.missing[0].why.as_deref(), Some("raw: other bytes"));
}

#[tokio::test(start_paused = true)]
async fn a_count_that_is_off_by_one_makes_a_meter_wrong() {
    let (expected_run, sent) = run(START);
    let mut world = World::of(&sent);
    let counts = |item: &PulseItem| item.channels.values().any(|counts| !counts.indexes.is_empty());
    let counting = sent.iter().find(|sent| counts(&pulse::decode(&sent.uplink).unwrap())).unwrap();
    world.lose_pulses(counting);
    let mut item = pulse::decode(&counting.uplink).unwrap();
    let told = item.channels.values_mut().find(|counts| !counts.indexes.is_empty()).unwrap();
    told.indexes[0] += 1;
    world.pulses.as_mut().unwrap().push(serde_dynamo::to_item(&item).unwrap());
    let found = world.audit(vec![expected_run]).await;
    assert_eq!(stages(&found), [(counting.key(), Stage::Altered)]);
    assert_eq!((found.audit.meters.right, found.audit.meters.wrong), (u64::from(DEVICES) - 1, 1));
    assert!(found.audit.meters.examples[0].starts_with(&counting.uplink.device.to_string()));
    assert!(found.audit.wrong.iter().any(|why| why == "1 meters whose points are not what they counted"));
}

/// The increments of a series cannot be compared without its other uplinks.
#[tokio::test(start_paused = true)]
async fn a_meter_of_whose_series_a_part_is_missing_is_not_compared() {
    let (expected_run, sent) = run(START);
    let of_session =
        |each: &Sent| sent.iter().filter(|other| (other.meter, other.hour) == (each.meter, each.hour)).count();
    let part = sent.iter().find(|each| of_session(each) >= 4).unwrap();
    let mut world = World::of(&sent);
    world.lose_pulses(part);
    let found = world.audit(vec![expected_run]).await;
    assert_eq!(stages(&found), [(part.key(), Stage::NotPulses)]);
    let Meters { right, wrong, in_part, .. } = found.audit.meters;
    assert_eq!((right, wrong, in_part), (u64::from(DEVICES) - 1, 0, 1));
}

/// Queues deliver at least once and meters retry; neither changes the archive's rows.
#[tokio::test(start_paused = true)]
async fn what_came_twice_is_one_row_and_all_right() {
    let (expected_run, sent) = run(START);
    let found = World::of(sent.iter().chain(&sent)).audit(vec![expected_run]).await;
    assert!(found.audit.ok, "{:?}", found.audit.wrong);
    assert_eq!(found.audit.sources.rows, sent.len() as u64);
}

/// The network reports an uplink that arrived, and a message without a payload.
#[tokio::test(start_paused = true)]
async fn rows_of_events_are_nobodys_uplinks_and_all_right() {
    let (expected_run, sent) = run(START);
    let mut world = World::of(&sent);
    let event = Uplink { kind: Kind::Event, payload: Payload::default(), ..sent[5].uplink.clone() };
    world.raw.extend([Uplink { sequence: Some(4_000), ..event.clone() }, event]);
    let found = world.audit(vec![expected_run]).await;
    assert!(found.audit.ok, "{:?}", found.audit.wrong);
    assert_eq!(found.audit.sources.rows, sent.len() as u64 + 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_quarantine_is_named_with_the_reason() {
    let (expected_run, sent) = run(START);
    let mut world = World::of(&sent);
    world.lose_pulses(&sent[9]);
    let record = envelope::of_one(&sent[9].uplink);
    world.quarantine = vec![
        Quarantined::new("pulse", &"frame code 0x3f", record.as_bytes()).of(&sent[9].uplink).to_message(),
        // This record names no uplink.
        Quarantined::new("sigfox-callback", &"no JSON", b"noise").to_message(),
    ];
    let found = world.audit(vec![expected_run]).await;
    assert_eq!((found.audit.ok, stages(&found)), (false, vec![(sent[9].key(), Stage::Quarantined)]));
    assert_eq!(found.missing[0].why.as_deref(), Some("pulse: frame code 0x3f"));
    assert_eq!((all(&found.audit.networks).quarantined, found.audit.quarantined_unknown), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_message_in_quarantine_that_names_no_uplink_is_opened() {
    let (expected_run, sent) = run(START);
    let mut world = World::of(&sent);
    world.lose_pulses(&sent[9]);
    world.quarantine =
        vec![Quarantined::new("pulse", &"why", envelope::of_one(&sent[9].uplink).as_bytes()).to_message()];
    assert_eq!(stages(&world.audit(vec![expected_run]).await), [(sent[9].key(), Stage::Quarantined)]);
}

/// The message was replayed, and is stored now.
#[tokio::test(start_paused = true)]
async fn what_is_in_quarantine_and_stored_all_the_same_is_all_right() {
    let (expected_run, sent) = run(START);
    let mut world = World::of(&sent);
    world.quarantine = vec![Quarantined::new("pulse", &"why", b"{}").of(&sent[9].uplink).to_message()];
    assert!(world.audit(vec![expected_run]).await.audit.ok);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_quarantine_and_stored_as_something_else_is_not() {
    let (expected_run, sent) = run(START);
    let mut world = World::of(&sent);
    world.quarantine = vec![Quarantined::new("pulse", &"why", b"{}").of(&sent[5].uplink).to_message()];
    world.lose_raw(&sent[5]);
    world.raw.push(sent[5].altered().uplink);
    assert_eq!(stages(&world.audit(vec![expected_run]).await), [(sent[5].key(), Stage::Altered)]);
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_named_and_never_all_right() {
    let (expected_run, sent) = run(START);
    let mut world = World::of(&sent);
    world.lose_pulses(&sent[1]);
    world.dead_letters = vec![envelope::of_one(&sent[1].uplink)];
    let found = world.audit(vec![expected_run]).await;
    assert_eq!((found.audit.ok, stages(&found)), (false, vec![(sent[1].key(), Stage::DeadLetter)]));

    let (expected_run, sent) = run(START);
    let world = World { dead_letters: vec!["of somebody else".to_owned()], ..World::of(&sent) };
    let found = world.audit(vec![expected_run]).await;
    assert_eq!(found.audit.wrong, ["1 among dead letters"]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_empty_is_waited_for_and_then_told() {
    let (expected_run, sent) = run(START);
    let world = World { queued: vec!["work".to_owned()], ..World::of(&sent) };
    let began = Instant::now();
    let found = world.audit(vec![expected_run]).await;
    assert_eq!(found.audit.wrong, ["1 still in queues"]);
    assert!(began.elapsed() >= options().wait, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_one_waits_counts() {
    let (expected_run, sent) = run(START);
    let mut world = World::of(&sent);
    let late = sent.last().unwrap();
    world.lose_pulses(late);
    let stores = world.stores(Layout::Half).await;
    let arrive = async {
        tokio::time::sleep(Duration::from_secs(15)).await;
        stores.pulses.as_ref().unwrap().put(&[late.pulses()], Instant::now() + Duration::from_secs(1)).await
    };
    let mut accounts = Accounts::new(vec![expected_run]);
    let options = options();
    let (found, _) = tokio::join!(check(&mut accounts, &stores, &options), arrive);
    assert!(found.unwrap().audit.ok);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_cannot_be_read_is_a_problem_and_no_finding() {
    let (expected_run, sent) = run(START);
    let stores = Stores { pulses: Some(FakeTable::down()), ..World::of(&sent).stores(Layout::Half).await };
    let problem = check(&mut Accounts::new(vec![expected_run]), &stores, &options()).await.unwrap_err();
    assert_eq!(problem.in_full(), "the table cannot be read: down on purpose");
}

#[tokio::test(start_paused = true)]
async fn an_object_or_a_file_that_cannot_be_read_is_a_problem_and_names_it() {
    let (expected_run, sent) = run(START);
    let mut accounts = Accounts::new(vec![expected_run]);
    for key in ["new/0f", "day/2026-11-20/00.parquet"] {
        let stores = World::of(&sent).stores(Layout::Half).await;
        stores.archive.store.set(key, &b"noise"[..]);
        let problem = check(&mut accounts, &stores, &options()).await.unwrap_err();
        assert!(problem.in_full().contains(key), "{}", problem.in_full());
    }
    // Of a day on which the run has sent nothing.
    let stores = World::of(&sent).stores(Layout::Half).await;
    stores.archive.store.set("day/2020-01-01/00.parquet", &b"noise"[..]);
    let by_key = check(&mut accounts, &stores, &Options { by_key: true, ..options() }).await.unwrap();
    assert!(by_key.audit.ok, "{:?}", by_key.audit.wrong);
}
