use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

mod series;

fn item(uplink: &str, channels: &Value) -> PulseItem {
    let item = json!({
        "device": "sigfox:1A2345", "uplink": uplink, "profile": "acme", "codec": "acme", "codec_version": 1, "frame": "x",
        "counter_bits": 32, "channels": channels,
    });
    serde_json::from_value(item).unwrap()
}

/// An item of 2026-11-20 with counts of channel A.
fn report(time_and_sequence: &str, counts: &Value) -> PulseItem {
    item(&format!("2026-11-20T{time_and_sequence}"), &json!({ "A": counts }))
}

fn of_a(items: impl IntoIterator<Item = PulseItem>) -> Points {
    merge(items).unwrap().remove(&Channel::A).unwrap_or_default()
}

/// Time of day, index and source of every point of channel A.
fn dated(points: &Points) -> Vec<(String, u64, TimeSource)> {
    let day = |at: At| at.to_string().trim_start_matches("2026-11-20T").to_owned();
    points.points.iter().map(|point| (day(point.at), point.index, point.time_source)).collect()
}

fn undated(uplink: &str, indexes: &[u64]) -> Undated {
    let (uplink, indexes) = (format!("2026-11-20T{uplink}"), indexes.to_vec());
    Undated { uplink, indexes, counted: vec![], counter_bits: Some(32) }
}

fn alone(uplink: &str, after_log: u16, increments: &[u32], why: UnanchoredReason) -> Unanchored {
    Unanchored { uplink: format!("2026-11-20T{uplink}"), after_log, increments: increments.to_vec(), why }
}

fn point(index: u64, counter_bits: Option<u8>) -> Point {
    Point { at: At::EPOCH, index, time_source: TimeSource::Device, counter_bits, contradicted: false }
}

#[test]
fn what_two_histories_both_tell_is_one_point_of_the_better_clock() {
    use TimeSource::{Computed, Device, Network};
    let ten = json!({"indexes": [9, 7, 5], "at": "2026-11-20T10:00:00Z", "time_source": "network", "log_period": 3600});
    let nine = json!({"indexes": [7, 5], "at": "2026-11-20T09:00:00Z", "time_source": "network", "log_period": 3600});
    let eight = json!({"indexes": [5], "at": "2026-11-20T08:00:00Z", "time_source": "device"});
    let points = of_a([report("10:00:00Z#3", &ten), report("09:00:00Z#2", &nine), report("08:00:00Z#1", &eight)]);
    let expected = [("08:00:00Z", 5, Device), ("09:00:00Z", 7, Network), ("10:00:00Z", 9, Network)];
    assert_eq!(dated(&points), expected.map(|(at, index, source)| (at.to_owned(), index, source)));
    assert!(points.undated.is_empty() && points.points.iter().all(|point| point.counter_bits == Some(32)));
    assert_eq!([Computed, Network, Device].map(|source| better(source, Network)), [Network, Network, Device]);
}

#[test]
fn what_the_device_dates_itself_is_of_its_clock_throughout() {
    for apart in [json!({"every": 60}), json!({"seconds_before": [60, 120]})] {
        let mut counts = json!({"indexes": [9, 7, 5], "at": "2026-11-20T10:00:00Z", "time_source": "device"});
        counts.as_object_mut().unwrap().extend(apart.as_object().unwrap().clone());
        let points = of_a([report("10:00:00Z#-", &counts)]);
        assert_eq!(points.points.len(), 3);
        assert!(points.points.iter().all(|point| point.time_source == TimeSource::Device));
    }
}

#[test]
fn what_the_device_dates_back_from_the_networks_time_is_computed() {
    let counts = json!({"indexes": [9, 7], "at": "2026-11-20T10:00:00Z", "time_source": "network", "every": 60});
    let points = of_a([report("10:00:00Z#-", &counts)]);
    let sources: Vec<_> = points.points.iter().map(|point| point.time_source).collect();
    assert_eq!(sources, [TimeSource::Computed, TimeSource::Network]);
}

