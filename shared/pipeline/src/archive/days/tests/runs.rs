//! Results of runs, and the times at which runs are due.

use super::*;
use crate::archive::points::POINTS;

const NOW: &str = "2026-12-20T12:00:00Z";

/// Two meters over three months, one of which has an assignment; a third with an assignment only.
async fn fleet(store: &FakeObjects) -> (Vec<Uplink>, Vec<Assignment>) {
    let assigned =
        vec![assignment(1, None, "Europe/Brussels"), assignment(3, Some("2026-11-05T12:00:00Z"), "Asia/Kolkata")];
    for assignment in &assigned {
        assign(store, assignment).await;
    }
    let uplinks = [hourly(1, "2026-10-15T00:00:00Z", 60), hourly(2, "2026-11-28T20:00:00Z", 10)].concat();
    receive(store, &uplinks).await;
    (uplinks, assigned)
}

/// The months of files that differ.
fn changed(before: &BTreeMap<String, Bytes>, after: &BTreeMap<String, Bytes>) -> BTreeSet<String> {
    let differ = after.iter().filter(|(key, content)| before.get(*key) != Some(*content));
    differ.map(|(key, _)| key.split('/').nth(1).unwrap().trim_start_matches("month=").to_owned()).collect()
}

fn months(months: &[&str]) -> BTreeSet<String> {
    months.iter().map(|&month| month.to_owned()).collect()
}

