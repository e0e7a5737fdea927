//! The archive in virtual time, with faults in the object store and in everything that uses it: 150 runs.
//! `make simulate` makes ten thousand.

use fastrand::Rng;
use pulsegate_model::day::DayRow;
use pulsegate_tests::simulation::archive::campaign::ArchiveCampaign;
use pulsegate_tests::simulation::archive::client::Bug;
use pulsegate_tests::simulation::archive::messages::Messages;
use pulsegate_tests::simulation::archive::reference::Known;
use pulsegate_tests::simulation::archive::{simulate, truth};

const CAMPAIGN: ArchiveCampaign = ArchiveCampaign { seeds: 150, first: 0 };

/// A search for a bug ends at the first run that finds it. Some show only in one of a few hundred runs.
const SEARCH: ArchiveCampaign = ArchiveCampaign { seeds: 2_000, first: 0 };

#[test]
fn whatever_fails_no_read_misses_an_acknowledged_row_and_the_files_are_those_of_the_set() {
    let summary = CAMPAIGN.run(|_, _| {});
    for (&seed, wrong) in &summary.failed {
        println!("seed {seed}: {wrong:#?}\nto repeat it: {}", ArchiveCampaign::repeat_command(seed));
    }
    println!("{:?}\n{}", summary.made, summary.table());
    assert_eq!((summary.runs, summary.failed.len()), (CAMPAIGN.seeds, 0));
    assert_eq!(summary.unseen(), [""; 0], "faults that never occurred");
}

#[test]
fn all_that_was_counted_and_lost_is_in_the_days_of_the_reference() {
    let mut all = Vec::new();
    for seed in 0..2_000 {
        let messages = Messages::of_meters(&mut Rng::with_seed(seed));
        for meter in messages.fleet.iter().filter(|_| messages.is_closed()).flat_map(|fleet| &fleet.meters) {
            let known = Known::of(meter.device, messages.uplinks.iter(), meter.assignments().iter().cloned());
            let rows: Vec<DayRow> = known.months(messages.span).into_iter().flat_map(|(_, month)| month.rows).collect();
            let wrong = truth::wrong(meter, &rows);
            all.extend(wrong.into_iter().map(|wrong| format!("seed {seed}: {wrong}")));
        }
    }
    assert!(all.is_empty(), "{} errors: {:#?}", all.len(), &all[..all.len().min(20)]);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed| {
        let report = simulate(seed, None);
        (report.digest, report.faults, report.made)
    };
    for seed in 0..3 {
        assert_eq!(run(seed), run(seed), "{seed}");
    }
    assert_ne!(run(0).0, run(1).0);
}

/// Checks that the first runs find the bug, and that an error contains this text.
fn found(bug: Bug, says: &str) {
    let (seed, wrong) = SEARCH.first_to_find(bug).unwrap_or_else(|| panic!("{bug:?} was not found"));
    println!("{bug:?} is found by seed {seed}: {wrong:#?}");
    assert!(wrong.iter().any(|wrong| wrong.contains(says)), "{wrong:#?}");
}

#[test]
fn a_raw_stage_that_acknowledges_before_the_put_is_found() {
    found(Bug::AcknowledgesBeforeThePut, "a reader misses");
}

#[test]
fn ignoring_the_conditions_of_puts_is_found() {
    found(Bug::NoCompare, "at the end");
}

#[test]
fn deleting_before_the_swap_is_found() {
    found(Bug::DeletesFirst, "a reader misses");
}

#[test]
fn forgetting_the_rest_is_found() {
    found(Bug::ForgetsTheRest, "a reader misses");
}

/// Two overlapping runs can each delete what the other one relies on, and a reader of several pages can be overtaken.
#[test]
fn a_rest_with_the_name_of_a_batch_is_found() {
    found(Bug::NamesTheRestAsABatch, "a reader misses");
}

#[test]
fn names_that_several_batches_have_are_found() {
    found(Bug::ShortNames, "at the end");
}

#[test]
fn reading_the_files_before_the_list_is_found() {
    found(Bug::ReadsFilesFirst, "a reader misses");
}

#[test]
fn skipping_an_object_that_is_gone_is_found() {
    found(Bug::SkipsGoneObjects, "a reader misses");
}

#[test]
fn claiming_a_version_of_a_source_that_was_not_read_is_found() {
    found(Bug::ClaimsWhatItHasNotRead, "has other points");
}

#[test]
fn reading_the_rows_of_another_version_than_the_footer_is_found() {
    found(Bug::MixesVersions, "derive cannot read a source");
}

/// Messages that arrive between the last search and the tombstone stay.
#[test]
fn a_tombstone_after_the_search_is_found() {
    found(Bug::TombstoneLast, "the erased device");
}

#[test]
fn deleting_an_object_before_its_rest_is_put_is_found() {
    found(Bug::EraseDeletesFirst, "a reader misses");
}

#[test]
fn forgetting_older_versions_is_found() {
    found(Bug::KeepsOlderVersions, "the erased device");
}

#[test]
fn a_raw_stage_that_does_not_read_the_tombstones_is_found() {
    found(Bug::RawIgnoresTombstones, "the erased device");
}

#[test]
fn points_of_late_uplinks_that_days_ignore_are_found() {
    found(Bug::DaysIgnoreLatePoints, "has other days");
}

#[test]
fn skipping_the_points_of_the_next_month_is_found() {
    found(Bug::DaysSkipTheNextMonth, "is made from other sources");
}

#[test]
fn assignments_whose_change_is_not_noticed_are_found() {
    found(Bug::DaysIgnoreAssignments, "has other days");
}

#[test]
fn reports_older_than_the_points_are_found() {
    found(Bug::DaysReadOldReports, "has other days");
}

#[test]
fn a_carry_that_is_not_chained_is_found() {
    found(Bug::DaysWithoutCarry, "has other days");
}

#[test]
fn a_row_group_of_the_month_before_that_is_skipped_is_found() {
    found(Bug::DaysSkipARowGroup, "has other days");
}

#[test]
fn rules_that_are_not_compared_are_found() {
    found(Bug::DaysIgnoreRules, "is made by older rules");
}

#[test]
fn lost_uplinks_that_are_counted_without_modulo_are_found() {
    found(Bug::DaysCountWithoutModulo, "has other days");
}

#[test]
fn unplaced_volume_that_is_dropped_is_found() {
    found(Bug::DaysDropUnplaced, "has other days");
}

#[test]
fn days_that_are_not_searched_for_an_erased_device_are_found() {
    found(Bug::EraseSkipsDays, "the erased device");
}

#[test]
fn a_change_of_assignments_that_takes_a_conflict_for_success_is_found() {
    found(Bug::ConflictIsSuccess, "has other days");
}
