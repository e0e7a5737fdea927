//! The environment, read once into a checked value. Absent and wrong settings stop the start with one line that names all
//! of them.

use std::cell::RefCell;
use std::fmt::Display;
use std::str::FromStr;

use crate::archive::place::PartitionBits;

/// Settings that are absent or wrong.
#[derive(Debug, Clone, thiserror::Error, PartialEq)]
pub enum ConfigError {
    /// Not set, or empty.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// Set to an invalid value.
    #[error("the environment variable {name} is {value:?}: {reason}")]
    Wrong {
        /// The variable.
        name: &'static str,
        /// Its value. This cannot reveal a secret: no secret is configured by value.
        value: String,
        /// Why the value is invalid.
        reason: String,
    },
    /// Several of these.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<Self>),
}

/// The source of settings: the environment, or a list in tests. It remembers which were absent or wrong.
///
/// A configuration first reads all of its settings, then calls [`EnvSettings::complete`].
pub struct EnvSettings<'a> {
    look_up: &'a dyn Fn(&'static str) -> Option<String>,
    errors: RefCell<Vec<ConfigError>>,
}

impl<'a> EnvSettings<'a> {
    /// Reads settings with `look_up`, by name.
    pub fn new(look_up: &'a dyn Fn(&'static str) -> Option<String>) -> Self {
        Self { look_up, errors: RefCell::default() }
    }

    /// Returns a setting that must be present.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn required<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<T, ConfigError> {
        self.optional(name)?.ok_or_else(|| self.remember(ConfigError::Missing(name)))
    }

    /// Returns a setting that may be absent.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn optional<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<Option<T>, ConfigError> {
        let Some(value) = (self.look_up)(name).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        value.parse().map(Some).map_err(|e: T::Err| {
            self.remember(ConfigError::Wrong { name, reason: e.to_string(), value: value.clone() })
        })
    }

    /// Remembers an error, such as a setting that another one makes required.
    pub fn remember(&self, error: ConfigError) -> ConfigError {
        self.errors.borrow_mut().push(error.clone());
        error
    }

    /// Checks that all settings read so far are present and valid.
    ///
    /// # Errors
    /// [`ConfigError`] naming all variables that are not.
    pub fn complete(&self) -> Result<(), ConfigError> {
        let mut errors = self.errors.borrow().clone();
        match errors.pop() {
            None => Ok(()),
            Some(only) if errors.is_empty() => Err(only),
            Some(last) => {
                errors.push(last);
                Err(ConfigError::Several(errors))
            }
        }
    }
}

/// Returns the value of an environment variable.
pub fn environment(name: &'static str) -> Option<String> {
    std::env::var(name).ok()
}

/// Returns the value, or logs the error in one line and exits the process.
pub fn or_exit<T>(result: Result<T, impl std::error::Error + 'static>) -> T {
    result.unwrap_or_else(|e| {
        let cause = std::iter::successors(e.source(), |e| e.source()).map(ToString::to_string).collect::<Vec<_>>();
        tracing::error!(reason = %e, cause = cause.join(": "), "cannot start");
        std::process::exit(1)
    })
}

/// The settings of a `raw-*` function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawConfig {
    /// `ARCHIVE_BUCKET`.
    pub archive_bucket: String,
    /// `PULSE_QUEUE_URL`; absent in a stack without a table of pulses.
    pub pulse_queue: Option<String>,
    /// `QUARANTINE_QUEUE_URL`.
    pub quarantine_queue: String,
}

impl RawConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn from_settings(settings: &EnvSettings<'_>) -> Result<Self, ConfigError> {
        let archive_bucket = settings.required("ARCHIVE_BUCKET");
        let pulse_queue = settings.optional("PULSE_QUEUE_URL");
        let quarantine_queue = settings.required("QUARANTINE_QUEUE_URL");
        settings.complete()?;
        Ok(Self { archive_bucket: archive_bucket?, pulse_queue: pulse_queue?, quarantine_queue: quarantine_queue? })
    }
}

/// The settings of a function that works on the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveConfig {
    /// `ARCHIVE_BUCKET`.
    pub archive_bucket: String,
    /// `PARTITION_BITS`: the number of partitions, by day.
    pub partition_bits: PartitionBits,
}

impl ArchiveConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn from_settings(settings: &EnvSettings<'_>) -> Result<Self, ConfigError> {
        let archive_bucket = settings.required("ARCHIVE_BUCKET");
        let partition_bits = settings.optional("PARTITION_BITS");
        settings.complete()?;
        Ok(Self { archive_bucket: archive_bucket?, partition_bits: partition_bits?.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &'static str, value: &str) -> Result<u32, ConfigError> {
        EnvSettings::new(&|requested| (requested == name).then(|| value.to_owned())).required("DAYS")
    }

    #[test]
    fn an_absent_setting_and_an_empty_one_are_named() {
        assert_eq!(read("OTHER", "30").unwrap_err().to_string(), "the environment variable DAYS is not set");
        assert_eq!(read("DAYS", "").unwrap_err(), ConfigError::Missing("DAYS"));
    }

    #[test]
    fn all_settings_that_are_absent_or_wrong_are_named_at_once() {
        let settings = EnvSettings::new(&|name| (name == "DAYS").then(|| "thirty".to_owned()));
        assert!(settings.required::<u32>("DAYS").is_err());
        assert_eq!(
            RawConfig::from_settings(&settings).unwrap_err().to_string(),
            "the environment variable DAYS is \"thirty\": invalid digit found in string; the environment variable \
             ARCHIVE_BUCKET is not set; the environment variable QUARANTINE_QUEUE_URL is not set"
        );
    }

    #[test]
    fn a_wrong_setting_is_named_with_its_value_and_the_reason() {
        let expected = "the environment variable DAYS is \"thirty\": invalid digit found in string";
        assert_eq!(read("DAYS", "thirty").unwrap_err().to_string(), expected);
        assert_eq!(read("DAYS", "30"), Ok(30));
    }

    #[test]
    fn a_wrong_number_of_partitions_is_named() {
        let settings = |name| Some(if name == "PARTITION_BITS" { "64" } else { "bucket" }.to_owned());
        let error = ArchiveConfig::from_settings(&EnvSettings::new(&settings)).unwrap_err().to_string();
        assert!(error.starts_with(r#"the environment variable PARTITION_BITS is "64": "#), "{error}");
    }

    #[test]
    fn a_bucket_is_required_and_partitions_are_not() {
        let bucket = |name| (name == "ARCHIVE_BUCKET").then(|| "bucket".to_owned());
        let config = ArchiveConfig::from_settings(&EnvSettings::new(&bucket)).unwrap();
        assert_eq!(
            config,
            ArchiveConfig { archive_bucket: "bucket".to_owned(), partition_bits: PartitionBits::default() }
        );
        let error = ArchiveConfig::from_settings(&EnvSettings::new(&|_| None)).unwrap_err();
        assert_eq!(error.to_string(), "the environment variable ARCHIVE_BUCKET is not set");
    }
}
