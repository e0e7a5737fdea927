//! The settings, all checked at start.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use pulsegate_model::device::Network;
use pulsegate_model::profile;
use pulsegate_model::profile::Profile;
use pulsegate_pipeline::config::{ConfigError, EnvSettings};

use crate::protocol::sealed::MasterKeys;
use crate::protocol::{Protocol, Trust};

/// What `--help` prints.
pub const HELP: &str = "\
udp-bridge: receives datagrams of NB-IoT meters, puts them to a Kinesis stream, and only then acknowledges the meter.

It takes no arguments but --help and --version. EnvSettings are environment variables; one listener is required:

  STREAM_NAME            the Kinesis stream (required)
  SEALED_LISTENERS       PROFILE=ADDRESS[,PROFILE=ADDRESS...]: addresses for the datagrams of a device profile, each in a
                         sealed envelope, which authenticates its sender. Example: adeunis-pulse4-nbiot=0.0.0.0:7010
  COAP_LISTENERS         ADDRESS[,ADDRESS...]: addresses for CoAP requests, POST /PROFILE, each with a sealed envelope as
                         its payload. Example: 0.0.0.0:5683
  MASTER_KEYS_SECRET_ID  name or ARN of the secret with the master keys, {\"1\": \"KEY\", ...} (required with either)
  TRUSTED_LISTENERS      as SEALED_LISTENERS, but in the clear. Any host that reaches such an address can send in any
                         meter's name: open it to a private APN only. Example: adeunis-pulse4-nbiot=0.0.0.0:7011,
                         dragino-sw3l-nb=0.0.0.0:7012, senml-cbor=0.0.0.0:7013. Loggers of the profile efento speak CoAP
                         there, to paths of their own. Example: efento=0.0.0.0:5684
  COAP_TRUSTED_LISTENERS as COAP_LISTENERS, but in the clear
  ACKNOWLEDGE            whether datagrams are acknowledged, true or false (default true; CoAP always is)
  HTTP_ADDR              address of GET /healthz, /readyz and /metrics (default 0.0.0.0:8080)
  LINGER_MS              how long a datagram waits for others to share a request with (default 200)
  HOLD_MB                limit of data that is not durable yet; at the limit the sockets are no longer read (default 16).
                         The process takes up to three times as much
  DRAIN_SECONDS          time to finish after SIGTERM (default 25, under the 30 of ECS); a second SIGTERM ends the process
                         at once
  METRICS                where metrics go: cloudwatch writes a line in CloudWatch's embedded metric format to standard
                         output every minute; prometheus does not. GET /metrics has them either way (default cloudwatch)
  LOG_LEVEL              TRACE, DEBUG, INFO, WARN or ERROR (default INFO)

and those of every AWS SDK: AWS_REGION, AWS_ENDPOINT_URL, credentials.
";

/// The settings of the bridge.
#[derive(Debug)]
pub struct Config {
    /// `STREAM_NAME`.
    pub stream: String,
    /// `MASTER_KEYS_SECRET_ID`: set if any listener is sealed.
    pub master_keys_secret: Option<String>,
    /// `HTTP_ADDR`.
    pub http: SocketAddr,
    /// Time and memory limits.
    pub pace: Pace,
    /// `METRICS`.
    pub metrics: MetricsTarget,
    sealed: Vec<Address>,
    trusted: Vec<Address>,
    coap: Vec<SocketAddr>,
    coap_trusted: Vec<SocketAddr>,
    acknowledge: bool,
}

/// Time and memory limits.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// `LINGER_MS`.
    pub linger: Duration,
    /// `DRAIN_SECONDS`.
    pub drain: Duration,
    /// `HOLD_MB`, in bytes.
    pub hold: usize,
    /// How long a put of a datagram is retried. By then its meter has sent it again. Not a setting; tests use a shorter one.
    pub put_timeout: Duration,
}

/// Where metrics go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MetricsTarget {
    /// Lines in CloudWatch's embedded metric format, on standard output.
    #[default]
    CloudWatch,
    /// Prometheus, which fetches them from `GET /metrics`.
    Prometheus,
}

impl FromStr for MetricsTarget {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "cloudwatch" => Ok(Self::CloudWatch),
            "prometheus" => Ok(Self::Prometheus),
            _ => Err("set it to cloudwatch or prometheus"),
        }
    }
}

