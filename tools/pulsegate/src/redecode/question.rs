//! Which uplinks are to be decoded again.

use std::path::PathBuf;

use pulsegate_aws::{Part, Scope};
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::options::RedecodeOptions;

/// Which uplinks, and what is done about them. A run can only be continued with the question that it began with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Where they are.
    pub raw_table: String,
    /// What they are compared with.
    pub pulse_table: String,
    /// Scope, if not everybody's.
    pub device: Option<DeviceId>,
    /// From when on.
    pub from: Option<At>,
    /// Until when, which is not in it.
    pub to: Option<At>,
    /// Whether what differs is written.
    pub write: bool,
    /// In how many parts they are read.
    pub segments: u32,
    /// Where to list what differs.
    pub meters: Option<PathBuf>,
}

impl Question {
    /// The question of a command line.
    ///
    /// # Errors
    /// [`Problem`] if it asks for nothing, or does not say where.
    pub fn of(options: &RedecodeOptions) -> Result<Self, Problem> {
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
            raw_table: options.raw_table()?.to_owned(),
            pulse_table: options.pulse_table()?.to_owned(),
            device,
            from,
            to,
            write,
            segments: if device.is_some() { 1 } else { segments },
            meters: meters.clone(),
        })
    }

    /// One of its parts, by its number.
    pub(super) fn part(&self, number: u32) -> Part {
        let scope = match self.device {
            Some(device) => Scope::Device(device),
            None => Scope::Segment { number, of: self.segments },
        };
        Part { scope, from: self.from, to: self.to }
    }
}
