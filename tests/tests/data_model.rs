//! The examples of `docs/data-model.md` are what the code makes of the frames that the page names.

use pulsegate_tests::{codecs, read};
use serde_json::{Value, json};
use shared::codec::Channel;
use shared::merge::merge;
use shared::pulse::PulseItem;

const PAGE: &str = "docs/data-model.md";

/// The examples, each with the paragraph before it.
fn examples() -> Vec<(String, Value)> {
    let page = read(PAGE);
    let (_, part) = page.split_once("### Examples\n").unwrap();
    let (part, _) = part.split_once("### ").unwrap();
    let texts: Vec<&str> = part.split("```").collect();
    let example = |pair: &[&str]| {
        let json = pair[1].strip_prefix("json").unwrap_or_else(|| panic!("{PAGE}: {}", pair[1]));
        (pair[0].to_owned(), serde_json::from_str(json).unwrap_or_else(|e| panic!("{PAGE}: {json}: {e}")))
    };
    texts.chunks_exact(2).map(example).collect()
}

#[test]
fn the_items_of_the_page_are_what_its_frames_become() {
    let examples = examples();
    for (says, item) in &examples[..2] {
        let quoted: Vec<&str> = says.split('`').skip(1).step_by(2).collect();
        let [profile, hex] = quoted[..] else { panic!("{PAGE} names profile and frame: {says}") };
        let case = json!({"name": PAGE, "profile": profile, "hex": hex});
        assert_eq!(&codecs::decode(&case).unwrap(), item);
    }
}

#[test]
fn the_series_of_the_page_has_the_points_that_it_says() {
    let (_, series) = examples().swap_remove(2);
    let whole = |part: &Value| {
        let mut item = json!({
            "device": "sigfox:1A2345", "profile": "acme", "codec": "acme", "codec_version": 1, "frame": "x", "counter_bits": 32,
        });
        item.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        serde_json::from_value::<PulseItem>(item).unwrap()
    };
    let points = &merge(series.as_array().unwrap().iter().map(whole)).unwrap()[&Channel::A];
    let rows: Vec<String> = points.points.iter().map(|point| format!("| {} | {} |\n", point.at, point.index)).collect();
    assert_eq!(rows.len(), 6);
    assert!(read(PAGE).contains(&rows.concat()), "{PAGE} has not the rows\n{}", rows.concat());
}
