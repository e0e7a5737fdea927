//! Values at the limits of the format.

use serde_json::json;

use super::tests::{json, read};
use super::*;
use crate::codec::{Channel, Flag, Series};

#[test]
fn a_unit_has_as_many_characters_as_one_may_have_and_no_more() {
    let of = |length: usize| json(&json!([{"n": "a", "u": "x".repeat(length), "v": 1}])).is_ok();
    assert_eq!((of(32), of(33)), (true, false));
}

#[test]
fn a_time_from_2_to_the_28th_on_is_absolute() {
    let of = |time: i64| json(&json!([{"n": "A", "u": "count", "v": 1, "t": time}]));
    assert_eq!(of(1 - (1 << 28)).unwrap().channels[&Channel::A], Series::Ago(vec![((1 << 28) - 1, 1)]));
    // In 1978, from a clock that is not set.
    assert_eq!(of(1 << 28).unwrap().flags, [Flag::ClockNotSet.into()].into());
}

#[test]
fn a_number_in_cbor_may_be_a_float_of_any_width() {
    // [{0: "battery", 1: "V", 2: 3.5}]
    let frame = |number: &[u8]| [b"\x81\xa3\x00\x67battery\x01\x61V\x02", number].concat();
    for number in [&b"\xf9\x43\x00"[..], b"\xfa\x40\x60\x00\x00", b"\xfb\x40\x0c\x00\x00\x00\x00\x00\x00"] {
        assert_eq!(read(&CBOR, &frame(number)).unwrap().battery_mv, Some(3500), "{number:x?}");
    }
}
