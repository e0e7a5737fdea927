//! Holds the examples of `docs/data-model.md` to the code's output for the frames that the page names.

use frames::read;
use pulsegate_model::codec::Channel;
use pulsegate_model::merge::Merge;
use pulsegate_model::pulse;
use serde_json::{Value, json};

const PAGE: &str = "docs/data-model.md";

/// Returns the examples, each with the paragraph before it.
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

/// Returns the profile and the frames that a paragraph names.
fn sent(says: &str) -> (&str, Vec<&str>) {
    let mut quoted = says.split('`').skip(1).step_by(2);
    (quoted.next().unwrap_or_else(|| panic!("{PAGE} names no profile: {says}")), quoted.collect())
}

#[test]
fn the_items_of_the_page_are_what_its_frames_become() {
    for (says, item) in &examples()[..2] {
        let (profile, frames) = sent(says);
        assert_eq!(frames.len(), 1, "{PAGE}: {says}");
        let case = json!({"name": PAGE, "profile": profile, "hex": frames[0]});
        assert_eq!(&frames::decode(&case).unwrap(), item);
    }
}

#[test]
fn the_series_of_the_page_is_what_its_frames_become_and_has_the_points_that_it_says() {
    let (says, series) = examples().swap_remove(2);
    let (profile, frames) = sent(&says);
    let (mut merge, parts) = (Merge::default(), series.as_array().unwrap());
    assert_eq!(parts.len(), frames.len(), "{PAGE}: {says}");
    for (part, frame) in parts.iter().zip(frames) {
        let (at, sequence) = part["uplink"].as_str().unwrap().split_once('#').unwrap();
        let mut uplink = frames::uplink(&json!({"name": PAGE, "profile": profile, "hex": frame}));
        (uplink.at, uplink.sequence) = (at.parse().unwrap(), sequence.parse().ok());
        let mut item = pulse::decode(&uplink).unwrap();
        item.channels.remove(&Channel::B);
        assert_eq!(json!({"uplink": item.uplink, "channels": item.channels}), *part);
        merge.add(item).unwrap();
    }
    let points = &merge.points()[&Channel::A];
    let rows: Vec<String> = points.points.iter().map(|point| format!("| {} | {} |\n", point.at, point.index)).collect();
    assert_eq!(rows.len(), 6);
    assert!(read(PAGE).contains(&rows.concat()), "{PAGE} lacks the rows\n{}", rows.concat());
}
