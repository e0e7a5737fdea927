//! The settings, checked whole at start.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use shared::config::{ConfigError, Settings};
use shared::device::Network;
use shared::profile::{self, Profile};

use crate::protocol;

/// What `--help` prints.
pub const HELP: &str = "\
udp-bridge: takes the datagrams of NB-IoT meters, puts them to a Kinesis stream, and only then acknowledges the meter.

It takes no arguments but --help and --version. Settings are environment variables; of the listeners, one at least:

  STREAM_NAME            the Kinesis stream (required)
  SEALED_LISTENERS       PROFILE=ADDRESS[,PROFILE=ADDRESS...]: where the datagrams of a device profile come in, each in
                         a sealed envelope, which proves its sender. Example: adeunis-pulse4-nbiot=0.0.0.0:7010
  MASTER_KEYS_SECRET_ID  name or ARN of the secret with the master keys, {\"1\": \"KEY\", ...} (required with sealed ones)
  TRUSTED_LISTENERS      the same, in the clear. Whoever reaches such an address can send in any meter's name: open it to
                         a private APN only. Example: adeunis-pulse4-nbiot=0.0.0.0:7011
  HEALTH_ADDR            address of GET /healthz and /readyz (default 0.0.0.0:8080)
  LINGER_MS              how long a datagram waits for others to share a request with (default 200)
  DRAIN_SECONDS          how long it may take to finish after SIGTERM (default 25, under the 30 of ECS); a second one ends
                         it at once
  LOG_LEVEL              TRACE, DEBUG, INFO, WARN or ERROR (default INFO)

and those of every AWS SDK: AWS_REGION, AWS_ENDPOINT_URL, credentials.
";

/// The settings of the bridge.
#[derive(Debug)]
pub struct Config {
    /// `STREAM_NAME`.
    pub stream: String,
    /// `SEALED_LISTENERS`, if there are any.
    pub sealed: Option<Sealed>,
    /// `TRUSTED_LISTENERS`.
    pub trusted: Vec<Address>,
    /// `HEALTH_ADDR`.
    pub health: SocketAddr,
    /// How it takes its time.
    pub pace: Pace,
}

/// Listeners whose datagrams prove their senders, and what they do it by.
#[derive(Debug)]
pub struct Sealed {
    /// Where they come in.
    pub listeners: Vec<Address>,
    /// `MASTER_KEYS_SECRET_ID`.
    pub master_keys_secret: String,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// `LINGER_MS`.
    pub linger: Duration,
    /// `DRAIN_SECONDS`.
    pub drain: Duration,
}

/// Where the datagrams of one profile come in.
#[derive(Debug, Clone, Copy)]
pub struct Address {
    /// Whose they are.
    pub profile: &'static Profile,
    /// The address.
    pub addr: SocketAddr,
}

/// Not `PROFILE=ADDRESS`.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// No `=`.
    #[error("{0:?} is not of the form PROFILE=ADDRESS")]
    Form(String),
    /// No profile of that name that speaks UDP.
    #[error("{0:?} is not a profile whose datagrams can be read (known: {known})", known = known_profiles())]
    Profile(String),
    /// Not an address with a port.
    #[error("{0:?} is not an address of the form 0.0.0.0:7011 or [::]:7011")]
    Address(String),
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn from_settings(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        const DEFAULT_HEALTH: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 8080);
        let stream = settings.required("STREAM_NAME")?;
        let trusted = settings.optional::<Addresses>("TRUSTED_LISTENERS")?.unwrap_or_default().0;
        let sealed = match settings.optional::<Addresses>("SEALED_LISTENERS")? {
            Some(Addresses(listeners)) => {
                Some(Sealed { listeners, master_keys_secret: settings.required("MASTER_KEYS_SECRET_ID")? })
            }
            None if trusted.is_empty() => return Err(ConfigError::Missing("SEALED_LISTENERS")),
            None => None,
        };
        Ok(Self {
            stream,
            sealed,
            trusted,
            health: settings.optional("HEALTH_ADDR")?.unwrap_or(DEFAULT_HEALTH),
            pace: Pace {
                linger: Duration::from_millis(settings.optional("LINGER_MS")?.unwrap_or(200)),
                drain: Duration::from_secs(settings.optional("DRAIN_SECONDS")?.unwrap_or(25)),
            },
        })
    }
}

