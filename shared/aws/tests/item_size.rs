//! Sizes of the pulse items that frames become.

use pulsegate_aws::items;
use pulsegate_model::pulse;
use serde_json::{Value, json};

/// Returns the size of a case's pulse item in bytes, as DynamoDB counts them.
fn item_size(case: &Value) -> usize {
    let item = pulse::decode(&frames::uplink(case)).unwrap_or_else(|e| panic!("{}: {e}", case["name"]));
    items::item_size(&items::pulse_item(&item))
}

#[test]
fn every_item_is_one_write_unit() {
    const WRITE_UNIT: usize = 1024;
    for (file, case) in frames::cases().filter(|(_, case)| case["refused"].is_null()) {
        let size = item_size(&case);
        assert!(size <= WRITE_UNIT, "{file}: {} takes {size} bytes", case["name"]);
    }
}

#[test]
fn no_pack_makes_an_item_that_the_database_refuses() {
    /// DynamoDB's limit of an item.
    const LARGEST: usize = 400 * 1024;
    let (number, name, unit) = ("fb81b7a8b57e1f5e3c", hex::encode("n".repeat(128)), hex::encode("u".repeat(32)));
    // The maximum number of records, each with a value, a sum, an update time and a time. Every base name after the
    // first is stored in full each time, and so is the unit.
    let first = format!("a6216178237820{unit}24{number}25{number}221a6b0000000200");
    let second = format!("a4217880{name}020007000620");
    let pack = format!("990200{first}{second}{}", "a3020007000620".repeat(510));
    assert!((3_500..=pulsegate_model::uplink::MAX_PAYLOAD).contains(&(pack.len() / 2)));
    let size = item_size(&json!({"profile": "senml-cbor", "hex": pack}));
    assert!((200_000..LARGEST).contains(&size), "{size}");
}