/// The address for the datagrams of one profile.
#[derive(Debug, Clone, Copy)]
pub struct Address {
    /// The profile.
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
    pub fn from_settings(settings: &EnvSettings<'_>) -> Result<Self, ConfigError> {
        const DEFAULT_HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);
        let stream = settings.required("STREAM_NAME");
        let sealed = settings.optional("SEALED_LISTENERS").map(all);
        let trusted = settings.optional("TRUSTED_LISTENERS").map(all);
        let coap = settings.optional("COAP_LISTENERS").map(all);
        let coap_trusted = settings.optional("COAP_TRUSTED_LISTENERS").map(all);
        let acknowledge = settings.optional("ACKNOWLEDGE");
        let master_keys_secret: Result<Option<String>, _> = settings.optional("MASTER_KEYS_SECRET_ID");
        let http = settings.optional("HTTP_ADDR");
        let metrics = settings.optional("METRICS");
        let linger = settings.optional("LINGER_MS");
        let drain = settings.optional("DRAIN_SECONDS");
        let hold = settings.optional::<Megabytes>("HOLD_MB");
        let needs_keys = is_set(&sealed) || is_set(&coap);
        if needs_keys && matches!(master_keys_secret, Ok(None)) {
            settings.remember(ConfigError::Missing("MASTER_KEYS_SECRET_ID"));
        }
        if !needs_keys && !is_set(&trusted) && !is_set(&coap_trusted) {
            settings.remember(ConfigError::Missing("SEALED_LISTENERS"));
        }
        settings.complete()?;
        Ok(Self {
            stream: stream?,
            sealed: sealed?,
            trusted: trusted?,
            coap: coap?,
            coap_trusted: coap_trusted?,
            acknowledge: acknowledge?.unwrap_or(true),
            master_keys_secret: master_keys_secret?,
            http: http?.unwrap_or(DEFAULT_HTTP),
            metrics: metrics?.unwrap_or_default(),
            pace: Pace {
                linger: Duration::from_millis(linger?.unwrap_or(200)),
                drain: Duration::from_secs(drain?.unwrap_or(25)),
                hold: hold?.unwrap_or(Megabytes(16)).bytes(),
                put_timeout: Duration::from_secs(10),
            },
        })
    }

    /// True if a listener is sealed.
    pub fn needs_keys(&self) -> bool {
        !(self.sealed.is_empty() && self.coap.is_empty())
    }

    /// The addresses with their protocols. `keys` are required if a listener is sealed.
    pub fn listeners(&self, keys: Option<&MasterKeys>) -> Vec<(SocketAddr, Protocol)> {
        let mut listeners = Vec::new();
        if let Some(keys) = keys {
            let trust = Trust::Sealed(keys.clone());
            let datagram = |at: &Address| {
                let (profile, trust) = (at.profile, trust.clone());
                (at.addr, Protocol::Datagram { profile, trust, acknowledge: self.acknowledge })
            };
            listeners.extend(self.sealed.iter().map(datagram));
            listeners.extend(self.coap.iter().map(|&addr| (addr, Protocol::Coap(trust.clone()))));
        }
        let in_the_clear = |at: &Address| (at.addr, Protocol::in_the_clear(at.profile, self.acknowledge));
        listeners.extend(self.trusted.iter().map(in_the_clear));
        listeners.extend(self.coap_trusted.iter().map(|&addr| (addr, Protocol::Coap(Trust::InTheClear))));
        listeners
    }
}

/// Megabytes, one at least.
struct Megabytes(usize);

impl Megabytes {
    fn bytes(self) -> usize {
        self.0.saturating_mul(1024 * 1024)
    }
}

impl FromStr for Megabytes {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.parse::<std::num::NonZeroUsize>()?.get()))
    }
}

/// A list, separated by commas.
struct List<T>(Vec<T>);

/// Returns the members of a list; none if the setting is absent.
fn all<T>(list: Option<List<T>>) -> Vec<T> {
    list.map(|list| list.0).unwrap_or_default()
}

/// Returns `true` if a list has members. A wrong setting has some too: it is not absent.
fn is_set<T, E>(list: &Result<Vec<T>, E>) -> bool {
    list.as_ref().map_or(true, |list| !list.is_empty())
}

