//! Assignments as text.

use pulsegate_model::assignment::Assignment;
use serde_json::json;

use super::COLUMNS;
use crate::options::{ExportFormat, Format};
use crate::{Problem, print};

/// The columns of a table, which has the device above.
const HEAD: [&str; 10] =
    ["channel", "from", "to", "litres/pulse", "serial", "first index", "last index", "zone", "limit/h", "label, site"];

/// Formats the assignments of a device.
pub(super) fn shown(assignments: &[&Assignment], format: Format) -> String {
    match format {
        Format::Json => print::json_text(&json!(assignments)),
        Format::Table if assignments.is_empty() => String::new(),
        Format::Table => print::table(&HEAD, &assignments.iter().map(|of| row(of)).collect::<Vec<_>>()),
    }
}

/// Formats assignments for files.
///
/// # Errors
/// [`Problem::Output`], never in practice.
pub(super) fn exported<'a>(
    assignments: impl Iterator<Item = &'a Assignment>,
    format: ExportFormat,
) -> Result<String, Problem> {
    match format {
        ExportFormat::Json => Ok(print::json_text(&json!(assignments.collect::<Vec<_>>()))),
        ExportFormat::Csv => print::csv(&COLUMNS, &assignments.map(values).collect::<Vec<_>>()),
    }
}

/// The values of an assignment, in the order of [`COLUMNS`].
fn values(assignment: &Assignment) -> [String; 14] {
    let Assignment { device, channel, from, to, litres_per_pulse, serial, first_index, last_index, .. } = assignment;
    let Assignment { time_zone, q3, max_per_hour, can_reverse, label, site, .. } = assignment;
    [
        device.to_string(),
        channel.to_string(),
        or(from.as_ref(), ""),
        or(to.as_ref(), ""),
        litres_per_pulse.to_string(),
        or(serial.as_ref(), ""),
        or(first_index.as_ref(), ""),
        or(last_index.as_ref(), ""),
        time_zone.to_string(),
        or(q3.as_ref(), ""),
        or(max_per_hour.as_ref(), ""),
        can_reverse.to_string(),
        or(label.as_ref(), ""),
        or(site.as_ref(), ""),
    ]
}

fn row(assignment: &Assignment) -> [String; 10] {
    let names = [&assignment.label, &assignment.site].into_iter().flatten().map(ToString::to_string);
    let names = names.collect::<Vec<_>>().join(", ");
    [
        assignment.channel.to_string(),
        or(assignment.from.as_ref(), "-"),
        or(assignment.to.as_ref(), "-"),
        assignment.litres_per_pulse.to_string(),
        or(assignment.serial.as_ref(), "-"),
        or(assignment.first_index.as_ref(), "-"),
        or(assignment.last_index.as_ref(), "-"),
        assignment.time_zone.to_string(),
        or(assignment.most_per_hour().as_ref(), "-"),
        if names.is_empty() { "-".to_owned() } else { names },
    ]
}

fn or(value: Option<&impl ToString>, none: &str) -> String {
    value.map_or_else(|| none.to_owned(), ToString::to_string)
}
