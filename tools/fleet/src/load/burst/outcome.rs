//! Result of a burst: tables and verdict.

use crate::Problem;
use crate::load::summary;
use crate::print::{self, Format, Table};
use crate::run::{Burst, Run};

/// Tables of the result.
pub(super) fn text(run: &Run, format: Format) -> String {
    let mut tables = vec![summary::table(run)];
    tables.extend(run.measured.burst.as_ref().map(table));
    print::several(&tables, format)
}

fn table(burst: &Burst) -> Table {
    let rows: Vec<(&str, String)> = vec![
        ("acknowledged", burst.acknowledged.to_string()),
        ("of these durable: in the stream as they were sent", burst.durable.to_string()),
        ("acknowledged, but not durable", burst.lost.to_string()),
        ("durable, but never acknowledged", burst.unacknowledged.to_string()),
        ("redundant copies in the stream", burst.duplicates.to_string()),
        ("in the stream, but not as a meter sent it", burst.strangers.to_string()),
        ("stored by the function on the stream", burst.stored.to_string()),
        ("in the stream, but not stored", burst.unstored.to_string()),
        ("maximum in the bridge: sent, not acknowledged", burst.most(|second| second.in_bridge).to_string()),
        ("maximum in the stream: put, not stored", burst.most(|second| second.in_stream).to_string()),
        ("maximum acknowledged in a second", burst.most(|second| second.acknowledged).to_string()),
        ("objects in the archive", burst.objects.to_string()),
        ("their bytes", burst.object_bytes.to_string()),
        ("shards", burst.shards.to_string()),
        ("invocations", burst.invocations.to_string()),
        ("seconds until the stream was empty", format!("{:.0}", burst.drained_after)),
    ];
    let mut table = Table::new("The burst", &["what", "value"]);
    table.rows = rows.into_iter().map(|(what, value)| vec![what.to_owned(), value]).collect();
    table
}

/// Checks that everything was acknowledged and that every acknowledged message is durable.
pub(super) fn verdict(run: &Run) -> Result<(), Problem> {
    let wrong = broken(run);
    if wrong.is_empty() { Ok(()) } else { Err(Problem::NotAll(wrong.join("; "))) }
}

fn broken(run: &Run) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut count = |count: u64, what: &str| {
        if count > 0 {
            wrong.push(format!("{count} {what}"));
        }
    };
    if let Some(burst) = &run.measured.burst {
        count(burst.lost, "messages were acknowledged, but are not in the stream");
        count(burst.strangers, "pieces of the stream are not what any meter has sent");
        count(burst.unstored, "messages of the stream were not stored");
        count(u64::from(burst.acknowledged == 0), "time that nothing at all was acknowledged");
    }
    count(run.measured.given_up, "messages were given up after all repetitions");
    if !run.measured.complete {
        wrong.push("the run was stopped before its end".to_owned());
    }
    wrong
}
