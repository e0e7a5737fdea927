//! The files of a run.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::invocations::{self, Functions};
use crate::Problem;
use crate::audit::{self, Audit, NetworkCounts};
use crate::run::Run;

/// A run with its recorded files.
#[derive(Debug)]
pub(super) struct Recorded {
    /// Name of the directory.
    pub(super) name: String,
    pub(super) directory: PathBuf,
    pub(super) run: Run,
    pub(super) audit: Option<Audit>,
    pub(super) functions: Option<Functions>,
}

impl Recorded {
    /// Reads the directories among these paths; a shell's `*` also names files. Sorted by size, then name.
    pub(super) fn read_all(paths: &[PathBuf]) -> Result<Vec<Self>, Problem> {
        let directories = paths.iter().filter(|path| !path.is_file());
        let mut runs: Vec<Self> = directories.map(|path| Self::read(path)).collect::<Result<_, _>>()?;
        if runs.is_empty() {
            return Err(Problem::Wrong("none of these paths is the directory of a run".to_owned()));
        }
        runs.sort_by(|a, b| (a.run.spec.devices, &a.name).cmp(&(b.run.spec.devices, &b.name)));
        Ok(runs)
    }

    fn read(directory: &Path) -> Result<Self, Problem> {
        let name = directory.file_name().unwrap_or(directory.as_os_str()).to_string_lossy().into_owned();
        Ok(Self {
            name,
            directory: directory.to_owned(),
            run: Run::read(directory)?,
            audit: file(&directory.join(audit::FILE))?,
            functions: file(&directory.join(invocations::FILE))?,
        })
    }

    /// Sum of the counts; `None` without an audit of this run alone.
    pub(super) fn counts(&self) -> Option<NetworkCounts> {
        let audit = self.audit.as_ref().filter(|audit| audit.runs.len() == 1)?;
        let mut all = NetworkCounts::default();
        audit.networks.values().for_each(|counts| all.add(counts));
        Some(all)
    }

    /// True if an audit after the end of the run has accounted for everything.
    pub(super) fn is_accounted_for(&self) -> Option<bool> {
        let (audit, counts, measured) = (self.audit.as_ref()?, self.counts()?, &self.run.measured);
        Some(audit.ok && measured.complete && counts.sent == measured.sent)
    }

    /// Seconds until the last first transmission. The time after that is waiting for repetitions.
    pub(super) fn sending(&self) -> f64 {
        let measured = &self.run.measured;
        let last = measured.seconds_sent.iter().rposition(|&sent| sent > 0);
        last.and_then(|last| u32::try_from(last + 1).ok()).map_or(measured.seconds.max(1.0), f64::from)
    }

    /// Mean messages a second during that time.
    #[expect(clippy::cast_precision_loss, reason = "messages of a run")]
    pub(super) fn rate(&self) -> f64 {
        self.run.measured.sent as f64 / self.sending()
    }

    /// An option of the load generator, as text.
    pub(super) fn option(&self, name: &str) -> Option<String> {
        match self.run.options.get(name)? {
            Value::String(text) => Some(text.clone()),
            value => Some(value.to_string()),
        }
    }

    /// Date of the run.
    pub(super) fn day(&self) -> Option<String> {
        let date = self.option("date")?;
        Some(date.split('T').next().unwrap_or_default().to_owned())
    }

    /// The machine, in one line.
    pub(super) fn machine(&self) -> Option<String> {
        let machine = self.run.options.get("machine")?;
        let cores = machine["cores"].as_u64()?;
        let processor = machine["processor"].as_str().unwrap_or("an unknown processor");
        let memory = machine["memory_bytes"].as_u64().map(|bytes| format!(", {} GB of memory", bytes / 1_000_000_000));
        let kernel = machine["kernel"].as_str().map(|kernel| format!(", Linux {kernel}"));
        let (memory, kernel) = (memory.unwrap_or_default(), kernel.unwrap_or_default());
        Some(format!("{cores} cores of {processor}{memory}{kernel}"))
    }
}

fn file<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, Problem> {
    let name = || file.display().to_string();
    match fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| Problem::Wrong(format!("{} is not of this version ({e}); create it again", name()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Problem::File(name(), e)),
    }
}
