//! Directory of a run: `run.json` (the spec, the options and the measurements) and `sessions` (two bits of each
//! session: sent, acknowledged). `--resume` and the audit start from these files.
//!
//! Both are written when a run starts and every few seconds after that, `sessions` first. After a kill, unrecorded messages are sent
//! again: the same bytes under the same keys.
//!
//! # Layout
//!
//! - `sessions`: the bits; `measured`: the measurements.

use std::io::Write as _;
use std::path::Path;

use pulsegate_model::at::At;
use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::spec::Spec;

mod measured;
mod sessions;

pub use measured::{Burst, Measured, Second, Volume};
pub use sessions::{Progress, Sessions};

/// Content of `run.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// The fleet.
    pub spec: Spec,
    /// Options of the load generator other than the fleet's, by name, for the report.
    pub options: serde_json::Map<String, serde_json::Value>,
    /// Measurements so far; updated during the run.
    pub measured: Measured,
}

const RUN: &str = "run.json";

impl Run {
    /// True if a directory contains a run.
    pub fn is_in(directory: &Path) -> bool {
        directory.join(RUN).exists()
    }

    /// Reads `run.json`.
    ///
    /// # Errors
    /// [`Problem`] with the name of the file.
    pub fn read(directory: &Path) -> Result<Self, Problem> {
        let file = directory.join(RUN);
        let bytes = std::fs::read(&file).map_err(|e| Problem::File(file.display().to_string(), e))?;
        serde_json::from_slice(&bytes)
            .map_err(|e| Problem::Wrong(format!("{} is not a valid run.json: {e}", file.display())))
    }

    /// When the run began, in real time; `None` if it was recorded without a date.
    pub fn began(&self) -> Option<At> {
        let date: jiff::Timestamp = self.options.get("date")?.as_str()?.parse().ok()?;
        At::from_unix(date.as_second()).ok()
    }

    /// Writes `run.json` atomically.
    ///
    /// # Errors
    /// [`Problem::File`].
    pub fn write(&self, directory: &Path) -> Result<(), Problem> {
        let file = directory.join(RUN);
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|e| Problem::Wrong(format!("{} cannot be written: {e}", file.display())))?;
        bytes.push(b'\n');
        write_whole(&file, &bytes)
    }
}

/// Writes a temporary file and renames it, so that a kill leaves the old file intact. Not synced: runs are stopped by killing the process,
/// not the machine, and the load must not wait for a disk.
fn write_whole(file: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let new = file.with_extension("new");
    let write = || {
        let mut new_file = std::fs::File::create(&new)?;
        new_file.write_all(bytes)?;
        std::fs::rename(&new, file)
    };
    write().map_err(|e| Problem::File(file.display().to_string(), e))
}
