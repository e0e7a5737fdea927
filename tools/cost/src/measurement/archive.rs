//! The section `archive` of a measurement file. Each number has its own source and date, because they come from different
//! benchmarks: to replace one, edit its `value`, `source` and `date`, and remove `assumed`.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::money::measured;

/// Bounds of bytes and times that cannot be zero, and of those that can. A run of `settle` multiplies several of them, so
/// the bounds are narrower than those of other numbers.
const POSITIVE: (f64, f64) = (1e-6, 1e6);
/// See [`POSITIVE`].
const NATURAL: (f64, f64) = (0.0, 1e6);

/// Bounds of days.
const DAYS: (f64, f64) = (0.0, 366.0);

/// A number, and where it is from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Value {
    /// The number, in the unit of its field.
    pub value: f64,
    /// The measurement, or the reason why the number is assumed.
    pub source: String,
    /// Date of the source, as `2026-11-30`.
    pub date: String,
    /// True if it is not measured.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub assumed: bool,
}

/// Numbers of the archive. A row is an uplink.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Bytes of a row in an object of `new/`.
    pub new_row_bytes: Value,
    /// Bytes of a row in a file of `day/`.
    pub day_row_bytes: Value,
    /// Bytes in `points/` for each row of `day/`.
    pub points_row_bytes: Value,
    /// Objects that an invocation of a raw stage puts.
    pub objects_per_invocation: Value,
    /// Billed milliseconds of an invocation of a raw stage without uplinks: mostly the put.
    pub raw_fixed_ms: Value,
    /// Additional billed milliseconds of it for each uplink.
    pub raw_row_ms: Value,
    /// Microseconds of a processor that `settle` takes for a row of a file that it merges, old or new.
    pub settle_row_us: Value,
    /// Days before today whose files a run of `settle` merges too, mean.
    pub settle_older_days: Value,
    /// Peak memory of `settle` for each row of the file that it merges, bytes.
    pub settle_file_row_memory: Value,
    /// Peak memory of `settle` for each row that it read from `new/`, bytes.
    pub settle_new_row_memory: Value,
    /// Microseconds of a processor that `derive` takes for a row.
    pub derive_row_us: Value,
    /// Days that a run of `derive` makes anew, mean.
    pub derive_days: Value,
    /// Requests by which `derive` finds out that a file did not change.
    pub derive_checks_per_file: Value,
    /// Milliseconds that each of them takes; those made at the same time share them.
    pub derive_check_ms: Value,
    /// Points for each row of `day/`.
    pub points_per_row: Value,
    /// Bytes in `reports/` for each row of `day/`.
    pub reports_row_bytes: Value,
    /// Bytes of a row of `days/`: a meter and a day.
    pub days_row_bytes: Value,
    /// Microseconds of a processor that the daily pass takes for each of these rows, sources included.
    pub days_row_us: Value,
    /// Times a day that the daily pass makes the files of the current month.
    pub days_passes: Value,
    /// Bytes of a meter's assignment.
    pub assignment_bytes: Value,
    /// Memory size of `settle`, `derive` and `days`, MB.
    pub memory_mb: Value,
    /// Milliseconds that `settle`, `derive` and `days` wait for each other request to S3.
    pub request_ms: Value,
    /// Bytes of log of a run of `settle`, `derive` or `days`, with the 26 bytes that `CloudWatch` adds to each line.
    pub run_log_bytes: Value,
    /// Number of distinct metrics in the logs of the archive's stack, in the place of `metrics`.
    pub metrics: Value,
}

impl Value {
    /// The number as a decimal.
    pub fn decimal(&self) -> Decimal {
        measured(self.value)
    }
}

impl Archive {
    /// The values with their names and bounds.
    pub fn by_name(&self) -> [(&'static str, &Value, (f64, f64)); 24] {
        [
            ("new_row_bytes", &self.new_row_bytes, POSITIVE),
            ("day_row_bytes", &self.day_row_bytes, POSITIVE),
            ("points_row_bytes", &self.points_row_bytes, NATURAL),
            ("objects_per_invocation", &self.objects_per_invocation, POSITIVE),
            ("raw_fixed_ms", &self.raw_fixed_ms, super::TIME),
            ("raw_row_ms", &self.raw_row_ms, super::TIME),
            ("settle_row_us", &self.settle_row_us, POSITIVE),
            ("settle_older_days", &self.settle_older_days, DAYS),
            ("settle_file_row_memory", &self.settle_file_row_memory, NATURAL),
            ("settle_new_row_memory", &self.settle_new_row_memory, NATURAL),
            ("derive_row_us", &self.derive_row_us, POSITIVE),
            ("derive_days", &self.derive_days, DAYS),
            ("derive_checks_per_file", &self.derive_checks_per_file, NATURAL),
            ("derive_check_ms", &self.derive_check_ms, NATURAL),
            ("points_per_row", &self.points_per_row, NATURAL),
            ("reports_row_bytes", &self.reports_row_bytes, NATURAL),
            ("days_row_bytes", &self.days_row_bytes, NATURAL),
            ("days_row_us", &self.days_row_us, POSITIVE),
            ("days_passes", &self.days_passes, DAYS),
            ("assignment_bytes", &self.assignment_bytes, NATURAL),
            ("memory_mb", &self.memory_mb, super::MEMORY),
            ("request_ms", &self.request_ms, NATURAL),
            ("run_log_bytes", &self.run_log_bytes, NATURAL),
            ("metrics", &self.metrics, NATURAL),
        ]
    }
}
