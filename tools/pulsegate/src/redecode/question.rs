//! The uplinks to decode again, and the parameters of a run.

use std::path::PathBuf;

use pulsegate_aws::{Part, Scope};
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::options::RedecodeOptions;

/// The uplinks to decode again, and whether to write. A run can only be resumed with the same values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Table of raw uplinks.
    pub raw_table: String,
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
    /// Number of parts that are read in parallel.
    pub segments: u32,
    /// File for the list of differences.
    pub meters: Option<PathBuf>,
}

impl Question {
    /// Converts the options of a command line.
    ///
    /// # Errors
    /// [`Problem`] if the selection is missing or empty, or a table is missing.
    pub fn of(options: &RedecodeOptions) -> Result<Self, Problem> {
        let [raw_table, pulse_table] = options.tables()?;
        let RedecodeOptions { device, from, to, all, write, segments, ref meters, .. } = *options;
        if device.is_none() && from.is_none() && to.is_none() && !all {
            return Err(Problem::NoQuestion);
        }
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err(Problem::NoSpan { from, to });
        }
        Ok(Self {
            raw_table,
            pulse_table,
            device,
            from,
            to,
            write,
            segments: if device.is_some() { 1 } else { segments },
            meters: meters.clone(),
        })
    }

    /// Returns a part by its number.
    pub(super) fn part(&self, number: u32) -> Part {
        let scope = match self.device {
            Some(device) => Scope::Device(device),
            None => Scope::Segment { number, of: self.segments },
        };
        Part { scope, from: self.from, to: self.to }
    }
}