#[derive(Default)]
struct Addresses(Vec<Address>);

impl FromStr for Addresses {
    type Err = ListenerError;

    fn from_str(text: &str) -> Result<Self, ListenerError> {
        text.split(',').map(|part| part.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Address {
    type Err = ListenerError;

    fn from_str(text: &str) -> Result<Self, ListenerError> {
        let (name, addr) = text.split_once('=').ok_or_else(|| ListenerError::Form(text.to_owned()))?;
        let profile = profile::find(Network::Nbiot, name)
            .filter(|profile| protocol::of(profile).is_some())
            .ok_or_else(|| ListenerError::Profile(name.to_owned()))?;
        let addr = addr.parse().map_err(|_| ListenerError::Address(addr.to_owned()))?;
        Ok(Self { profile, addr })
    }
}

fn known_profiles() -> String {
    let known = profile::PROFILES.iter().filter(|profile| protocol::of(profile).is_some());
    known.map(|profile| profile.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let stream = ("STREAM_NAME", "stream");
        let settings = [settings, &[stream]].concat();
        Config::from_settings(&Settings::new(&|name| {
            settings.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
        }))
    }

    #[test]
    fn listeners_are_read_and_the_rest_has_defaults() {
        let config = read(&[
            ("TRUSTED_LISTENERS", "adeunis-pulse4-nbiot=127.0.0.1:7011, adeunis-pulse4-nbiot-1h=[::1]:7012"),
            ("SEALED_LISTENERS", "adeunis-pulse4-nbiot=127.0.0.1:7010"),
            ("MASTER_KEYS_SECRET_ID", "keys"),
        ]);
        let config = config.unwrap();
        assert_eq!(config.trusted[0].profile.name, "adeunis-pulse4-nbiot");
        assert_eq!(config.trusted[1].addr, "[::1]:7012".parse().unwrap());
        assert_eq!(config.sealed.unwrap().listeners[0].addr, "127.0.0.1:7010".parse().unwrap());
        assert_eq!(config.health, "0.0.0.0:8080".parse().unwrap());
        assert_eq!(config.pace.linger, Duration::from_millis(200));
    }

    #[test]
    fn a_wrong_listener_is_named_with_what_is_wrong_about_it() {
        let reason = |listeners| read(&[("TRUSTED_LISTENERS", listeners)]).unwrap_err().to_string();
        assert!(reason(",").contains("PROFILE=ADDRESS"));
        assert!(reason("0.0.0.0:7011").contains("PROFILE=ADDRESS"));
        assert!(reason("acme=0.0.0.0:7011").contains("known: adeunis-pulse4-nbiot, adeunis-pulse4-nbiot-1h"));
        assert!(reason("adeunis-pulse-v4=0.0.0.0:7011").contains("not a profile whose datagrams can be read"));
        assert!(reason("adeunis-pulse4-nbiot=7011").contains("not an address"));
    }

    #[test]
    fn no_listener_at_all_and_a_sealed_one_without_keys_stop_the_start() {
        assert_eq!(read(&[]).unwrap_err(), ConfigError::Missing("SEALED_LISTENERS"));
        let sealed = ("SEALED_LISTENERS", "adeunis-pulse4-nbiot=127.0.0.1:7010");
        assert_eq!(read(&[sealed]).unwrap_err(), ConfigError::Missing("MASTER_KEYS_SECRET_ID"));
    }

    #[test]
    fn help_names_every_setting() {
        let asked = std::cell::RefCell::new(Vec::new());
        let look_up = |name: &'static str| {
            asked.borrow_mut().push(name);
            let value = match name {
                "HEALTH_ADDR" => "127.0.0.1:1",
                _ if name.ends_with("LISTENERS") => "adeunis-pulse4-nbiot=127.0.0.1:2",
                _ => "3",
            };
            Some(value.to_owned())
        };
        Config::from_settings(&Settings::new(&look_up)).unwrap();
        assert_eq!(asked.borrow().len(), 7);
        for name in asked.borrow().iter() {
            assert!(HELP.contains(name), "{name}");
        }
    }
}
