//! The settings, checked whole at start.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use shared::config::{ConfigError, Settings};
use shared::device::Network;
use shared::profile::{self, Profile};

use crate::protocol::{self, Open};

/// What `--help` prints.
pub const HELP: &str = "\
udp-bridge: takes the datagrams of NB-IoT meters, puts them to a Kinesis stream, and only then acknowledges the meter.

It takes no arguments but --help and --version. Settings are environment variables:

  STREAM_NAME        the Kinesis stream (required)
  TRUSTED_LISTENERS  PROFILE=ADDRESS[,PROFILE=ADDRESS...]: where the datagrams of a device profile come in, in the
                     clear. Whoever reaches such an address can send in any meter's name: open it to a private APN
                     only. None is open by default. Example: adeunis-pulse4-nbiot=0.0.0.0:7011
  HEALTH_ADDR        address of GET /healthz (default 0.0.0.0:8080)
  LINGER_MS          how long a datagram waits for others to share a request with (default 200)
  DRAIN_SECONDS      how long it may take to finish after SIGTERM (default 25, under the 30 of ECS)
  LOG_LEVEL          TRACE, DEBUG, INFO, WARN or ERROR (default INFO)

and those of every AWS SDK: AWS_REGION, AWS_ENDPOINT_URL, credentials.
";

/// The settings of the bridge.
#[derive(Debug)]
pub struct Config {
    /// `STREAM_NAME`.
    pub stream: String,
    /// `TRUSTED_LISTENERS`.
    pub listeners: Vec<Listener>,
    /// `HEALTH_ADDR`.
    pub health: SocketAddr,
    /// How it takes its time.
    pub pace: Pace,
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
pub struct Listener {
    /// Whose they are.
    pub profile: &'static Profile,
    /// How they are read.
    pub open: Open,
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
    /// An empty list.
    #[error("no listener is named, so nothing could ever arrive")]
    None,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn from_settings(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        const DEFAULT_HEALTH: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 8080);
        Ok(Self {
            stream: settings.required("STREAM_NAME")?,
            listeners: settings.required::<Listeners>("TRUSTED_LISTENERS")?.0,
            health: settings.optional("HEALTH_ADDR")?.unwrap_or(DEFAULT_HEALTH),
            pace: Pace {
                linger: Duration::from_millis(settings.optional("LINGER_MS")?.unwrap_or(200)),
                drain: Duration::from_secs(settings.optional("DRAIN_SECONDS")?.unwrap_or(25)),
            },
        })
    }
}

struct Listeners(Vec<Listener>);

impl FromStr for Listeners {
    type Err = ListenerError;

    fn from_str(text: &str) -> Result<Self, ListenerError> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let listeners = parts.map(str::parse).collect::<Result<Vec<_>, _>>()?;
        if listeners.is_empty() { Err(ListenerError::None) } else { Ok(Self(listeners)) }
    }
}

impl FromStr for Listener {
    type Err = ListenerError;

    fn from_str(text: &str) -> Result<Self, ListenerError> {
        let (name, addr) = text.split_once('=').ok_or_else(|| ListenerError::Form(text.to_owned()))?;
        let (profile, open) = profile::find(Network::Nbiot, name)
            .and_then(|profile| Some((profile, protocol::of(profile)?)))
            .ok_or_else(|| ListenerError::Profile(name.to_owned()))?;
        let addr = addr.parse().map_err(|_| ListenerError::Address(addr.to_owned()))?;
        Ok(Self { profile, open, addr })
    }
}

fn known_profiles() -> String {
    let known = profile::PROFILES.iter().filter(|profile| protocol::of(profile).is_some());
    known.map(|profile| profile.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(listeners: &str) -> Result<Config, ConfigError> {
        let listeners = listeners.to_owned();
        Config::from_settings(&Settings::new(&move |name| match name {
            "STREAM_NAME" => Some("stream".to_owned()),
            "TRUSTED_LISTENERS" => Some(listeners.clone()),
            _ => None,
        }))
    }

    #[test]
    fn listeners_are_read_and_the_rest_has_defaults() {
        let config = read("adeunis-pulse4-nbiot=127.0.0.1:7011, adeunis-pulse4-nbiot-1h=[::1]:7012").unwrap();
        assert_eq!(config.listeners[0].profile.name, "adeunis-pulse4-nbiot");
        assert_eq!(config.listeners[1].addr, "[::1]:7012".parse().unwrap());
        assert_eq!(config.health, "0.0.0.0:8080".parse().unwrap());
        assert_eq!(config.pace.linger, Duration::from_millis(200));
    }

    #[test]
    fn a_wrong_listener_is_named_with_what_is_wrong_about_it() {
        let reason = |listeners| read(listeners).unwrap_err().to_string();
        assert!(reason("").contains("TRUSTED_LISTENERS is not set"));
        assert!(reason(",").contains("no listener is named"));
        assert!(reason("0.0.0.0:7011").contains("PROFILE=ADDRESS"));
        assert!(reason("acme=0.0.0.0:7011").contains("known: adeunis-pulse4-nbiot, adeunis-pulse4-nbiot-1h"));
        assert!(reason("adeunis-pulse-v4=0.0.0.0:7011").contains("not a profile whose datagrams can be read"));
        assert!(reason("adeunis-pulse4-nbiot=7011").contains("not an address"));
    }

    #[test]
    fn help_names_every_setting() {
        let asked = std::cell::RefCell::new(Vec::new());
        let listeners = "adeunis-pulse4-nbiot=127.0.0.1:1";
        let look_up = |name| {
            asked.borrow_mut().push(name);
            Some(
                if name == "TRUSTED_LISTENERS" {
                    listeners
                } else if name == "HEALTH_ADDR" {
                    "127.0.0.1:2"
                } else {
                    "3"
                }
                .to_owned(),
            )
        };
        Config::from_settings(&Settings::new(&look_up)).unwrap();
        for name in asked.borrow().iter() {
            assert!(HELP.contains(name), "{name}");
        }
    }
}
