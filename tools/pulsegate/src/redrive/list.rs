//! `pulsegate redrive list`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pulsegate_model::at::At;
use pulsegate_model::quarantine::QuarantinedRecord;
use pulsegate_pipeline::ports::{ReceiveQueue, Received};
use serde_json::{Value, json};

use super::walk::Walk;
use super::{MAX_ROWS, Selection};
use crate::options::Format;
use crate::progress::Progress;
use crate::stop::Stop;
use crate::{CommandOutput, Problem, print};

const HEAD: [&str; 6] = ["count", "stage", "codec", "oldest", "example", "reason"];

/// Maximum number of examples of each group in JSON output.
const MAX_EXAMPLES: usize = 3;

/// Key of a group of records: stage, codec with its version, reason. A message that is not a quarantined record has no
/// stage.
type Group = (Option<String>, Option<String>, String);

#[derive(Debug, Default)]
struct Members {
    count: usize,
    oldest: Option<At>,
    examples: Vec<Value>,
}

/// Lists the records in quarantine, without removing them. If quarantine becomes unreadable, the output has the problem
/// beside the records so far.
pub async fn list(
    inbox: &impl ReceiveQueue,
    selection: &Selection,
    format: Format,
    began: u64,
    stop: &Stop,
) -> CommandOutput {
    let mut walk = Walk::new(inbox, began);
    let mut groups: BTreeMap<Group, Members> = BTreeMap::new();
    let mut progress = Progress::new();
    let mut listed = 0_usize;
    let problem = loop {
        if stop.is_requested() {
            break Some(Problem::Stopped(": the list is incomplete"));
        }
        let some = match walk.next().await {
            Ok(Some(some)) => some,
            Ok(None) => break None,
            Err(e) => break Some(e.into()),
        };
        for message in some {
            listed += usize::from(sort_in(&mut groups, &message, selection));
        }
        progress.report(|_| format!("{listed} records so far"));
    };
    walk.end().await;
    let mut groups: Vec<(Group, Members)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, members)| std::cmp::Reverse(members.count));
    let text = match format {
        Format::Json => print::json_text(&groups.iter().map(object).collect()),
        Format::Table => table(&groups, listed),
    };
    CommandOutput { text, problem }
}

/// Adds a message to its group. Returns `false` if it is not selected.
fn sort_in(groups: &mut BTreeMap<Group, Members>, message: &Received, selection: &Selection) -> bool {
    let Received { id, sent, body, .. } = message;
    let sent = At::from_unix_or_millis(i64::try_from(*sent).unwrap_or(i64::MAX)).ok();
    let (group, example) = match QuarantinedRecord::from_message(body) {
        Ok(kept) if !selection.takes(id, &kept) => return false,
        Ok(kept) => {
            let QuarantinedRecord { stage, reason, codec, codec_version, device, uplink, profile, callback, .. } = kept;
            let codec = codec.map(|codec| codec_version.map_or(codec.clone(), |version| format!("{codec} {version}")));
            let example = json!({
                "id": id, "sent": sent, "device": device, "uplink": uplink, "profile": profile, "callback": callback,
                "listener": kept.listener, "sender": kept.sender, "received": kept.received,
            });
            ((Some(stage), codec, reason), example)
        }
        Err(reason) => ((None, None, reason.to_string()), json!({"id": id, "sent": sent})),
    };
    let members = groups.entry(group).or_default();
    members.count += 1;
    members.oldest = [members.oldest, sent].into_iter().flatten().min();
    if members.examples.len() < MAX_EXAMPLES {
        members.examples.push(example);
    }
    true
}

fn object(((stage, codec, reason), members): &(Group, Members)) -> Value {
    let Members { count, oldest, examples } = members;
    json!({
        "stage": stage, "codec": codec, "reason": reason, "count": count, "oldest": oldest, "examples": examples,
    })
}

/// The origin of a datagram, for the reason's column.
fn origin(example: &Value) -> Option<String> {
    let listener = example["listener"].as_str()?;
    Some(format!(" (such as one from {} at {listener})", example["sender"].as_str().unwrap_or("an unknown address")))
}

fn table(groups: &[(Group, Members)], listed: usize) -> String {
    let row = |((stage, codec, reason), members): &(Group, Members)| {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let id = members.examples.first().and_then(|example| example["id"].as_str()).map(str::to_owned);
        [
            members.count.to_string(),
            stage.clone().unwrap_or_else(|| "(not ours)".to_owned()),
            or_dash(codec.clone()),
            or_dash(members.oldest.map(|at| at.to_string())),
            or_dash(id),
            members
                .examples
                .first()
                .and_then(origin)
                .map_or_else(|| reason.clone(), |origin| format!("{reason}{origin}")),
        ]
    };
    let mut text = print::table(&HEAD, &groups.iter().take(MAX_ROWS).map(row).collect::<Vec<_>>());
    if groups.len() > MAX_ROWS {
        let _ = writeln!(text, "and {} more reasons; --format json shows all", groups.len() - MAX_ROWS);
    }
    let _ = writeln!(text, "{listed} messages");
    text
}
