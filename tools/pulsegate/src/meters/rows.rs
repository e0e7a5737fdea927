//! The rows of a file of comma-separated values.

use std::collections::{BTreeMap, BTreeSet};

use csv::ByteRecord;
use pulsegate_model::assignment::{Assignment, AssignmentError, Zone};
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::device::DeviceId;

use super::cell::{Cells, time, truth, whole};
use super::{COLUMNS, Fault};
use crate::options::any_device;

/// The columns that a file must have.
const REQUIRED: [&str; 3] = ["device", "channel", "litres_per_pulse"];

/// The position of each column of the file.
pub(super) type Columns = BTreeMap<&'static str, usize>;

/// An assignment that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// The line of the file.
    pub(super) line: Option<u64>,
    /// The assignment.
    pub(super) assignment: Assignment,
}

/// The key of an assignment: device, channel and beginning.
pub(super) type Key = (DeviceId, Channel, Option<At>);

/// The rows of a file.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Those without an error.
    pub(super) right: Vec<Row>,
    /// The assignments that the others would replace, as far as these can be read. Nothing contradicts these.
    pub(super) replaced: BTreeSet<Key>,
    /// The errors.
    pub(super) faults: Vec<Fault>,
}

/// Reads all rows that are right, and all errors of the others. A file that a spreadsheet wrote may have a byte order mark,
/// CRLF, semicolons instead of commas, and rows of empty fields at its end.
pub(super) fn read(content: &[u8]) -> Rows {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut records = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(content))
        .from_reader(content)
        .into_byte_records()
        // Reading from memory does not fail.
        .map_while(Result::ok)
        .filter(|record| record.iter().any(|field| !field.trim_ascii().is_empty()));
    let mut rows = Rows::default();
    let Some(header) = records.next() else {
        let reason = format!("the file is empty: its first line names the columns, of {}", COLUMNS.join(", "));
        rows.faults.push(Fault { line: Some(1), column: None, reason });
        return rows;
    };
    let columns = columns(&header, &mut rows.faults);
    for record in records {
        match row(&record, header.len(), &columns, &mut rows.faults) {
            Ok(row) => rows.right.push(row),
            Err(key) => rows.replaced.extend(key),
        }
    }
    rows
}

/// A semicolon if the first line has no comma: spreadsheets write it where the comma is in numbers.
fn delimiter(content: &[u8]) -> u8 {
    let mut lines = content.split(|byte| *byte == b'\n');
    let first = lines.find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    if first.contains(&b';') && !first.contains(&b',') { b';' } else { b',' }
}

fn columns(header: &ByteRecord, faults: &mut Vec<Fault>) -> Columns {
    let line = Some(line_of(header));
    let mut columns = Columns::new();
    let mut fault = |column: &str, reason: String| faults.push(Fault { line, column: Some(column.to_owned()), reason });
    for (position, name) in header.iter().enumerate() {
        let name = String::from_utf8_lossy(name.trim_ascii());
        match COLUMNS.into_iter().find(|column| *column == name) {
            None => fault(&name, format!("there is no such column; known are {}", COLUMNS.join(", "))),
            Some(column) => {
                if columns.insert(column, position).is_some() {
                    fault(column, "the column is there twice".to_owned());
                }
            }
        }
    }
    for column in REQUIRED.into_iter().filter(|column| !columns.contains_key(column)) {
        fault(column, "the column is missing".to_owned());
    }
    columns
}

/// Reads a row. If it has an error, returns the assignment that it would replace, if that can be read.
fn row(record: &ByteRecord, width: usize, columns: &Columns, faults: &mut Vec<Fault>) -> Result<Row, Option<Key>> {
    let line = line_of(record);
    let before = faults.len();
    if record.len() != width {
        let reason =
            format!("the row has {} values, and the header {width}; put a value with a comma in quotes", record.len());
        faults.push(Fault { line: Some(line), column: None, reason });
        return Err(None);
    }
    let mut cells = Cells { line, record, columns, faults };
    let device = cells.required("device", any_device);
    let channel: Option<Channel> = cells.required("channel", str::parse);
    let litres_per_pulse = cells.required("litres_per_pulse", str::parse);
    let before_time = cells.faults.len();
    let zone: Option<Zone> = cells.optional("time_zone", str::parse);
    // With a wrong zone, dates are checked all the same.
    let time_zone = zone.unwrap_or_default();
    let from = cells.optional("from", |text| time(text, &time_zone));
    let is_dated = cells.faults.len() == before_time;
    let to = cells.optional("to", |text| time(text, &time_zone));
    let serial = cells.optional("serial", str::parse);
    let first_index = cells.optional("first_index", whole);
    let last_index = cells.optional("last_index", whole);
    let q3 = cells.optional("q3", whole);
    let max_per_hour = cells.optional("max_per_hour", whole);
    let can_reverse = cells.optional("can_reverse", truth).unwrap_or_default();
    let label = cells.optional("label", str::parse);
    let site = cells.optional("site", str::parse);
    let (Some(device), Some(channel)) = (device, channel) else { return Err(None) };
    let key = is_dated.then(|| (device, channel.clone(), from));
    let Some(litres_per_pulse) = litres_per_pulse.filter(|_| cells.faults.len() == before) else { return Err(key) };
    let assignment = Assignment {
        device,
        channel,
        from,
        to,
        litres_per_pulse,
        serial,
        first_index,
        last_index,
        time_zone,
        q3,
        max_per_hour,
        can_reverse,
        label,
        site,
    };
    if let Err(error) = assignment.check() {
        cells.fault::<()>(column_of(&error), error.to_string());
        return Err(key);
    }
    Ok(Row { line: Some(line), assignment })
}

/// The column to correct.
fn column_of(error: &AssignmentError) -> &'static str {
    match error {
        AssignmentError::Span { .. } => "to",
        AssignmentError::FirstIndex => "first_index",
        AssignmentError::LastIndex => "last_index",
    }
}

fn line_of(record: &ByteRecord) -> u64 {
    record.position().map_or(1, csv::Position::line)
}