#[test]
fn months_one_after_another_are_what_the_whole_history_gives() {
    let store = FakeObjects::of_pages(7);
    block(async {
        let (uplinks, assigned) = fleet(&store).await;
        let made = pass(&store, at(NOW)).await;
        let rows = rows(&store);
        assert_eq!(rows, expected(&uplinks, &assigned, at(NOW)));
        assert_eq!(made.rows, rows.len() as u64);
        // Its assignment begins in the evening of the 5th in India; the 20th of December is not over there.
        let third: Vec<Date> = rows.iter().filter(|row| row.device == device(3)).map(|row| row.day).collect();
        assert_eq!((third[0], third.len()), (Date::constant(2026, 11, 5), 45));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_history_in_any_portions_gives_what_the_whole_gives(
        uplinks in vec((1..4_u64, 0..1_800_i64, vec((0..800_i64, 0..4_u64), 1..4)), 1..40),
        zones in vec(prop::sample::select(vec!["UTC", "Europe/Brussels", "Pacific/Kiritimati", "America/Los_Angeles"]), 2),
        portions in 1..4_usize,
        hours in 0..2_200_i64,
    ) {
        let first = at("2026-10-05T00:00:00Z").unix();
        // They tell the log period, and no step is longer than what a month looks ahead.
        let sparse = (0..10_u64).map(|n| (1 + n % 3, n.cast_signed() * 190 + 1, vec![(1, 0), (0, 0)]));
        let uplinks: Vec<Uplink> = uplinks.into_iter().chain(sparse).map(|(number, hour, counts)| {
            let of_hour = |hour: i64| (first + hour * HOUR, u64::try_from(1_000 + hour).unwrap());
            let counts: Vec<_> = counts.iter().map(|(ago, more)| {
                let (time, count) = of_hour(hour - ago);
                (time, count + more)
            }).collect();
            uplink(number, first + hour * HOUR, &counts)
        }).collect();
        let assigned: Vec<Assignment> =
            zones.iter().zip(1..).map(|(zone, number)| assignment(number, Some("2026-09-28T05:00:00Z"), zone)).collect();
        let now = At::from_unix(first + hours * HOUR)?;
        let store = FakeObjects::of_pages(50);
        block(async {
            for assignment in &assigned {
                assign(&store, assignment).await;
            }
            for portion in uplinks.chunks(uplinks.len().div_ceil(portions)) {
                receive(&store, portion).await;
                pass(&store, now).await;
            }
            assert_eq!(days(&store, &bits(), now).plan().await.unwrap(), []);
        });
        let (found, mut whole) = (rows(&store), expected(&uplinks, &assigned, now));
        // The months begin with the first in which there are points.
        let begin = found.iter().map(|row| row.day).min();
        whole.retain(|row| begin.is_none_or(|begin| row.day >= begin));
        prop_assert!(found == whole, "{:?}", found.iter().zip(&whole).find(|(one, other)| one != other));
        // Another history of runs makes the same rows. (The versions of their sources may differ.)
        let other = FakeObjects::default();
        block(async {
            receive(&other, &uplinks).await;
            for assignment in &assigned {
                assign(&other, assignment).await;
            }
            pass(&other, now).await;
        });
        prop_assert_eq!(rows(&other), rows(&store));
    }
}

#[test]
fn a_pass_makes_nothing_if_nothing_changed() {
    let store = FakeObjects::default();
    block(async {
        fleet(&store).await;
        assert!(pass(&store, at(NOW)).await.files > 0);
        let bits = bits();
        let days = days(&store, &bits, at(NOW));
        assert_eq!(days.plan().await.unwrap(), []);
        let again = days.run(Partition::ALL).await.unwrap();
        assert_eq!(again, Made { current: files(&store).len(), ..Made::default() });
    });
}

#[test]
fn a_day_has_its_rows_once_it_is_over_in_its_zone() {
    let store = FakeObjects::default();
    block(async {
        let assigned = assignment(1, None, "Europe/Brussels");
        assign(&store, &assigned).await;
        receive(&store, &hourly(1, "2026-11-19T00:00:00Z", 5)).await;
        let last = async |now: &str| {
            let made = pass(&store, at(now)).await;
            (made.files, rows(&store).last().map(|row| row.day))
        };
        let of = |day| Some(Date::constant(2026, 11, day));
        assert_eq!(last("2026-11-19T22:59:59Z").await.1, None);
        assert_eq!(last("2026-11-19T23:00:00Z").await, (1, of(19)));
        // Midnight in UTC, where no meter is.
        assert_eq!(last("2026-11-20T00:00:00Z").await, (0, of(19)));
        assert_eq!(last("2026-11-20T22:59:59Z").await, (0, of(19)));
        assert_eq!(last("2026-11-20T23:00:00Z").await, (1, of(20)));
    });
}

#[test]
fn a_late_uplink_makes_its_month_anew_and_the_next_only_if_it_matters_there() {
    let store = FakeObjects::default();
    block(async {
        fleet(&store).await;
        pass(&store, at(NOW)).await;
        let before = files(&store);
        // The count of an hour that is known already, at half an hour.
        let time = at("2026-10-20T10:30:00Z").unix();
        let late = uplink(1, time + DAY, &[(time, 100 + 5 * 24 + 10)]);
        receive(&store, &[late]).await;
        pass(&store, at(NOW)).await;
        assert_eq!(changed(&before, &files(&store)), months(&["2026-10"]));

        let before = files(&store);
        let time = at("2026-11-03T10:00:00Z").unix();
        receive(&store, &[uplink(2, time, &[(time, 1)])]).await;
        pass(&store, at(NOW)).await;
        // October has a part in it: its sources reach 35 days into November.
        assert!(changed(&before, &files(&store)).is_superset(&months(&["2026-10", "2026-11"])));
        // Its days begin with that reading.
        assert_eq!(rows(&store).iter().filter(|row| row.device == device(2)).count(), 47);
    });
}

#[test]
fn another_assignment_makes_those_months_anew_that_it_is_known_in() {
    let store = FakeObjects::default();
    block(async {
        fleet(&store).await;
        pass(&store, at(NOW)).await;
        let before = files(&store);
        let ends = |to: &str| Assignment { to: Some(at(to)), ..assignment(1, None, "Europe/Brussels") };
        // It ends after the sources of all months.
        assign(&store, &ends("2027-02-10T00:00:00Z")).await;
        assert_eq!(pass(&store, at(NOW)).await.files, 0);
        // The sources of October end with the fifth of December.
        assign(&store, &ends("2026-12-06T00:00:00Z")).await;
        pass(&store, at(NOW)).await;
        assert_eq!(changed(&before, &files(&store)), months(&["2026-11", "2026-12"]));
        let before = files(&store);
        assign(&store, &assignment(2, Some("2026-12-24T00:00:00Z"), "UTC")).await;
        pass(&store, at(NOW)).await;
        assert!(changed(&before, &files(&store)).is_subset(&months(&["2026-11", "2026-12"])));
        assert_eq!(days(&store, &bits(), at(NOW)).plan().await.unwrap(), []);
    });
}

#[test]
fn files_of_other_rules_and_files_that_are_deleted_or_damaged_are_made_again() {
    let store = FakeObjects::default();
    block(async {
        fleet(&store).await;
        pass(&store, at(NOW)).await;
        let all = files(&store);
        let expected = rows(&store);
        for (key, content) in &all {
            store.delete(std::slice::from_ref(key), soon()).await;
            pass(&store, at(NOW)).await;
            assert_eq!(files(&store), all, "{key}");
            store.set(key, content.slice(..content.len() / 2));
            pass(&store, at(NOW)).await;
            assert_eq!(files(&store), all, "{key}");
            let DaysFile { origin, rows, .. } = file::read(content.clone()).unwrap();
            let mut writer = file::DayWriter::new().unwrap();
            for row in &rows {
                writer.push(row, None).unwrap();
            }
            store.set(key, writer.finish(&Origin { rules: "0".to_owned(), ..origin.unwrap() }).unwrap());
            pass(&store, at(NOW)).await;
            assert_eq!(files(&store), all, "{key}");
        }
        assert_eq!(rows(&store), expected);
    });
}

#[test]
fn rows_of_points_that_are_gone_are_gone_too() {
    let store = FakeObjects::default();
    block(async {
        let (_, assigned) = fleet(&store).await;
        pass(&store, at(NOW)).await;
        store.delete(&store.keys(POINTS), soon()).await;
        pass(&store, at(NOW)).await;
        assert_eq!(rows(&store), expected(&[], &assigned, at(NOW)));
    });
}

#[test]
fn a_device_that_has_a_tombstone_gets_no_rows() {
    let store = FakeObjects::default();
    block(async {
        let (uplinks, assigned) = fleet(&store).await;
        tombstones::bury(&store, device(1), At::EPOCH, soon()).await.unwrap();
        pass(&store, at(NOW)).await;
        let others = |of: DeviceId| of != device(1);
        let uplinks: Vec<Uplink> = uplinks.into_iter().filter(|uplink| others(uplink.device)).collect();
        let assigned: Vec<Assignment> = assigned.into_iter().filter(|assignment| others(assignment.device)).collect();
        assert_eq!(rows(&store), expected(&uplinks, &assigned, at(NOW)));
    });
}

#[test]
fn a_run_that_is_killed_anywhere_is_completed_by_the_next_pass() {
    let whole = FakeObjects::default();
    block(async {
        fleet(&whole).await;
        pass(&whole, at(NOW)).await;
    });
    let mut moments = 0;
    loop {
        let store = FakeObjects::default();
        let ended = block(async {
            fleet(&store).await;
            let ended = {
                let life = Life::of(moments);
                let mortal = life.with(&store);
                let run = pass(&mortal, at(NOW));
                tokio::time::timeout(Duration::from_secs(1), run).await.is_ok()
            };
            pass(&store, at(NOW)).await;
            ended
        });
        assert_eq!(files(&store), files(&whole), "killed after {moments} moments");
        if ended {
            break;
        }
        // Most requests are reads of sources; a prime step meets all kinds.
        moments += 101;
    }
    assert!(moments > 200, "{moments}");
}

#[test]
fn of_two_runs_at_once_the_slower_one_replaces_nothing() {
    let store = FakeObjects::default();
    block(async {
        fleet(&store).await;
        let bits = bits();
        let slow = Slow(&store);
        let (slow, other) = (days(&slow, &bits, at("2026-12-01T12:00:00Z")), days(&store, &bits, at(NOW)));
        let (slow, fast) = tokio::join!(slow.run(Partition::ALL), other.run(Partition::ALL));
        assert_eq!((slow.unwrap().files, fast.unwrap().conflicts), (0, 0));
        assert_eq!(days(&store, &bits, at(NOW)).plan().await.unwrap(), []);
    });
}

#[test]
fn a_run_without_time_leaves_the_rest_to_the_next_plan() {
    let store = FakeObjects::default();
    block(async {
        let (uplinks, assigned) = fleet(&store).await;
        let slow = Slow(&store);
        let bits = bits();
        let run = async || {
            let stop = Instant::now() + Duration::from_millis(1_500);
            let days = Days { store: &slow, bits: &bits, now: at(NOW), stop, deadline: soon() };
            let planned = days.plan().await.unwrap();
            match planned.first() {
                Some(partition) => Some(days.run(*partition).await.unwrap()),
                None => None,
            }
        };
        let first = run().await.unwrap();
        assert_eq!(first.files, 2);
        assert!(first.remaining > 0);
        let mut runs = 0;
        while run().await.is_some() {
            runs += 1;
        }
        assert!(runs > 1);
        assert_eq!(rows(&store), expected(&uplinks, &assigned, at(NOW)));
    });
}

#[test]
fn a_source_that_cannot_be_read_holds_up_no_other_partition_and_assignments_are_needed() {
    let store = FakeObjects::default();
    block(async {
        fleet(&store).await;
        store.set("points/day=2026-11-30/03.parquet", "noise");
        let made = pass(&store, at(NOW)).await;
        assert!(made.unreadable > 0 && made.files > 0);
        store.set(&assignments::key_of(device(9)), "noise");
        assert!(days(&store, &bits(), at(NOW)).plan().await.is_err());
    });
}

/// Takes a second for a put.
struct Slow<'a>(&'a FakeObjects);

impl ObjectStore for Slow<'_> {
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        of: Instant,
    ) -> Result<crate::archive::store::Page, StoreError> {
        self.0.list(prefix, after, of).await
    }

    async fn get(
        &self,
        get: crate::archive::store::Get<'_>,
        of: Instant,
    ) -> Result<crate::archive::store::Got, StoreError> {
        self.0.get(get, of).await
    }

    async fn put(&self, key: &str, content: Bytes, condition: Condition<'_>, of: Instant) -> Result<Put, StoreError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.0.put(key, content, condition, of).await
    }

    async fn delete(&self, _: &[String], _: Instant) -> crate::ports::Refused {
        unreachable!("the daily pass deletes nothing")
    }
}
