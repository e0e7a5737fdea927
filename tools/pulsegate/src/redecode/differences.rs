//! The list of differences: one line of JSON per uplink.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Problem;

/// The list, and where it is stored.
#[derive(Debug)]
pub(super) enum DifferenceList {
    /// No list.
    None,
    /// In memory, until it is printed.
    Memory(String),
    /// In a file.
    File { file: File, path: PathBuf },
}

impl DifferenceList {
    /// Opens a new or empty file. An existing list may be the only record of the changes of another run.
    pub(super) fn new(path: &Path) -> Result<Self, Problem> {
        let failed = |e| Problem::File(path.display().to_string(), e);
        let file = File::options().read(true).append(true).create(true).open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > 0 {
            return Err(Problem::NotEmpty(path.display().to_string()));
        }
        Ok(Self::File { file, path: path.to_owned() })
    }

    /// Opens the file of an interrupted run, and truncates it to `bytes`. Later lines belong to a page that is read
    /// again.
    pub(super) fn continued(path: &Path, bytes: u64) -> Result<Self, Problem> {
        let failed = |e| Problem::File(path.display().to_string(), e);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() < bytes {
            let reason = format!("it has {bytes} bytes of {}, but the file is shorter", path.display());
            return Err(Problem::State { path: "given".to_owned(), reason });
        }
        file.set_len(bytes).map_err(failed)?;
        let mut file = file;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Self::File { file, path: path.to_owned() })
    }

    /// Appends lines durably. Returns the length of the list, in bytes.
    pub(super) fn add(&mut self, lines: impl Iterator<Item = Value>) -> Result<u64, Problem> {
        let text: String = lines.flat_map(|line| [line.to_string(), "\n".to_owned()]).collect();
        match self {
            Self::None => Ok(0),
            Self::Memory(all) => {
                all.push_str(&text);
                Ok(all.len() as u64)
            }
            Self::File { file, path } => {
                let mut add = || {
                    if !text.is_empty() {
                        file.write_all(text.as_bytes())?;
                        file.sync_data()?;
                    }
                    file.stream_position()
                };
                add().map_err(|e| Problem::File(path.display().to_string(), e))
            }
        }
    }

    /// Returns the whole list, if there is one.
    pub(super) fn list(&mut self) -> Result<Option<Vec<Value>>, Problem> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Memory(all) => all.clone(),
            Self::File { file, path } => {
                let mut all = String::new();
                let mut read = || {
                    file.rewind()?;
                    file.read_to_string(&mut all)
                };
                read().map_err(|e| Problem::File(path.display().to_string(), e))?;
                all
            }
        };
        Ok(Some(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()))
    }
}
