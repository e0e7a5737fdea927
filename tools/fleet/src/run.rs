//! The directory of a run: `run.json` (the spec, how it was sent, and what was measured) and `sessions` (two bits of each
//! session: sent, acknowledged). A run that was killed is gone on with from here, and the audit begins here.
//!
//! Both are written as a run begins and every few seconds from then on, `sessions` first. So what a kill takes with it is sent once
//! more: the same bytes under the same keys.
//!
//! # Layout
//!
//! - `sessions`: the bits; `measured`: what was measured.

use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::spec::Spec;

mod measured;
mod sessions;

pub use measured::{Burst, Measured, Second, Volume};
pub use sessions::{Progress, Sessions};

/// What `run.json` holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// The fleet.
    pub spec: Spec,
    /// How it was sent: the options of the simulator that are not the fleet's, by name, for the report.
    pub options: serde_json::Map<String, serde_json::Value>,
    /// What has been measured so far; renewed as the run goes on.
    pub measured: Measured,
}

const RUN: &str = "run.json";

impl Run {
    /// Whether there is a run in a directory.
    pub fn is_in(directory: &Path) -> bool {
        directory.join(RUN).exists()
    }

    /// Reads `run.json`.
    ///
    /// # Errors
    /// [`Problem`], naming the file.
    pub fn read(directory: &Path) -> Result<Self, Problem> {
        let file = directory.join(RUN);
        let bytes = std::fs::read(&file).map_err(|e| Problem::File(file.display().to_string(), e))?;
        serde_json::from_slice(&bytes)
            .map_err(|e| Problem::Wrong(format!("{} is not what a run writes: {e}", file.display())))
    }

    /// Writes `run.json`, whole or not at all.
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

/// Under another name first, so that who is killed meanwhile leaves the file as it was. Not synced: it is the process that is killed,
/// not the machine, and the fleet must not wait for a disk.
fn write_whole(file: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let new = file.with_extension("new");
    let write = || {
        let mut new_file = std::fs::File::create(&new)?;
        new_file.write_all(bytes)?;
        std::fs::rename(&new, file)
    };
    write().map_err(|e| Problem::File(file.display().to_string(), e))
}