#[test]
fn what_is_counted_in_each_period_anew_is_no_index_and_there_once_for_each() {
    let ten = json!({"counted": [9, 7], "at": "2026-11-20T10:00:00Z", "time_source": "device", "every": 3600});
    let nine = json!({"counted": [7, 8], "at": "2026-11-20T09:00:00Z", "time_source": "device", "every": 3600});
    let eight = json!({"counted": [6], "at": "2026-11-20T08:00:00Z", "time_source": "device"});
    let unknown = json!({"counted": [5]});
    let points = of_a([
        report("10:00:00Z#4", &ten),
        report("09:00:00Z#3", &nine),
        report("08:00:00Z#2", &eight),
        report("07:00:00Z#1", &unknown),
    ]);
    let counted: Vec<_> = points.counted.iter().map(|period| (period.pulses, period.contradicted)).collect();
    assert_eq!(counted, [(6, true), (8, true), (7, false), (9, false)]);
    assert_eq!(points.points, []);
    assert_eq!(points.undated, [Undated { counted: vec![5], ..undated("07:00:00Z#1", &[]) }]);
}

#[test]
fn a_history_without_a_period_gives_one_point_and_the_rest_in_its_order() {
    let counts = json!({"indexes": [9, 7, 5], "at": "2026-11-20T10:00:00Z", "time_source": "network"});
    let points = of_a([report("10:00:00Z#00001", &counts)]);
    assert_eq!(dated(&points), [("10:00:00Z".to_owned(), 9, TimeSource::Network)]);
    assert_eq!(points.undated, [undated("10:00:00Z#00001", &[7, 5])]);
}

#[test]
fn two_indexes_of_one_time_are_both_kept_and_marked() {
    let counts = |index: u64| json!({"indexes": [index], "at": "2026-11-20T10:00:00Z", "time_source": "network"});
    let later = json!({"indexes": [9], "at": "2026-11-20T10:00:01Z", "time_source": "network"});
    let points =
        of_a([report("10:00:00Z#1", &counts(9)), report("10:00:00Z#2", &counts(8)), report("10:00:01Z#3", &later)]);
    let marked: Vec<_> = points.points.iter().map(|point| (point.index, point.contradicted)).collect();
    assert_eq!(marked, [(8, true), (9, true), (9, false)]);
}

#[test]
fn a_width_that_is_told_differently_is_not_known() {
    let counts = json!({"A": {"indexes": [9], "at": "2026-11-20T10:00:00Z", "time_source": "network"}});
    let wide = |uplink: &str, counter_bits| PulseItem { counter_bits, ..item(uplink, &counts) };
    let (unknown, narrow) = (wide("2026-11-20T10:00:00Z#1", None), wide("2026-11-20T10:00:00Z#2", Some(24)));
    assert_eq!(of_a([unknown.clone(), narrow.clone()]).points[0].counter_bits, Some(24));
    let other = wide("2026-11-20T10:00:00Z#3", Some(32));
    assert_eq!(of_a([unknown, narrow, other]).points[0].counter_bits, None);
}

#[test]
fn a_difference_is_modulo_the_width_and_none_where_that_is_not_known() {
    let pulses = |from, to, bits| difference(&point(from, bits), &point(to, bits));
    assert_eq!(pulses(5, 9, Some(32)), Some(4));
    assert_eq!(pulses(0xFFFF_FFFE, 3, Some(32)), Some(5));
    assert_eq!(pulses(u64::MAX, 0, Some(64)), Some(1));
    assert_eq!(pulses(1, 0, Some(1)), Some(1));
    assert_eq!(pulses(5, 9, None), Some(4));
    assert_eq!(pulses(9, 5, None), None);
    assert_eq!(difference(&point(5, Some(24)), &point(9, Some(32))), None);
}

