//! YAML files of the repository, as data.

use serde_json::Value;

/// Reads a file with one document.
pub fn read(path: &str) -> Value {
    frames::yaml::parse(path, &crate::read(path))
}
