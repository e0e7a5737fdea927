//! Tables, for people on a terminal and for machines.

/// How to print.
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

/// Rows under their heads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Above it.
    pub title: String,
    /// Names of the columns.
    pub head: Vec<String>,
    /// Cells, as many in each as there are names.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// As text, with a line end. Columns of numbers are aligned to the right.
    pub fn text(&self, _format: Format) -> String {
        unimplemented!()
    }
}
