//! The environment, read once into a checked value. A wrong setting stops the start with one line that names it.

use std::fmt::Display;
use std::str::FromStr;

/// A setting that is absent or wrong.
#[derive(Debug, thiserror::Error, PartialEq)]
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
}

/// The source of settings: the environment, or a list in tests.
pub struct EnvSettings<'a>(&'a dyn Fn(&'static str) -> Option<String>);

impl<'a> EnvSettings<'a> {
    /// Reads settings with `look_up`, by name.
    pub fn new(look_up: &'a dyn Fn(&'static str) -> Option<String>) -> Self {
        Self(look_up)
    }

    /// Returns a setting that must be present.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn required<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<T, ConfigError> {
        self.optional(name)?.ok_or(ConfigError::Missing(name))
    }

    /// Returns a setting that may be absent.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn optional<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<Option<T>, ConfigError> {
        let Some(value) = (self.0)(name).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        value.parse().map(Some).map_err(|e: T::Err| ConfigError::Wrong { name, reason: e.to_string(), value })
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
    /// `RAW_TABLE`.
    pub table: String,
    /// `RAW_RETENTION_DAYS`: the table keeps an uplink for so many days after its arrival.
    pub retention_days: u32,
    /// `PULSE_QUEUE_URL`.
    pub pulse_queue: String,
    /// `QUARANTINE_QUEUE_URL`.
    pub quarantine_queue: String,
}

impl RawConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn from_settings(settings: &EnvSettings<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            table: settings.required("RAW_TABLE")?,
            retention_days: settings.required("RAW_RETENTION_DAYS")?,
            pulse_queue: settings.required("PULSE_QUEUE_URL")?,
            quarantine_queue: settings.required("QUARANTINE_QUEUE_URL")?,
        })
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
    fn a_wrong_setting_is_named_with_its_value_and_the_reason() {
        let expected = "the environment variable DAYS is \"thirty\": invalid digit found in string";
        assert_eq!(read("DAYS", "thirty").unwrap_err().to_string(), expected);
        assert_eq!(read("DAYS", "30"), Ok(30));
    }
}
