//! The uplinks to decode again, and the parameters of a run.

use std::path::PathBuf;

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::options::RedecodeOptions;

/// The uplinks to decode again, and whether to write. A run can only be resumed with the same values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Bucket of the archive.
    pub archive_bucket: String,
    /// Number of the archive's partitions.
    pub partition_bits: String,
    /// Table of pulse items.
    pub pulse_table: String,
    /// Device; `None` for all devices.
    pub device: Option<DeviceId>,
    /// Start of the time span, inclusive.
    pub from: Option<At>,
    /// End of the time span, exclusive.
    pub to: Option<At>,
    /// True if to write differences.
    pub write: bool,
    /// New items expire so many days after the time of their uplink; never if 0.
    pub pulse_retention_days: u32,
    /// Number of files that are read in parallel.
    pub parallel: u32,
    /// File for the list of differences.
    pub meters: Option<PathBuf>,
}

impl Question {
    /// Converts the options of a command line, with the addresses of the archive and of the table.
    ///
    /// # Errors
    /// [`Problem`] if the selection is missing or empty.
    pub(super) fn of(options: &RedecodeOptions, addresses: [String; 3]) -> Result<Self, Problem> {
        let [archive_bucket, partition_bits, pulse_table] = addresses;
        let RedecodeOptions { device, from, to, all, write, parallel, pulse_retention_days, ref meters, .. } = *options;
        if device.is_none() && from.is_none() && to.is_none() && !all {
            return Err(Problem::NoQuestion);
        }
        if let Some(to) = to
            && from.unwrap_or(At::EPOCH) >= to
        {
            return Err(Problem::NoSpan { from: from.unwrap_or(At::EPOCH), to });
        }
        Ok(Self {
            archive_bucket,
            partition_bits,
            pulse_table,
            device,
            from,
            to,
            write,
            pulse_retention_days,
            parallel: if device.is_some() { 1 } else { parallel },
            meters: meters.clone(),
        })
    }

    /// Returns the first and the last time of the span.
    pub(super) fn span(&self) -> (At, At) {
        let last = self.to.map_or(Some(At::MAX), |to| to.checked_sub(1));
        (self.from.unwrap_or(At::EPOCH), last.unwrap_or(At::EPOCH))
    }
}