#[test]
fn an_item_of_another_device_or_without_a_key_is_refused_and_changes_nothing() {
    let counts = json!({"indexes": [9], "at": "2026-11-20T10:00:00Z", "time_source": "network"});
    let mut merge = Merge::default();
    merge.add(report("10:00:00Z#1", &counts)).unwrap();
    let before = merge.clone();
    let other = PulseItem { device: "sigfox:2B".parse().unwrap(), ..report("11:00:00Z#1", &counts) };
    let refused = merge.add(other.clone()).unwrap_err();
    assert_eq!(refused.to_string(), "an item of sigfox:2B among those of sigfox:1A2345");
    let mut others = Merge::default();
    others.add(other).unwrap();
    assert_eq!(merge.join(others), Err(refused));
    for key in
        ["", "2026-11-20", "2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z#x", "today#1", "2026-11-20T10:00:00Z#1#data"]
    {
        assert_eq!(merge.add(item(key, &json!({}))), Err(MergeError::Key(SortKeyError(key.to_owned()))));
    }
    assert_eq!(merge, before);
}

#[test]
fn an_uplink_whose_time_was_not_accepted_is_undated_unless_the_same_one_was_accepted() {
    let dated = json!({"indexes": [9], "at": "2026-11-20T10:00:00Z", "time_source": "device"});
    let replayed = report("10:00:00Z#00001u", &json!({"indexes": [9]}));
    assert_eq!(of_a([replayed.clone()]).undated, [undated("10:00:00Z#00001u", &[9])]);
    for accepted in ["10:00:00Z#00002", "10:00:01Z#00001"] {
        assert_eq!(of_a([report(accepted, &dated), replayed.clone()]).undated.len(), 1, "{accepted} is another uplink");
    }
    let points = of_a([replayed, report("10:00:00Z#00001", &dated)]);
    assert_eq!((points.points.len(), points.undated), (1, vec![]));
}

#[test]
fn an_uplink_whose_time_was_not_accepted_does_not_hide_the_one_that_begins_a_series() {
    let first = json!({"indexes": [100], "at": "2026-11-20T10:00:00Z", "time_source": "computed", "log_period": 600, "begins_series": true});
    let more = json!({"increments": [5], "after_log": 1, "log_period": 600, "series": 1});
    let items = [report("10:50:00Z#00001", &first), report("10:50:10Z#00002", &more)];
    let replays = [report("10:50:00Z#00001u", &json!({"indexes": [100], "log_period": 600, "begins_series": true}))];
    assert_eq!(of_a(items.iter().chain(&replays).cloned()), of_a(items));
}

/// Counts of any kind, with so few values that items agree, overlap and contradict each other.
fn any_counts() -> impl Strategy<Value = Value> {
    let time = |hour: u8| format!("2026-11-20T{hour:02}:00:00Z");
    let source = || prop::sample::select(vec!["network", "device", "computed"]);
    let indexes = prop::collection::vec(0..4_u64, 1..4);
    let apart = prop::sample::select(vec![json!({}), json!({"log_period": 3600}), json!({"every": 3600})]);
    let logs = (indexes, 10..13_u8, source(), apart).prop_map(move |(indexes, hour, source, mut counts)| {
        counts["indexes"] = json!(indexes);
        counts["at"] = json!(time(hour));
        counts["time_source"] = json!(source);
        counts
    });
    let counted = (prop::collection::vec(0..4_u64, 1..4), 10..13_u8).prop_map(
        move |(counted, hour)| json!({"counted": counted, "at": time(hour), "time_source": "device", "every": 3600}),
    );
    let first = (0..4_u64, 8..10_u8).prop_map(move |(first, hour)| {
        json!({"indexes": [first], "at": time(hour), "time_source": "computed", "log_period": 3600, "begins_series": true})
    });
    let more = (prop::collection::vec(0..2_u32, 1..3), 1..5_u16, 0..3_u32).prop_map(|(increments, after_log, series)| {
        json!({"increments": increments, "after_log": after_log, "series": series, "log_period": 3600})
    });
    prop_oneof![logs, counted, first, more]
}

fn any_items() -> impl Strategy<Value = Vec<PulseItem>> {
    let channels = prop::collection::btree_map(prop::sample::select(vec!["A", "B"]), any_counts(), 1..3);
    let any_item = (10..13_u8, 0..4_u8, channels).prop_map(|(hour, sequence, channels)| {
        let unset = if sequence == 3 { "u" } else { "" };
        item(&format!("2026-11-20T{hour}:00:00Z#{sequence:05}{unset}"), &json!(channels))
    });
    prop::collection::vec(any_item, 0..12)
}

