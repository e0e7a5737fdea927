//! The meters of a pack.

use super::*;

const OTHER: &str = "nbiot:356850035184603";

const OTHER_BASE: &str = "urn:imei:356850035184603:";

fn heads(pack: &Json) -> Result<Vec<Head>, Undecodable> {
    JSON.identify.unwrap().heads(pack.to_string().as_bytes())
}

fn devices(pack: &Json) -> Vec<String> {
    heads(pack).unwrap().iter().map(|head| head.device.to_string()).collect()
}

/// The counts of a meter, by channel.
fn counts(device: &str, pack: &Json) -> Result<Vec<(String, u64)>, String> {
    let reading = read_of(device, &JSON, pack.to_string().as_bytes()).map_err(|e| e.to_string())?;
    let newest = |series: &Series| match series {
        Series::Ago(counts) => counts[0].1,
        Series::Timed(counts) => counts[0].1,
        other => panic!("{other:?}"),
    };
    Ok(reading.channels.iter().map(|(channel, series)| (channel.to_string(), newest(series))).collect())
}

fn of_a(count: u64) -> Vec<(String, u64)> {
    vec![("A".to_owned(), count)]
}

#[test]
fn the_first_base_name_names_the_meter_wherever_it_is() {
    for pack in [
        json!([{"bn": BASE, "n": "A", "u": "count", "v": 12}]),
        json!([{"bt": NOW}, {"bn": BASE, "n": "A", "u": "count", "v": 12}]),
        json!([{"bt": NOW}, {"bn": "urn:imei:490154203237518", "n": "A", "u": "count", "v": 12}]),
        json!([{"n": "A", "u": "count", "v": 12}, {"bn": BASE, "n": "temp", "u": "Cel", "v": 21}]),
        json!([{"bn": "urn:gsma:imei:49015420-323751-0;svn=07:", "n": "A", "u": "count", "v": 12}]),
        json!([{"bn": "490154203237518:", "n": "A", "u": "count", "v": 12}]),
        // Resolved records have whole names (section 4.6).
        json!([{"n": "urn:imei:490154203237518:A", "u": "count", "v": 12}]),
        json!([{"bn": "urn:imei:", "n": "490154203237518:A", "u": "count", "v": 12}]),
        json!([{"n": "urn:imei:490154203237518", "u": "count", "v": 12}]),
    ] {
        assert_eq!(devices(&pack), [METER], "{pack}");
        assert_eq!(counts(METER, &pack), Ok(of_a(12)), "{pack}");
    }
}

#[test]
fn without_a_meters_name_a_pack_is_nobodys_in_the_clear_and_its_senders_in_an_envelope() {
    let pack = |name: &str| json!([{"bn": name, "n": "A", "u": "count", "v": 12}]);
    for name in ["", "urn:dev:ow:10e2073a01080063:", "urn:dev:DEVEUI:A84041D86182B195:", "490154203237517:"] {
        let reason = heads(&pack(name)).unwrap_err().to_string();
        assert!(reason.starts_with(&format!("{:?} names no meter", name.to_owned() + "A")), "{reason}");
        assert_eq!(counts(METER, &pack(name)), Ok(of_a(12)), "{name}");
    }
    let reason = heads(&pack("urn:imei:000000000000000:")).unwrap_err().to_string();
    assert!(reason.contains("not an IMEI"), "{reason}");
    assert_eq!(heads(&json!([])).unwrap_err().to_string(), "the pack has no record with a value");
}

