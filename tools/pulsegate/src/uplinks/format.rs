//! Texts of values, and comma-separated values.

use serde::Serialize;

use crate::Problem;

/// Comma-separated values with a header, as in RFC 4180.
///
/// # Errors
/// [`Problem::Output`], never in practice.
pub(super) fn csv<const N: usize>(head: &[&str; N], rows: &[[String; N]]) -> Result<String, Problem> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let mut write = || -> csv::Result<()> {
        writer.write_record(head)?;
        rows.iter().try_for_each(|row| writer.write_record(row))
    };
    write().map_err(|e| Problem::Output(e.into()))?;
    let text = writer.into_inner().map_err(|e| Problem::Output(e.into_error()))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The name of a value in JSON.
pub(super) fn name(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

/// The text of a value; empty without one.
pub(super) fn or_empty(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
