//! What the whole-path tests share.
//!
//! # Layout
//!
//! - [`template`]: `template.yaml`, as data.
//! - [`events`]: the files of `events/`, by name.
//! - [`contracts`]: what every port promises, held against the fakes and against the real adapters.
//! - [`stack`]: the real template in a local cloud of its own.
//!
//! The tests themselves are in `tests/`: `template`, `template_bridge`, `path`, `bridge` and `contracts` run without a local
//! cloud, `e2e` with one, and `image` with a Docker engine.

pub mod contracts;
pub mod events;
pub mod stack;
pub mod template;

use std::path::PathBuf;

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A file of the repository, read.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}