#[test]
fn a_pack_of_two_meters_is_an_uplink_of_each_and_is_read_as_its_own() {
    let pack = json!([
        {"bt": NOW, "bu": "count"}, {"n": "battery", "u": "V", "v": 3.6},
        {"bn": BASE, "n": "A", "v": 12, "t": -60}, {"n": "A", "v": 11, "t": -120},
        {"bn": OTHER_BASE, "n": "A", "v": 700}, {"n": "B", "v": 70}, {"bn": "sub/", "n": "C", "v": 7},
        {"bn": "URN:IMEI:490154203237518:", "n": "B", "v": 13, "t": -30},
    ]);
    let heads = heads(&pack).unwrap();
    let expected = [(METER, Some(at(NOW))), (OTHER, Some(at(NOW)))];
    assert_eq!(
        heads.iter().map(|head| (head.device.to_string(), head.clock)).collect::<Vec<_>>(),
        expected.map(|(m, c)| (m.to_owned(), c))
    );
    assert!(heads.iter().all(|head| head.sequence == checksum(&[pack.to_string().as_bytes()])));
    assert_eq!(counts(METER, &pack).unwrap(), [("A".to_owned(), 12), ("B".to_owned(), 13)]);
    assert_eq!(counts(OTHER, &pack).unwrap(), [("A".to_owned(), 700), ("B".to_owned(), 70), ("sub/C".to_owned(), 7)]);
    let reading = read_of(OTHER, &JSON, pack.to_string().as_bytes()).unwrap();
    assert_eq!(reading.battery_mv, None, "it belongs to the first meter");
    assert_eq!(reading.details.get("base_name"), Some(&OTHER_BASE.into()));
    assert_eq!(reading.details.get("other_meters"), Some(&1_u8.into()));
    let reason = counts("nbiot:490154203237500", &pack).unwrap_err();
    assert_eq!(reason, "the frame has content of nbiot:490154203237518, and the uplink is of another device");
}

#[test]
fn the_clock_of_a_meter_is_that_of_its_own_records() {
    let pack = json!([
        {"bn": BASE, "n": "A", "u": "count", "v": 12, "t": NOW - 60}, {"n": "A", "u": "count", "v": 12, "t": NOW - 90},
        {"bn": OTHER_BASE, "n": "A", "u": "count", "v": 12},
        {"bn": "urn:dev:mac:0024be804ff1:", "n": "A", "u": "count", "v": 12, "t": 1_276_020_076},
    ]);
    let clocks: Vec<_> = heads(&pack).unwrap().into_iter().map(|head| head.clock).collect();
    assert_eq!(clocks, [Some(at(NOW - 60)), None, Some(at(1_276_020_076))]);
}

#[test]
fn the_trouble_of_a_meters_record_is_its_own() {
    let pack = json!([
        {"bn": BASE, "n": "A", "u": "count", "v": "twelve"}, {"n": "B"},
        {"bn": OTHER_BASE, "n": "A", "u": "count", "v": 700},
    ]);
    assert_eq!(devices(&pack), [METER, OTHER]);
    assert_eq!(counts(METER, &pack).unwrap_err(), "field \"v\" is of another type than RFC 8428 says");
    assert_eq!(counts(OTHER, &pack), Ok(of_a(700)));
    // A base field may be meant for all.
    let pack = json!([{"bn": BASE, "bt": "", "n": "A", "v": 1}, {"bn": OTHER_BASE, "n": "A", "u": "count", "v": 700}]);
    assert!(counts(OTHER, &pack).is_err());
}

#[test]
fn only_a_base_name_of_its_own_is_left_out_of_a_channels_name() {
    let pack = json!([
        {"bn": "urn:imei:490154203237518:1:", "bu": "count", "n": "A", "v": 1},
        {"bn": "urn:gsma:imei:49015420-323751-0:1:", "n": "B", "v": 2},
        {"bn": BASE, "n": "A", "v": 3}, {"bn": "urn:dev:ow:10e2073a01080063:", "n": "A", "v": 4},
    ]);
    let channels = ["A", "B", "urn:dev:ow:10e2073a01080063:A", "urn:imei:490154203237518:A"];
    let expected: Vec<_> =
        channels.into_iter().zip([1, 2, 4, 3]).map(|(name, count)| (name.to_owned(), count)).collect();
    assert_eq!(counts(METER, &pack).unwrap(), expected);
}

#[test]
fn the_meter_does_not_depend_on_the_meaning_of_the_records() {
    let unreadable = json!([{"bn": BASE, "n": "A", "v": "one", "crucial_": 1, "bver": 12}]);
    assert_eq!(devices(&unreadable), [METER]);
    assert_eq!(devices(&json!([{"bn": BASE}, {"bn": OTHER_BASE}])), [METER, OTHER]);
    assert_eq!(devices(&json!([{"bn": BASE}, {"bn": OTHER_BASE, "v": 1}])), [OTHER]);
}
