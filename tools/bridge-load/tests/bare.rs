//! Tests of the fleet against the bare loop, which is a child process like the bridge.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bridge_load::child::Child;
use bridge_load::fleet::{Answers, Fleet, Pattern, Plan, Report, RetryPolicy};
use bridge_load::flood::Flood;
use bridge_load::readings::Meters;

const READINGS: u64 = 3_000;

fn start(answers: bool) -> Child {
    Child::bare(Path::new(env!("CARGO_BIN_EXE_bridge-load")), answers).unwrap()
}

fn send(to: &Child, answers: Answers) -> (Fleet, Report) {
    let retry = RetryPolicy { first: Duration::from_millis(200), repetitions: 5 };
    let to = vec![to.addr()];
    let plan = Plan { to, readings: READINGS, rate: 30_000, pattern: Pattern::Uniform, answers, retry };
    let mut fleet = Fleet::new(Arc::new(Meters::new(1_000))).unwrap();
    let report = fleet.run(&plan).unwrap();
    (fleet, report)
}

#[test]
fn every_reading_is_acknowledged_under_its_own_number() {
    let bare = start(true);
    let (fleet, report) = send(&bare, Answers::Checked);
    assert_eq!((report.acknowledged, report.given_up, report.unexpected), (READINGS, 0, 0));
    assert_eq!(fleet.acknowledged().count_ones(..) as u64, READINGS);
    assert_eq!(report.latency.len(), READINGS);
    assert!(bare.proven().unwrap() >= READINGS);
}

#[test]
fn what_is_never_acknowledged_is_repeated_and_then_given_up() {
    let silent = start(false);
    let retry = RetryPolicy { first: Duration::from_millis(10), repetitions: 2 };
    let to = vec![silent.addr()];
    let plan = Plan { to, readings: 100, rate: 10_000, pattern: Pattern::Uniform, answers: Answers::Checked, retry };
    let report = Fleet::new(Arc::new(Meters::new(10))).unwrap().run(&plan).unwrap();
    assert_eq!((report.readings, report.datagrams, report.given_up, report.acknowledged), (100, 300, 100, 0));
    assert!((1..=300).contains(&silent.proven().unwrap()));
}

#[test]
fn a_fleet_that_does_not_wait_sends_everything_once() {
    let silent = start(false);
    let (_, report) = send(&silent, Answers::Ignored);
    assert_eq!((report.readings, report.datagrams, report.acknowledged), (READINGS, READINGS, 0));
}

#[test]
fn strangers_are_not_answered_and_the_meters_beside_them_are() {
    let bare = start(true);
    let flood = Flood::start(bare.addr(), Arc::new(Meters::new(10)), 7).unwrap();
    let (_, report) = send(&bare, Answers::Checked);
    let tally = flood.stop().unwrap();
    assert!(tally.sent > 0 && tally.answered == 0, "{tally:?}");
    assert_eq!((report.acknowledged + report.given_up, report.unexpected), (READINGS, 0));
}

#[test]
fn a_child_tells_what_it_has_used() {
    let bare = start(true);
    let before = bare.usage().unwrap();
    send(&bare, Answers::Checked);
    let used = bare.usage().unwrap().since(before);
    assert!(used.user >= 0.0 && used.system >= 0.0 && used.peak_memory > 1.0, "{used:?}");
}