proptest! {
    #[test]
    fn order_repetition_and_parts_of_the_items_change_nothing(
        (items, shuffled) in any_items().prop_flat_map(|items| {
            let twice: Vec<_> = items.iter().chain(&items).cloned().collect();
            (Just(items), Just(twice).prop_shuffle())
        }),
        parts in prop::collection::vec(0..3_usize, 24),
    ) {
        let expected = merge(items.clone()).unwrap();
        prop_assert_eq!(&merge(shuffled.clone()).unwrap(), &expected);

        let mut merges = [Merge::default(), Merge::default(), Merge::default()];
        for (item, part) in shuffled.into_iter().zip(parts) {
            merges[part].add(item).unwrap();
        }
        let [mut one, two, mut three] = merges;
        // With the parts in either order, and one of them twice.
        three.join(two.clone()).unwrap();
        three.join(one.clone()).unwrap();
        one.join(two.clone()).unwrap();
        one.join(two).unwrap();
        one.join(three.clone()).unwrap();
        prop_assert_eq!(three.points(), expected);
        prop_assert_eq!(one, three);
    }

    #[test]
    fn a_replay_whose_time_is_not_accepted_changes_nothing(
        items in any_items(), replayed in prop::collection::vec(prop::sample::Index::arbitrary(), 0..4), counts in any_counts(),
    ) {
        let items: Vec<_> = items.into_iter().filter(|item| !item.uplink.ends_with('u')).collect();
        let replay = |which: prop::sample::Index| {
            let of = which.get(&items);
            PulseItem { uplink: format!("{}u", of.uplink), ..item(&of.uplink, &json!({ "A": counts, "new": counts })) }
        };
        let replays: Vec<_> = replayed.into_iter().filter(|_| !items.is_empty()).map(replay).collect();
        prop_assert_eq!(merge(replays.into_iter().chain(items.clone())).unwrap(), merge(items).unwrap());
    }

    #[test]
    fn every_index_and_increment_comes_out_as_point_or_apart(items in any_items()) {
        let points = merge(items.clone()).unwrap();
        // True if a series that an item begins has points from log to log with these increments.
        let in_a_series = |points: &Points, channel, counts: &ChannelCounts| items.iter().any(|item: &PulseItem| {
            let anchor = item.channels.get(channel).filter(|counts| counts.begins_series);
            let time = |log: u64| anchor?.at?.checked_add((log - 1) * 3600);
            let at_log = |log: u64| points.points.iter().filter(move |point| Some(point.at) == time(log));
            (u64::from(counts.after_log.unwrap())..).zip(&counts.increments).all(|(log, &increment)| at_log(log).any(|from| {
                at_log(log + 1).any(|to| difference(from, to) == Some(increment.into()))
            }))
        });
        for item in &items {
            for (channel, counts) in &item.channels {
                let points = &points[channel];
                for (index, at) in counts.dated() {
                    let dated = points.points.iter().any(|point| Some(point.at) == at && point.index == index);
                    let undated = points.undated.iter().any(|left| left.uplink == item.uplink && left.indexes.contains(&index));
                    prop_assert!(dated || undated && at.is_none());
                }
                for (pulses, at) in counts.counted_dated() {
                    prop_assert!(points.counted.iter().any(|period| Some(period.at) == at && period.pulses == pulses));
                }
                let left = |left: &Unanchored| left.uplink == item.uplink && left.increments == counts.increments;
                let stands_alone = points.unanchored.iter().any(left);
                prop_assert!(counts.increments.is_empty() || stands_alone || in_a_series(points, channel, counts));
            }
        }
        for points in points.values() {
            let times = |point: &Point| (point.at, point.index);
            prop_assert!(points.points.is_sorted_by(|a, b| times(a) < times(b)));
            for point in &points.points {
                let others = points.points.iter().filter(|other| other.at == point.at).count();
                prop_assert_eq!(point.contradicted, others > 1);
            }
        }
    }
}
