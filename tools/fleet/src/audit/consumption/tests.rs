//! Wrong results, one at a time: each is found.

use pulsegate_model::pulse;

use super::computed::Computed;
use super::*;
use crate::audit::tests::{faulty, run_of};

/// A run of a faulty fleet with all of its uplinks in the archive, and the items of each meter.
fn run() -> (ExpectedRun, BTreeMap<u32, Vec<(UplinkPosition, PulseItem)>>) {
    let (mut run, sent) = run_of(faulty(60));
    let mut items: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for each in sent {
        let place = run.find(&each.uplink.device, each.uplink.at, each.uplink.sequence).flatten().unwrap();
        run.mark_raw(place, None).unwrap();
        if let Ok(item) = pulse::decode(&each.uplink) {
            items.entry(each.meter).or_default().push((place, item));
        }
    }
    (run, items)
}

/// Changes the result of each meter, if there is something to change, and returns the verdicts: the number of changed meters, and
/// how those are wrong that were found.
fn changed(change: impl Fn(&mut Computed) -> bool) -> (usize, Vec<String>) {
    let (run, items) = run();
    let (mut count, mut wrong) = (0, Vec::new());
    for (number, items) in items {
        let meter = MeterTruth::new(&run, number);
        let device = run.fleet.meter(number).device;
        let Ok(Some(mut computed)) = Computed::of(device, &items, &meter.statuses(), &meter.assignments) else {
            continue;
        };
        let mut found = ConsumptionFindings::default();
        if let Verdict::Wrong(how) = judge(&meter, &computed, &mut found) {
            panic!("{device}: {how}");
        }
        if change(&mut computed) {
            count += 1;
            if let Verdict::Wrong(how) = judge(&meter, &computed, &mut found) {
                wrong.push(how);
            }
        }
    }
    (count, wrong)
}

fn is_found_everywhere(change: impl Fn(&mut Computed) -> bool) -> Vec<String> {
    let (count, wrong) = changed(change);
    assert!(count > 40 && wrong.len() == count, "{count} changed, {} found", wrong.len());
    wrong
}

/// The first hour of channel A or 2 with a value.
fn hour(computed: &mut Computed) -> Option<&mut i64> {
    let has_points = |row: &&mut pulsegate_model::day::DayRow| !computed.channels[&row.channel].points.is_empty();
    let mut rows = computed.rows.iter_mut().filter(has_points);
    rows.find_map(|row| row.hours.iter_mut().flatten().next())
}

#[test]
fn a_pulse_too_many_in_one_hour_is_found() {
    let wrong = is_found_everywhere(|computed| hour(computed).map(|value| *value += 250).is_some());
    assert!(wrong.iter().all(|how| how.contains("in the hour from")), "{wrong:?}");
}

#[test]
fn a_pulse_that_is_missing_from_one_hour_is_found() {
    is_found_everywhere(|computed| hour(computed).map(|value| *value -= 1).is_some());
}

#[test]
fn an_uplink_more_or_less_among_the_lost_ones_is_found() {
    let wrong =
        is_found_everywhere(|computed| computed.rows.last_mut().map(|row| row.ledger.uplinks_lost += 1).is_some());
    assert!(wrong.iter().all(|how| how.contains("uplinks lost, and it must be")), "{wrong:?}");
    let (count, wrong) = changed(|computed| {
        let lossy = computed.rows.iter_mut().find(|row| row.ledger.uplinks_lost > 0);
        lossy.map(|row| row.ledger.uplinks_lost -= 1).is_some()
    });
    assert!(count > 10 && wrong.len() == count, "{count}");
}

#[test]
fn volume_in_the_wrong_part_of_the_ledger_is_found() {
    is_found_everywhere(|computed| computed.rows.last_mut().map(|row| row.ledger.unplaced += 1).is_some());
}

#[test]
fn another_quality_of_a_day_is_found() {
    use pulsegate_model::consumption::Quality;
    let other = |quality| if quality == Quality::Measured { Quality::Partial } else { Quality::Measured };
    let (count, wrong) = changed(|computed| {
        let channels = &computed.channels;
        let mut rows = computed.rows.iter_mut().filter(|row| !channels[&row.channel].points.is_empty());
        rows.next().map(|row| row.quality = other(row.quality)).is_some()
    });
    assert!(count > 40 && wrong.len() == count, "{count}");
}
