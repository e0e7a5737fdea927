//! Output as tables, comma-separated values and JSON.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};

use pulsegate_model::at::At;
use pulsegate_model::event::code_name;
use pulsegate_pipeline::downlink::Downlink;
use serde_json::{Value, json};

use crate::Problem;
use crate::options::Format;

const HEAD: [&str; 6] = ["device", "downlink", "data", "state", "valid until", "uplink"];

/// A picture beside or above a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picture {
    /// None.
    None,
    /// Without colours.
    Plain,
    /// With colours.
    Colour,
}

/// Formats downlinks as a table, or as a JSON list of their items, with the state of each.
pub fn downlinks(downlinks: &[Downlink], format: Format, now: At) -> String {
    match format {
        Format::Table => table(&HEAD, &downlinks.iter().map(|downlink| row(downlink, now)).collect::<Vec<_>>()),
        Format::Json => json_text(&downlinks.iter().map(|downlink| object(downlink, now)).collect()),
    }
}

/// Writes to standard output. It ignores a closed pipe.
///
/// # Errors
/// [`Problem::Output`].
pub fn out(text: &str) -> Result<(), Problem> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Problem::Output(e)),
        _ => Ok(()),
    }
}

/// Formats a JSON value with line breaks and indentation.
pub fn json_text(value: &Value) -> String {
    format!("{value:#}\n")
}

fn row(downlink: &Downlink, now: At) -> [String; 6] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let state = downlink.state(now).to_string();
    let refused = downlink.code.filter(|code| *code != 0);
    [
        downlink.device.to_string(),
        downlink.id.to_string(),
        downlink.data.to_string(),
        refused.map_or_else(|| state.clone(), |code| format!("{state} ({code} {})", code_name(code))),
        or_dash(downlink.valid_until.map(|until| until.to_string())),
        or_dash(downlink.uplink.clone()),
    ]
}

fn object(downlink: &Downlink, now: At) -> Value {
    let mut object = json!(downlink);
    object["state"] = downlink.state(now).name().into();
    if let Some(code) = downlink.code {
        object["code_name"] = code_name(code).into();
    }
    object
}

/// Formats rows as a table. It replaces control characters, because cells may contain untrusted data.
pub fn table<const N: usize>(head: &[&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| visible(cell))).collect();
    let head = head.map(str::to_owned);
    let long = |text: &String| text.chars().count();
    let width = |column: usize| rows.iter().chain([&head]).map(|row| long(&row[column])).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    let rule = widths.map(|width| "-".repeat(width));
    let mut text = String::new();
    for row in [&head, &rule].into_iter().chain(&rows) {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

/// The lines of a table of figures: its head and its rows, all of one width. Numbers are right-aligned. It replaces control
/// characters.
pub fn lines<const N: usize>(head: [&str; N], rows: &[[String; N]], is_number: [bool; N]) -> Vec<String> {
    let head = head.map(str::to_owned);
    let all: Vec<[String; N]> =
        [&head].into_iter().chain(rows).map(|row| row.each_ref().map(|cell| visible(cell))).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    let cell = |row: &[String; N], column: usize| {
        let (cell, width) = (&row[column], widths[column]);
        if is_number[column] { format!("{cell:>width$}") } else { format!("{cell:width$}") }
    };
    all.iter().map(|row| (0..N).map(|column| cell(row, column)).collect::<Vec<_>>().join("  ")).collect()
}

/// `95.2 %`, rounded down: what is not all is not shown as all.
pub fn percent(part: u64, whole: u64) -> String {
    let tenths = (u128::from(part) * 1_000).checked_div(u128::from(whole)).unwrap_or(0);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// Comma-separated values with a header, as in RFC 4180.
///
/// # Errors
/// [`Problem::Output`], never in practice.
pub fn csv<const N: usize>(head: &[&str; N], rows: &[[String; N]]) -> Result<String, Problem> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let mut write = || -> csv::Result<()> {
        writer.write_record(head)?;
        rows.iter().try_for_each(|row| writer.write_record(row))
    };
    write().map_err(|e| Problem::Output(e.into()))?;
    let text = writer.into_inner().map_err(|e| Problem::Output(e.into_error()))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Replaces control characters and line ends, which a terminal would interpret.
pub fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_what_a_stranger_sent_moves_the_cursor() {
        let printed = table(&["a", "b"], &[["x\u{1b}[2Jy\n".to_owned(), "\u{e9}\u{9b}".to_owned()]]);
        assert_eq!(printed, "a        b\n-------  --\nx\u{fffd}[2Jy\u{fffd}  \u{e9}\u{fffd}\n");
    }
}