impl<T: FromStr> FromStr for List<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        text.split(',').map(|part| part.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Address {
    type Err = ListenerError;

    fn from_str(text: &str) -> Result<Self, ListenerError> {
        let (name, addr) = text.split_once('=').ok_or_else(|| ListenerError::Form(text.to_owned()))?;
        let profile = profile::find(Network::Nbiot, name)
            .filter(|profile| profile.codec.identify.is_some())
            .ok_or_else(|| ListenerError::Profile(name.to_owned()))?;
        let addr = addr.parse().map_err(|_| ListenerError::Address(addr.to_owned()))?;
        Ok(Self { profile, addr })
    }
}

fn known_profiles() -> String {
    let known = profile::PROFILES.iter().filter(|profile| profile.codec.identify.is_some());
    known.map(|profile| profile.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let stream = ("STREAM_NAME", "stream");
        let settings = [settings, &[stream]].concat();
        Config::from_settings(&EnvSettings::new(&|name| {
            settings.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
        }))
    }

    #[test]
    fn listeners_are_read_and_the_rest_has_defaults() {
        let config = read(&[
            ("TRUSTED_LISTENERS", "adeunis-pulse4-nbiot=127.0.0.1:7011, adeunis-pulse4-nbiot-1h=[::1]:7012"),
            ("SEALED_LISTENERS", "adeunis-pulse4-nbiot=127.0.0.1:7010"),
            ("COAP_LISTENERS", "127.0.0.1:5683,[::1]:5683"),
            ("COAP_TRUSTED_LISTENERS", "127.0.0.1:5684"),
            ("MASTER_KEYS_SECRET_ID", "keys"),
        ]);
        let config = config.unwrap();
        assert_eq!(config.trusted[0].profile.name, "adeunis-pulse4-nbiot");
        assert_eq!(config.trusted[1].addr, "[::1]:7012".parse().unwrap());
        assert_eq!(config.sealed[0].addr, "127.0.0.1:7010".parse().unwrap());
        assert_eq!(config.http, "0.0.0.0:8080".parse().unwrap());
        assert_eq!((config.pace.linger, config.pace.hold), (Duration::from_millis(200), 16 * 1024 * 1024));
        let keys = r#"{"1": "a master key for tests, of enough characters"}"#.parse().unwrap();
        let sealed = |(_, protocol): &(_, Protocol)| matches!(protocol.trust(), Trust::Sealed(_));
        let listeners = config.listeners(Some(&keys));
        assert_eq!((listeners.len(), listeners.iter().filter(|at| sealed(at)).count()), (6, 3));
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
        let coap = ("COAP_LISTENERS", "127.0.0.1:5683");
        assert_eq!(read(&[coap]).unwrap_err(), ConfigError::Missing("MASTER_KEYS_SECRET_ID"));
    }

    #[test]
    fn all_settings_that_are_absent_are_named_at_once() {
        let settings = |name| (name == "COAP_LISTENERS").then(|| "5683".to_owned());
        let error = Config::from_settings(&EnvSettings::new(&settings)).unwrap_err().to_string();
        for name in ["STREAM_NAME is not set", "COAP_LISTENERS is \"5683\"", "MASTER_KEYS_SECRET_ID is not set"] {
            assert!(error.contains(name), "{error}");
        }
        let none = Config::from_settings(&EnvSettings::new(&|_| None)).unwrap_err().to_string();
        assert!(none.contains("STREAM_NAME") && none.contains("SEALED_LISTENERS"), "{none}");
    }

    #[test]
    fn no_room_at_all_is_refused() {
        let settings = [("COAP_TRUSTED_LISTENERS", "127.0.0.1:5683"), ("HOLD_MB", "0")];
        assert!(read(&settings).unwrap_err().to_string().contains("HOLD_MB"));
    }

    #[test]
    fn help_names_every_setting() {
        let asked = std::cell::RefCell::new(Vec::new());
        let look_up = |name: &'static str| {
            asked.borrow_mut().push(name);
            let value = match name {
                "HTTP_ADDR" => "127.0.0.1:1",
                "ACKNOWLEDGE" => "true",
                "METRICS" => "prometheus",
                _ if name.starts_with("COAP") => "127.0.0.1:4",
                _ if name.ends_with("LISTENERS") => "adeunis-pulse4-nbiot=127.0.0.1:2",
                _ => "3",
            };
            Some(value.to_owned())
        };
        Config::from_settings(&EnvSettings::new(&look_up)).unwrap();
        assert_eq!(asked.borrow().len(), 12);
        for name in asked.borrow().iter() {
            assert!(HELP.contains(name), "{name}");
        }
    }
}
