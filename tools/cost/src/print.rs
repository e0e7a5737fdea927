//! Tables for people and for programs: terminal, JSON, CSV and Markdown.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, presets};
use serde::{Serialize, Serializer};

/// Output format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For a terminal.
    #[default]
    Table,
    /// A list of objects.
    Json,
    /// Comma-separated values.
    Csv,
    /// For a document.
    Markdown,
}

/// Rows with column names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Title above the table; empty for none.
    pub title: String,
    /// Names of the columns.
    pub head: Vec<String>,
    /// Cells, one for each column. Numbers are in JSON's notation, without thousands separators.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Creates a table without rows.
    pub fn new(title: impl Into<String>, head: &[&str]) -> Self {
        let head = head.iter().map(ToString::to_string).collect();
        Self { title: title.into(), head, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Returns the text, with a line end. Columns of numbers are right-aligned.
    pub fn text(&self, format: Format) -> String {
        match format {
            Format::Table => self.terminal(terminal_width().or(Some(PAPER))),
            Format::Json => json(&Rows(self)),
            Format::Csv => self.csv(),
            Format::Markdown => self.markdown(),
        }
    }

    /// Returns the text for a terminal of `width` columns: long cells are wrapped. `None` means no limit.
    pub fn terminal(&self, width: Option<u16>) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        if let Some(width) = width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        table.set_header(&self.head).add_rows(&self.rows);
        for (index, column) in table.column_iter_mut().enumerate() {
            if self.is_numeric(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let title = if self.title.is_empty() { String::new() } else { format!("{}\n", self.title) };
        format!("{title}{}\n", table.trim_fmt())
    }

    fn markdown(&self) -> String {
        let mut text = if self.title.is_empty() { String::new() } else { format!("**{}**\n\n", self.title) };
        let mut line = |cells: &[String]| {
            let cells: Vec<_> = cells.iter().map(|c| c.replace('|', "\\|").replace('\n', " ")).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        };
        line(&self.head);
        let rule = |index| if self.is_numeric(index) { "--:" } else { "---" }.to_owned();
        line(&(0..self.head.len()).map(rule).collect::<Vec<_>>());
        self.rows.iter().for_each(|row| line(row));
        text
    }

    /// CSV of RFC 4180, but with Unix line ends.
    fn csv(&self) -> String {
        let line = |cells: &Vec<String>| cells.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(",") + "\n";
        std::iter::once(&self.head).chain(&self.rows).map(line).collect()
    }

    /// True if most of a column's cells are numbers.
    fn is_numeric(&self, column: usize) -> bool {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).filter(|c| !is_blank(c));
        let (numbers, others): (Vec<_>, Vec<_>) = cells.partition(|c| is_number(c));
        numbers.len() > others.len()
    }
}

/// Returns several tables as one text; for JSON as one document, a list of titles and rows.
pub fn several(tables: &[Table], format: Format) -> String {
    match format {
        Format::Json => json(&tables.iter().map(Titled).collect::<Vec<_>>()),
        Format::Csv => {
            let titled = |t: &Table| if t.title.is_empty() { t.csv() } else { format!("# {}\n{}", t.title, t.csv()) };
            tables.iter().map(titled).collect::<Vec<_>>().join("\n")
        }
        Format::Table | Format::Markdown => tables.iter().map(|t| t.text(format)).collect::<Vec<_>>().join("\n"),
    }
}

/// Columns of an output that is not a terminal, such as a file or a pager.
const PAPER: u16 = 160;

/// Columns of the terminal, if standard output is one.
fn terminal_width() -> Option<u16> {
    let terminal = console::Term::stdout();
    terminal.is_term().then(|| terminal.size_checked().map(|(_, columns)| columns)).flatten()
}

fn is_blank(cell: &str) -> bool {
    matches!(cell.trim(), "" | "-" | "–" | "—")
}

fn is_number(cell: &str) -> bool {
    let bare = cell.trim().trim_end_matches('%').trim_end();
    bare.parse::<f64>().is_ok_and(f64::is_finite)
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

fn json(value: &impl Serialize) -> String {
    // Maps with string keys always serialize.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// A table as JSON: a list of rows, each an object with the columns in order.
struct Rows<'a>(&'a Table);

/// A table as JSON with its title.
struct Titled<'a>(&'a Table);

struct Object<'a>(&'a [String], &'a [String]);

/// A cell as JSON: a number if it is in JSON's notation, otherwise a string.
struct Cell<'a>(&'a str);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.rows.iter().map(|row| Object(&self.0.head, row)))
    }
}

impl Serialize for Titled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("title", &self.0.title)?;
        map.serialize_entry("rows", &Rows(self.0))?;
        map.end()
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().zip(self.1.iter().map(|cell| Cell(cell))))
    }
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str(self.0) {
            Ok(serde_json::Value::Number(number)) => number.serialize(serializer),
            _ => serializer.serialize_str(self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new("What it costs", &["service", "USD", "part"]);
        table.row(["API, \"HTTP\"", "1347.00", "12.5 %"]);
        table.row(["SQS | Kinesis", "-", "0 %"]);
        table
    }

    #[test]
    fn numbers_stand_to_the_right_and_bars_are_escaped_in_markdown() {
        let expected = "**What it costs**\n\n| service | USD | part |\n| --- | --: | --: |\n\
                        | API, \"HTTP\" | 1347.00 | 12.5 % |\n| SQS \\| Kinesis | - | 0 % |\n";
        assert_eq!(table().text(Format::Markdown), expected);
    }

    #[test]
    fn csv_quotes_what_has_commas_or_quotes() {
        let expected = "service,USD,part\n\"API, \"\"HTTP\"\"\",1347.00,12.5 %\nSQS | Kinesis,-,0 %\n";
        assert_eq!(table().text(Format::Csv), expected);
    }

    #[test]
    fn json_has_numbers_as_numbers_and_the_columns_in_their_order() {
        let text = table().text(Format::Json);
        let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(rows[0]["USD"], serde_json::json!(1347.0));
        assert_eq!((&rows[1]["USD"], &rows[1]["part"]), (&"-".into(), &"0 %".into()));
        assert!(text.find("service") < text.find("USD") && text.find("USD") < text.find("part"), "{text}");
    }

    #[test]
    fn several_tables_are_one_json_document() {
        let text = several(&[table(), table()], Format::Json);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value[1]["title"], "What it costs");
        assert_eq!(value[1]["rows"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_narrow_terminal_gets_no_longer_lines_than_it_has_columns() {
        let mut table = table();
        table.row(["a name that is by far longer than the terminal is wide", "3.00", "1 %"]);
        let lines = |width| {
            let text = table.terminal(width);
            text.lines().skip(1).map(|l| l.chars().count()).max().unwrap()
        };
        assert!(lines(Some(40)) <= 40, "{}", table.terminal(Some(40)));
        assert!(lines(None) > 60);
    }
}
