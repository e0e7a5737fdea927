//! The values of a row.

use std::str::FromStr;

use csv::ByteRecord;
use jiff::civil::Date;
use pulsegate_model::assignment::Zone;
use pulsegate_model::at::At;
use pulsegate_model::consumption::calendar;

use super::Fault;
use super::rows::Columns;

/// A row that is being read. It collects errors instead of returning them, so that none hides another.
pub(super) struct Cells<'a> {
    pub(super) line: u64,
    pub(super) record: &'a ByteRecord,
    pub(super) columns: &'a Columns,
    pub(super) faults: &'a mut Vec<Fault>,
}

impl Cells<'_> {
    /// The value of a column; `None` if it is blank or wrong.
    pub(super) fn optional<T, E: ToString>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(column)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => self.fault(column, error.to_string()),
        }
    }

    /// The same of a column that must not be blank.
    pub(super) fn required<T, E: ToString>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let index = *self.columns.get(column)?;
        if self.record.get(index).is_some_and(|text| text.trim_ascii().is_empty()) {
            return self.fault(column, "it is empty, and required".to_owned());
        }
        self.optional(column, parse)
    }

    /// Adds an error.
    pub(super) fn fault<T>(&mut self, column: &str, reason: String) -> Option<T> {
        self.faults.push(Fault { line: Some(self.line), column: Some(column.to_owned()), reason });
        None
    }

    fn text(&mut self, column: &'static str) -> Option<String> {
        let index = *self.columns.get(column)?;
        let bytes = self.record.get(index)?.trim_ascii();
        match std::str::from_utf8(bytes) {
            Ok(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Err(_) => self.fault(column, format!("{:?} is not UTF-8", String::from_utf8_lossy(bytes))),
        }
    }
}

/// Parses a time of RFC 3339, or a date: midnight in the zone.
///
/// # Errors
/// A text that says what the time should be.
pub(super) fn time(text: &str, zone: &Zone) -> Result<At, String> {
    let wrong = || {
        format!(
            "{text:?} is neither a date from 1970 on, such as 2026-11-20, nor a time with its offset and without fractions \
             of a second, such as 2026-11-20T09:30:00+01:00"
        )
    };
    let Some(date) = Some(text).filter(|text| text.len() == "2026-11-20".len()) else {
        return text.parse().map_err(|_| wrong());
    };
    date.parse::<Date>().ok().and_then(|date| calendar::start_of(date, zone)).ok_or_else(wrong)
}

/// Parses a whole number.
///
/// # Errors
/// A text that says what the number should be.
pub(super) fn whole<T: FromStr>(text: &str) -> Result<T, String> {
    let bits = size_of::<T>() * 8;
    text.parse().map_err(|_| format!("{text:?} is not a whole number from 0 to 2^{bits} - 1"))
}

/// Parses a truth value.
///
/// # Errors
/// A text that says what the value should be.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}
