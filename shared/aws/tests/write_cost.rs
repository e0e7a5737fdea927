//! Holds the tables of `docs/write-cost.md` to the records and items that are written. With `RENEW_DOCS=1` in the environment it
//! renews them.

use std::fmt::Write as _;

use frames::{read, repository};
use pulsegate_aws::items::{Item, item_size, pulse_item};
use pulsegate_model::codec::Channel;
use pulsegate_model::pulse::{self, PulseItem};
use pulsegate_model::record;
use pulsegate_model::uplink::Uplink;
use serde_json::json;

const PAGE: &str = "docs/write-cost.md";
/// DynamoDB bills a put per started KiB (the page has the source).
const WRITE_UNIT: usize = 1024;
/// A count of ten digits, typical for a 32-bit counter after some years at a busy meter.
const COUNT: u32 = 4_000_000_000;

#[test]
fn the_tables_of_the_page_are_what_is_written() {
    let page = with_table(&with_table(&read(PAGE), "days", &days()), "frames", &frames());
    if std::env::var_os("RENEW_DOCS").is_some() {
        std::fs::write(repository(PAGE), &page).unwrap();
    }
    let renew = "RENEW_DOCS=1 cargo test --locked --workspace --test write_cost";
    assert!(page == read(PAGE), "{PAGE} does not match what is written. To renew it: {renew}");
}

/// Returns the page with this table between its markers.
fn with_table(page: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("{PAGE} has no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{PAGE} has no {end}"));
    format!("{before}{begin}{table}{end}{after}")
}

/// Returns a row for every frame of `tests/codecs/`.
fn frames() -> String {
    let mut table = "| frame | payload | record | pulse item | units |\n|---|--:|--:|--:|--:|\n".to_owned();
    for (_, case) in frames::cases() {
        let (uplink, name) = (frames::uplink(&case), case["name"].as_str().unwrap_or_default());
        let pulse =
            pulse::decode(&uplink).map(|item| pulse_item(&item)).map_or("none | 0".to_owned(), |item| cost(&[item]));
        let (payload, record) = (uplink.payload.bytes().len(), records(&[uplink]));
        let _ = writeln!(table, "| `{name}` | {payload} | {record} | {pulse} |");
    }
    table
}

/// Returns a row for every way in which a device can report 24 hourly counts.
fn days() -> String {
    let data = vec![uplink("adeunis-pulse-v4", &format!("4680{COUNT:08x}{COUNT:08x}")); 24];
    let [a, b] = ["5a", "5b"].map(|code| {
        let frame = format!("{code}20{COUNT:08x}{}", "1388".repeat(23));
        uplink("adeunis-pulse4-nbiot-1h", &format!("11223344556677880300000026{frame}"))
    });
    let both = [a.clone(), b.clone()];
    let series = series();
    let rows = [
        ("24 data frames of both channels", &data[..]),
        ("a history frame of one channel", &both[..1]),
        ("two history frames, one for each channel", &both),
        ("13 frames of a series of both channels", &series),
    ];
    let mut table = "| reported in | payloads | records | pulse items | units |\n|---|--:|--:|--:|--:|\n".to_owned();
    for (name, uplinks) in rows {
        let payloads: usize = uplinks.iter().map(|uplink| uplink.payload.bytes().len()).sum();
        let _ = writeln!(table, "| {name} | {payloads} | {} | {} |", records(uplinks), cost(&decoded(uplinks)));
    }
    let _ = writeln!(
        table,
        "| one item of both channels, of a format that has both in a frame | | | {} |",
        cost(&[of_both(&a)])
    );
    table
}

fn uplink(profile: &str, payload: &str) -> Uplink {
    frames::uplink(&json!({"name": "a day", "profile": profile, "hex": payload}))
}

fn pulse_of(uplink: &Uplink) -> PulseItem {
    pulse::decode(uplink).unwrap_or_else(|e| panic!("{e}"))
}

fn decoded(uplinks: &[Uplink]) -> Vec<Item> {
    uplinks.iter().map(|uplink| pulse_item(&pulse_of(uplink))).collect()
}

/// Adds to an item of channel A an equal channel B.
fn of_both(uplink: &Uplink) -> Item {
    let mut item = pulse_of(uplink);
    let counts = item.channels[&Channel::A].clone();
    item.channels.insert(Channel::B, counts);
    pulse_item(&item)
}

/// Returns the bytes of the uplinks' records before compression.
fn records(uplinks: &[Uplink]) -> usize {
    let mut bytes = Vec::new();
    for uplink in uplinks {
        record::encode(uplink, &mut bytes);
    }
    bytes.len()
}

/// Returns the bytes and the write units of all items.
fn cost(items: &[Item]) -> String {
    let sizes = items.iter().map(item_size);
    let units = items.iter().map(|item| item_size(item).div_ceil(WRITE_UNIT));
    format!("{} | {}", sizes.sum::<usize>(), units.sum::<usize>())
}

/// A series of 24 logs, as an Adeunis PULSE of generation V2 sends it.
fn series() -> Vec<Uplink> {
    let payload = |frame: usize| match frame {
        0 => format!("488000{COUNT:08x}{COUNT:08x}"),
        12 => format!("4880{frame:02x}{}", "1388".repeat(2)),
        _ => format!("4880{frame:02x}{}", "1388".repeat(4)),
    };
    (0..13).map(|frame| uplink("adeunis-pulse-v2-1h", &payload(frame))).collect()
}
