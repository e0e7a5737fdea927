//! Holds `docs/downlinks.md` to the code.

use pulsegate_model::event::code_name;
use pulsegate_pipeline::downlink::{Downlink, LEN};

fn page() -> String {
    pulsegate_tests::read("docs/downlinks.md")
}

#[test]
fn the_item_that_the_page_puts_by_hand_is_a_downlink_that_waits() {
    let page = page();
    let json = page.split("--item '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
    let item: pulsegate_aws::items::Item = serde_json::from_str(json).unwrap();
    let downlink: Downlink = serde_dynamo::from_item(item).unwrap();
    assert_eq!(downlink.data.bytes(), [0, 0, 0, 0, 0, 0, 0, 0xFF]);
    assert!(downlink.uplink.is_none() && downlink.is_valid_at("2026-11-27T12:00:00Z".parse().unwrap()));
    assert_eq!(LEN, 8);
}

#[test]
fn the_page_names_every_code() {
    for code in 1..=8 {
        let name = format!("{code} {}", code_name(code));
        assert!(page().contains(&name), "{name}");
    }
}
