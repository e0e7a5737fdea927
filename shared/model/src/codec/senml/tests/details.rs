//! Flags, the battery, and details.

use super::*;

#[test]
fn what_comes_again_under_a_name_is_counted() {
    let reading =
        json(&json!([{"n": "x", "v": 1}, {"n": "y", "v": 2}, {"n": "x", "v": 3}, {"n": "x", "v": 4}])).unwrap();
    let expected = [("x", 1_u8), ("x#2", 3), ("x#3", 4), ("y", 2)];
    assert!(expected.iter().all(|(name, value)| reading.details.get(name) == Some(&(*value).into())), "{reading:?}");
}

#[test]
fn flags_and_the_battery_have_their_places_and_keep_a_time_of_their_own() {
    let reading = json(&json!([
        {"bn": BASE, "n": "leak:A", "vb": true}, {"n": "tamper", "vb": true, "t": -60}, {"n": "dry", "vb": false},
        {"n": "battery", "u": "V", "v": 3.6125}, {"n": "battery", "u": "V", "v": 3.7}, {"n": "lid", "vb": true},
    ]))
    .unwrap();
    assert_eq!(reading.flags, [Flag::Leak.on(Channel::A), Mark::from(Flag::Tamper)].into());
    assert_eq!(reading.battery_mv, Some(3613));
    let details: [(&str, Value); 5] = [
        ("base_name", BASE.into()),
        ("tamper", "true @ -60 s".into()),
        ("dry", false.into()),
        ("battery", "3.7 V".into()),
        ("lid", true.into()),
    ];
    for (name, value) in &details {
        assert_eq!(reading.details.get(name), Some(value), "{name}");
    }
    let others = json!([{"n": "battery", "u": "%EL", "v": 80}, {"n": "solar", "u": "V", "v": 5}]);
    assert_eq!(json(&others).unwrap().battery_mv, None);
    let odd = json(&json!([{"n": "battery", "u": "V", "v": -1}])).unwrap();
    assert_eq!((odd.battery_mv, odd.details.get("battery")), (None, Some(&"-1 V".into())));
}

#[test]
fn sums_and_update_times_are_kept() {
    let reading = json(&json!([
        {"bn": BASE, "bs": 10, "bu": "A", "n": "current", "v": 1.5, "s": 2.5, "ut": 60},
        {"n": "charge", "s": 5}, {"n": "label", "vs": "pump"}, {"n": "huge", "u": "/", "v": 1e300},
    ]))
    .unwrap();
    let details: [(&str, Value); 7] = [
        ("current", "1.5 A".into()),
        ("sum:current", "12.5 A s".into()),
        ("update_time_s:current", "60".into()),
        ("sum:charge", "15 A s".into()),
        ("label", "pump".into()),
        ("huge", "1e300 /".into()),
        ("sum:huge", "10 / s".into()),
    ];
    for (name, value) in &details {
        assert_eq!(reading.details.get(name), Some(value), "{name}");
    }
}
