//! Shows what rows would change, and writes them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use futures_util::future::ready;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use pulsegate_model::assignment::{Assignment, Assignments};
use pulsegate_pipeline::archive::store::ObjectStore;
use pulsegate_pipeline::archive::{assignments, tombstones};
use serde_json::{Value, json};

use super::plan::{Plan, Planned, plan};
use super::rows::Rows;
use super::{COLUMNS, Fault, deadline};
use crate::options::Format;
use crate::progress::Progress;
use crate::stop::Stop;
use crate::{CommandOutput, Problem, print};

/// Files that are written at once.
const WRITES_AT_ONCE: usize = 8;

/// A change of assignments.
pub(super) struct Change<'a> {
    /// The file or command, for messages.
    pub(super) subject: &'a str,
    /// False: it only shows what it would change.
    pub(super) write: bool,
    /// Output format.
    pub(super) format: Format,
    /// Stop flag.
    pub(super) stop: &'a Stop,
}

impl Change<'_> {
    /// Compares rows with what is stored, and writes them if there is no error.
    pub(super) async fn run<S: ObjectStore>(&self, store: &S, rows: Rows) -> Result<CommandOutput, Problem> {
        let stored = assignments::load(store, deadline()).await?;
        let erased = tombstones::load(store, deadline()).await?;
        let (plan, faults) = plan(&stored, &erased, rows);
        let mut problem = None;
        if !faults.is_empty() {
            problem = Some(Problem::Rejected { subject: self.subject.to_owned(), errors: faults.len() });
        } else if self.write {
            self.write_all(store, &plan).await?;
        }
        let written = self.write && problem.is_none();
        let text = match self.format {
            Format::Json => print::json_text(&object(&plan, &faults, written)),
            Format::Table if problem.is_some() => self.list(&faults),
            Format::Table => table(&plan, written),
        };
        Ok(CommandOutput { text, problem })
    }

    /// Writes the files of all devices, several at once.
    async fn write_all<S: ObjectStore>(&self, store: &S, plan: &Plan) -> Result<(), Problem> {
        let mut files: BTreeMap<String, Vec<&Assignment>> = BTreeMap::new();
        for Planned { row, .. } in &plan.written {
            files.entry(assignments::key_of(row.assignment.device)).or_default().push(&row.assignment);
        }
        let (count, mut progress) = (files.len(), Progress::new());
        let begun = stream::iter(files).take_while(|_| ready(!self.stop.is_requested()));
        let write = async |(key, of_file): (String, Vec<&Assignment>)| {
            assignments::update(store, &key, deadline(), |all| replace(all, &of_file)).await
        };
        let mut done = begun.map(write).buffer_unordered(WRITES_AT_ONCE);
        let mut written = 0;
        while done.try_next().await?.is_some() {
            written += 1;
            progress.report(|_| format!("{written} of {count} files of assignments written"));
        }
        if written == count { Ok(()) } else { Err(Problem::Stopped(": the same command continues")) }
    }

    fn list(&self, faults: &[Fault]) -> String {
        let line = |Fault { line, column, reason }: &Fault| {
            let line = line.map(|line| format!(":{line}")).unwrap_or_default();
            let column = column.as_ref().map(|column| format!(": {column}")).unwrap_or_default();
            print::visible(&format!("{}{line}{column}: {reason}", self.subject)) + "\n"
        };
        faults.iter().map(line).collect()
    }
}

/// Puts assignments in the place of those with the same device, channel and beginning. All of these are removed before one
/// is added: an assignment may begin where another one is to end.
fn replace(all: &mut Assignments, with: &[&Assignment]) -> Result<(), Problem> {
    for assignment in with {
        all.remove(assignment.device, &assignment.channel, assignment.from);
    }
    with.iter().try_for_each(|assignment| all.add((*assignment).clone())).map_err(Problem::Meanwhile)
}

impl Plan {
    fn added(&self) -> usize {
        self.written.iter().filter(|planned| planned.old.is_none()).count()
    }
}

fn object(plan: &Plan, faults: &[Fault], written: bool) -> Value {
    let fault = |Fault { line, column, reason }: &Fault| json!({"line": line, "column": column, "error": reason});
    let change = |Planned { row, old }: &Planned| json!({"line": row.line, "old": old, "new": row.assignment});
    json!({
        "written": written, "added": plan.added(), "changed": plan.written.len() - plan.added(),
        "unchanged": plan.unchanged, "changes": plan.written.iter().map(change).collect::<Vec<_>>(),
        "errors": faults.iter().map(fault).collect::<Vec<_>>(),
    })
}

fn table(plan: &Plan, written: bool) -> String {
    let row = |Planned { row, old }: &Planned| {
        let line = row.line.map_or_else(|| "-".to_owned(), |line| line.to_string());
        let (change, fields) = match old {
            None => ("added", String::new()),
            Some(old) => ("changed", differences(old, &row.assignment)),
        };
        [line, change.to_owned(), row.assignment.to_string(), fields]
    };
    let rows: Vec<_> = plan.written.iter().map(row).collect();
    let mut text = if rows.is_empty() {
        String::new()
    } else {
        print::table(&["line", "change", "assignment", "fields"], &rows) + "\n"
    };
    let (added, unchanged) = (plan.added(), plan.unchanged);
    let changed = plan.written.len() - added;
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{added} added, {changed} changed, {unchanged} unchanged, none removed");
    if !written && !rows.is_empty() {
        text.push_str("nothing was written; --write writes it\n");
    }
    text
}

/// The fields that differ: `litres_per_pulse 1 -> 10, label - -> "Kitchen"`.
fn differences(old: &Assignment, new: &Assignment) -> String {
    let (old, new) = (json!(old), json!(new));
    let text = |value: &Value| if value.is_null() { "-".to_owned() } else { value.to_string() };
    let differing = COLUMNS.into_iter().filter(|column| old[*column] != new[*column]);
    let fields: Vec<String> =
        differing.map(|column| format!("{column} {} -> {}", text(&old[column]), text(&new[column]))).collect();
    fields.join(", ")
}
