//! Counts: exact, or rejected.

use super::*;

#[test]
fn a_count_is_exact_or_refused() {
    let count = |number: Json| {
        let pack = json!([{"n": "A", "u": "count", "v": number}]);
        (json(&pack).ok(), read(&CBOR, &cbor(&pack, true)).ok()).into()
    };
    let both = |count: u64| {
        let reading = |count| Reading {
            frame: "pack",
            channels: [(Channel::A, Series::Ago(vec![(0, count)]))].into(),
            ..Reading::default()
        };
        [Some(reading(count)), Some(reading(count))]
    };
    let exact = 1_u64 << 53;
    let got: [Option<Reading>; 2] = count(json!(exact - 1));
    assert_eq!(got, both(exact - 1));
    assert_eq!(count(json!(12.0)), both(12));
    assert_eq!(count(json!(9_007_199_254_740_991.0)), both(exact - 1));
    // In JSON it may have been rounded before it was written.
    assert_eq!(count(json!(exact)), [None, both(exact)[1].clone()]);
    assert_eq!(count(json!(9_007_199_254_740_992.0)), [None, None]);
    assert_eq!(count(json!(u64::MAX)), [None, both(u64::MAX)[1].clone()]);
    for number in [json!(-1), json!(0.5), json!(1e300), json!(-1e300), json!(2e16)] {
        assert_eq!(count(number.clone()), [None, None], "{number}");
    }
    let reason = refused(&json!([{"n": "A", "u": "count", "v": 0.5}]));
    assert_eq!(reason, "count 0.5 of A is not a whole number of pulses that can be held exactly");
}

#[test]
fn a_sum_is_exact_if_both_its_parts_are() {
    let count = |base: Json, value: Json| {
        let pack = json!([{"n": "A", "u": "count", "bv": base, "v": value}]);
        [json(&pack).is_ok(), read(&CBOR, &cbor(&pack, true)).is_ok()]
    };
    let beyond = 1_i64 << 53;
    assert_eq!(count(json!(1000), json!(234.0)), [true, true]);
    assert_eq!(count(json!(0.5), json!(0.5)), [false, false]);
    assert_eq!(count(json!(1234), json!(1e-20)), [false, false]);
    assert_eq!(count(json!(beyond), json!(-5)), [false, true]);
    assert_eq!(count(json!(beyond - 1), json!(1)), [false, true]);
    assert_eq!(count(json!(9_007_199_254_740_992.0), json!(-5)), [false, false]);
    // With doubles the sum would be one more.
    let pack = json!([{"n": "A", "u": "count", "bv": beyond + 3, "v": -1.0}]);
    let reading = read(&CBOR, &cbor(&pack, true)).unwrap();
    assert_eq!(reading.channels[&Channel::A], Series::Ago(vec![(0, (1 << 53) + 2)]));
}

#[test]
fn a_decimal_fraction_is_a_number() {
    let pack = |exponent: i64, mantissa: i64| {
        let mut e = Encoder::new(Vec::new());
        e.array(1).unwrap().map(3).unwrap().i8(0).unwrap().str("A").unwrap().i8(1).unwrap().str("count").unwrap();
        e.i8(2).unwrap().tag(minicbor::data::IanaTag::Decimal).unwrap().array(2).unwrap();
        e.i64(exponent).unwrap().i64(mantissa).unwrap();
        read(&CBOR, &e.into_writer()).map(|reading| reading.channels[&Channel::A].clone())
    };
    assert_eq!(pack(3, 12), Ok(Series::Ago(vec![(0, 12_000)])));
    assert_eq!(pack(-1, 120), Ok(Series::Ago(vec![(0, 12)])));
    for (exponent, mantissa) in [(-1, 121), (400, 1), (i64::MAX, 1), (0, -1)] {
        assert!(pack(exponent, mantissa).is_err(), "{mantissa}e{exponent}");
    }
    assert_eq!(pack(i64::MIN, 0), Ok(Series::Ago(vec![(0, 0)])));
}
