//! The settings of the function.

use std::str::FromStr;
use std::time::Duration;

use pulsegate_pipeline::config::{ConfigError, EnvSettings};

use crate::window::Reach;

/// The settings of the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `SIGFOX_API_URL`.
    pub api: ApiUrl,
    /// `SIGFOX_API_SECRET_ID`: name or ARN of the secret with the API user, `{"login": "...", "password": "..."}`.
    pub secret_id: String,
    /// `SIGFOX_DEVICE_TYPES`: the device types whose missed callbacks are fetched.
    pub device_types: DeviceTypes,
    /// `SETTLE_SECONDS` and `FIRST_LOOK_BACK_HOURS`.
    pub reach: Reach,
    /// `WATERMARK_TABLE`.
    pub watermark_table: String,
    /// `RAW_QUEUE_URL`.
    pub raw_queue: String,
    /// `QUARANTINE_QUEUE_URL`.
    pub quarantine_queue: String,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn from_settings(settings: &EnvSettings<'_>) -> Result<Self, ConfigError> {
        let settle = settings.required::<u32>("SETTLE_SECONDS");
        let first_look_back = settings.required::<u32>("FIRST_LOOK_BACK_HOURS");
        let api = settings.required("SIGFOX_API_URL");
        let secret_id = settings.required("SIGFOX_API_SECRET_ID");
        let device_types = settings.required("SIGFOX_DEVICE_TYPES");
        let watermark_table = settings.required("WATERMARK_TABLE");
        let raw_queue = settings.required("RAW_QUEUE_URL");
        let quarantine_queue = settings.required("QUARANTINE_QUEUE_URL");
        settings.complete()?;
        Ok(Self {
            api: api?,
            secret_id: secret_id?,
            device_types: device_types?,
            reach: Reach {
                settle: Duration::from_secs(settle?.into()),
                first_look_back: Duration::from_hours(first_look_back?.into()),
            },
            watermark_table: watermark_table?,
            raw_queue: raw_queue?,
            quarantine_queue: quarantine_queue?,
        })
    }
}

/// The URL of the Sigfox API: HTTPS, or on this machine, because the credentials are sent to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiUrl(String);

/// Credentials must not be sent to this URL.
#[derive(Debug, thiserror::Error)]
#[error("it begins neither with https:// nor with http://127.0.0.1:")]
pub struct NotSafe;

impl ApiUrl {
    /// The URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApiUrl {
    type Err = NotSafe;

    fn from_str(text: &str) -> Result<Self, NotSafe> {
        let safe = text.starts_with("https://") || text.starts_with("http://127.0.0.1:");
        // The text before an "@" is a user name, and the host follows it.
        if safe && !text.contains('@') { Ok(Self(text.trim_end_matches('/').to_owned())) } else { Err(NotSafe) }
    }
}

/// IDs of device types, as the address bar of the Sigfox back end shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceTypes(Vec<String>);

/// The number of digits of a device type's ID.
const ID_DIGITS: usize = 24;

/// Not a list of device types.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not the ID of a device type: {ID_DIGITS} hex digits, with a comma between two")]
pub struct NotADeviceType(String);

impl DeviceTypes {
    /// The distinct IDs, in lower case.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl FromStr for DeviceTypes {
    type Err = NotADeviceType;

    fn from_str(text: &str) -> Result<Self, NotADeviceType> {
        let mut ids = Vec::new();
        for id in text.split(',').map(|id| id.trim().to_ascii_lowercase()) {
            if id.len() != ID_DIGITS || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(NotADeviceType(id));
            }
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(Self(ids))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_types_are_hex_of_24_digits_and_each_is_asked_for_once() {
        let ids: DeviceTypes =
            "628fd74fb3cabb6565ae81bb, 628FD74FB3CABB6565AE81BB,000000000000000000000001".parse().unwrap();
        assert_eq!(ids.iter().collect::<Vec<_>>(), ["628fd74fb3cabb6565ae81bb", "000000000000000000000001"]);
        for wrong in ["", "1,2", "628fd74fb3cabb6565ae81bb,", "628fd74fb3cabb6565ae81bg", "628fd74f/../../groups/81"] {
            assert!(wrong.parse::<DeviceTypes>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn credentials_go_nowhere_in_the_clear() {
        assert_eq!("https://api.sigfox.com/v2/".parse::<ApiUrl>().unwrap().as_str(), "https://api.sigfox.com/v2");
        assert!("http://127.0.0.1:4000".parse::<ApiUrl>().is_ok());
        for wrong in ["http://api.sigfox.com/v2", "http://127.0.0.1.example.com/", "http://127.0.0.1:1@example.com/"] {
            assert!(wrong.parse::<ApiUrl>().is_err(), "{wrong}");
        }
    }
}
