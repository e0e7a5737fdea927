//! The pipeline in virtual time, with faults in everything around it: a few hundred short runs. `make simulate` makes
//! ten thousand long ones.

use pulsegate_tests::simulation::campaign::{Campaign, first_to_find};
use pulsegate_tests::simulation::planted::Bug;
use pulsegate_tests::simulation::settings::Settings;
use pulsegate_tests::simulation::simulate;

const CAMPAIGN: Campaign = Campaign { seeds: 300, first: 0, uplinks: 40 };

#[test]
fn whatever_fails_nothing_is_lost_or_counted_twice_or_left_anywhere() {
    let summary = CAMPAIGN.run(|_, _| {});
    for (&seed, wrong) in &summary.failed {
        println!("seed {seed}: {wrong:#?}\nto repeat it: {}", CAMPAIGN.repeat_command(seed));
    }
    assert_eq!((summary.runs, summary.failed.len()), (CAMPAIGN.seeds, 0));
    assert_eq!(summary.unseen(), [""; 0], "faults that never occurred");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let settings = Settings::read();
    let run = |seed| {
        let end = simulate(seed, 100, settings, None).end;
        (end.digest, end.faults, end.tally, end.units)
    };
    for seed in 0..3 {
        assert_eq!(run(seed), run(seed), "{seed}");
    }
    assert_ne!(run(0).0, run(1).0);
}

/// Checks that the first runs find the bug, and that an error contains this text.
fn found(bug: Bug, says: &str) {
    let (seed, wrong) = first_to_find(bug, CAMPAIGN).unwrap_or_else(|| panic!("{bug:?} was not found"));
    println!("{bug:?} is found by seed {seed}: {wrong:#?}");
    assert!(wrong.iter().any(|wrong| wrong.contains(says)), "{wrong:#?}");
    assert!(seed < 20, "{bug:?} takes {seed} runs to be found");
}

#[test]
fn a_bridge_that_acknowledges_before_the_put_is_found() {
    found(Bug::AcknowledgesBeforeThePut, "is lost");
}

#[test]
fn a_table_that_answers_before_the_write_is_found() {
    found(Bug::AnswersBeforeTheWrite, "is lost");
}

#[test]
fn ignoring_unprocessed_items_is_found() {
    found(Bug::IgnoresUnprocessed, "is lost");
}

#[test]
fn ignoring_refused_messages_is_found() {
    found(Bug::IgnoresRefusedMessages, "is lost");
}

#[test]
fn telling_the_highest_failed_record_is_found() {
    found(Bug::ReportsTheHighest, "is lost");
}

/// A panic loses nothing, because its messages are delivered again: only the recorded panic shows the bug.
#[test]
fn a_panic_is_found() {
    found(Bug::Panics, "a planted panic");
}

#[test]
fn a_clock_in_the_key_is_found() {
    found(Bug::ClockInTheKey, "should not be there");
}

#[test]
fn a_retention_by_the_messages_own_clock_is_found() {
    found(Bug::RetainsFromTheMessage, "is not retained from its arrival");
}
