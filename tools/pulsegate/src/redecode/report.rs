//! The report of a run, as a table or as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::judge::Finding;
use super::state::State;
use super::tally::{Example, Pair};
use crate::options::Format;
use crate::print;

const OUTCOMES: [Finding; 7] = [
    Finding::Same,
    Finding::Changed,
    Finding::New,
    Finding::Newer,
    Finding::NoLongerDecodable,
    Finding::StillUndecodable,
    Finding::Expired,
];

const HEAD: [&str; 9] =
    ["codec before", "codec now", "same", "changed", "new", "newer", "no longer", "still not", "expired"];

/// Formats the report. The JSON report includes the list of differences.
pub(super) fn print(state: &State, list: Option<Vec<Value>>, format: Format) -> String {
    match format {
        Format::Json => print::json_text(&object(state, list)),
        Format::Table => table(state),
    }
}

fn object(state: &State, list: Option<Vec<Value>>) -> Value {
    let mut pairs = state.tally.pairs.clone();
    pairs.sort_by(|a, b| (&a.before, &a.now).cmp(&(&b.before, &b.now)));
    let mut object = json!({
        "written": state.question.write, "finished": state.is_finished(), "raw_uplinks": state.tally.uplinks,
        "by_codec": pairs,
    });
    for what in OUTCOMES {
        if let Some(name) = json!(what).as_str() {
            object[name.replace('-', "_")] = state.tally.of(what).into();
        }
    }
    if let Some(list) = list {
        object["differences"] = list.into();
    }
    object
}

fn table(state: &State) -> String {
    let mut pairs: Vec<&Pair> = state.tally.pairs.iter().collect();
    pairs.sort_by(|a, b| (&a.before, &a.now).cmp(&(&b.before, &b.now)));
    let row = |pair: &&Pair| {
        let count = |what| pair.counts.get(&what).copied().unwrap_or_default().to_string();
        let [same, changed, new, newer, no_longer, still_not, expired] = OUTCOMES.map(count);
        [pair.before.clone(), pair.now.clone(), same, changed, new, newer, no_longer, still_not, expired]
    };
    let mut text = print::table(&HEAD, &pairs.iter().map(row).collect::<Vec<_>>());
    for example in pairs.iter().flat_map(|pair| &pair.examples) {
        show(&mut text, example);
    }
    text + &last_line(state)
}

fn show(text: &mut String, Example { what, key, why }: &Example) {
    let what = json!(what).as_str().unwrap_or_default().replace('-', " ");
    let _ = writeln!(text, "\n{what}, such as {} {}", print::visible(&key.device), print::visible(&key.uplink));
    for line in why {
        let _ = writeln!(text, "    {}", print::visible(line));
    }
}

fn last_line(state: &State) -> String {
    let [_, changed, new, _, no_longer, _, expired] = OUTCOMES.map(|what| state.tally.of(what));
    let uplinks = state.tally.uplinks;
    let so_far = if state.is_finished() { "" } else { " so far" };
    let done = match (state.question.write, changed + new) {
        (_, 0) => "nothing to write".to_owned(),
        (true, _) => format!("{changed} changed and {new} new items written"),
        (false, _) => format!("nothing written; --write would write {changed} changed and {new} new items"),
    };
    let stays = if no_longer > 0 {
        format!("; {no_longer} no longer decode, and their items were not changed")
    } else {
        String::new()
    };
    let gone = if expired > 0 { format!("; {expired} have no item, which would have expired") } else { String::new() };
    format!("\n{uplinks} raw uplinks{so_far}; {done}{stays}{gone}\n")
}
