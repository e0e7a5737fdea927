//! `pulsegate callbacks`: prints a definition for each kind of Sigfox callback, in the format of Sigfox's API v2.
//!
//! The fields are those of the API's description (`createUrlCallback`, `createBatchUrlCallback`), kept in
//! <https://github.com/arimacdev/php-sigfox-client> (`gencode/config/openapi.json`).
//!
//! # Layout
//!
//! - [`variables`]: the variables of each kind, and the body that requests all of them.
//! - [`secret`]: the secret that authenticates callbacks.

use pulsegate_model::device::Network;
use pulsegate_model::profile;
use pulsegate_model::profile::{PROFILES, Profile};
use pulsegate_pipeline::sigfox::CallbackKind;
use serde_json::{Value, json};

use crate::options::{CallbackCommand, CallbackOptions, Channel, Print};
use crate::{Problem, print};

pub mod secret;
pub mod variables;

use secret::Secret;

/// Definitions, and notes about the steps that are left.
#[derive(Debug)]
pub struct Printed {
    /// Definitions for the API, in this order.
    pub definitions: Vec<Value>,
    /// Notes for the operator.
    pub notes: Vec<String>,
}

/// Values that all definitions of one command share.
struct Setting<'a> {
    profile: &'static Profile,
    url: &'a str,
    secret: Secret,
}

/// Runs the command: returns the text to print, and writes notes to standard error.
///
/// # Errors
/// [`Problem`].
pub fn run(options: &CallbackOptions) -> Result<String, Problem> {
    let CallbackCommand::Print(options) = &options.command;
    let printed = definitions(options)?;
    for note in &printed.notes {
        eprintln!("{note}");
    }
    Ok(print::json_text(&printed.definitions.into()))
}

/// Returns the definitions of a command line.
///
/// # Errors
/// [`Problem`].
pub fn definitions(options: &Print) -> Result<Printed, Problem> {
    let setting = Setting {
        profile: sigfox_profile(&options.profile)?,
        url: base(&options.url)?,
        secret: Secret::read(options.secret_file.as_deref(), options.secret_env.as_deref())?,
    };
    let kinds = if options.kinds.is_empty() { usual(options.channel) } else { options.kinds.clone() };
    let mut definitions = Vec::new();
    // The API cannot create event callbacks; a note describes them.
    for &kind in kinds.iter().filter(|kind| options.channel == Channel::Batch || **kind != CallbackKind::Event) {
        definitions.push(match options.channel {
            Channel::Url => setting.url_callback(kind)?,
            Channel::Batch => setting.batch_callback(kind)?,
        });
    }
    Ok(Printed { definitions, notes: setting.notes(&kinds) })
}

/// Kinds that are useful for every device type. Not bidir, which sends every uplink a second time, and not status,
/// because Sigfox creates no new status callbacks.
fn usual(channel: Channel) -> Vec<CallbackKind> {
    use CallbackKind::{Acknowledge, DataAdvanced, Error, Event, Repeater, Uplink};
    match channel {
        Channel::Url => vec![Uplink, Acknowledge, Repeater, DataAdvanced, Error, Event],
        Channel::Batch => vec![Uplink],
    }
}

fn sigfox_profile(name: &str) -> Result<&'static Profile, Problem> {
    let known = PROFILES.iter().filter(|profile| profile.network == Network::Sigfox).map(|profile| profile.name);
    profile::find(Network::Sigfox, name)
        .ok_or_else(|| Problem::Profile { name: name.to_owned(), known: known.collect::<Vec<_>>().join(", ") })
}

/// Returns the base address, `https://HOST`, without a trailing slash. A whole callback URL is easily pasted here: the
/// stack has the output `CallbackUrlPattern` beside `ApiUrl`.
fn base(url: &str) -> Result<&str, Problem> {
    let url = url.trim().trim_end_matches('/');
    let rest = url.strip_prefix("https://").ok_or(Problem::Url)?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || ['-', '.', ':'].contains(&c)) {
        return Err(Problem::Url);
    }
    if host.len() < rest.len() { Err(Problem::UrlPath(format!("https://{host}"))) } else { Ok(url) }
}

/// `callbackType` and `callbackSubtype`.
fn codes(kind: CallbackKind) -> Result<(u8, u8), Problem> {
    const DATA: u8 = 0;
    const SERVICE: u8 = 1;
    const ERROR: u8 = 2;
    match kind {
        CallbackKind::Status => Ok((SERVICE, 0)),
        CallbackKind::Uplink => Ok((DATA, 2)),
        CallbackKind::Bidir => Ok((DATA, 3)),
        CallbackKind::Acknowledge => Ok((SERVICE, 4)),
        CallbackKind::Repeater => Ok((SERVICE, 5)),
        CallbackKind::DataAdvanced => Ok((SERVICE, 6)),
        // It has no subtypes, but the field is required.
        CallbackKind::Error => Ok((ERROR, 0)),
        CallbackKind::Geoloc => Err(Problem::NoGeoloc),
        CallbackKind::Event => Err(Problem::NoEvent),
    }
}

impl Setting<'_> {
    /// One request for each message.
    fn url_callback(&self, kind: CallbackKind) -> Result<Value, Problem> {
        let (callback_type, subtype) = codes(kind)?;
        Ok(json!({
            "channel": "URL",
            "callbackType": callback_type,
            "callbackSubtype": subtype,
            "enabled": true,
            "url": self.address(self.url, kind),
            "httpMethod": "POST",
            "headers": {"Authorization": self.secret.header()},
            // API Gateway selects the API by the host name that SNI sends.
            "sendSni": true,
            "contentType": "application/json",
            "bodyTemplate": variables::body(kind),
        }))
    }

    /// One request for the messages of a second. It cannot have custom headers or a custom body, so the secret is in
    /// the address.
    fn batch_callback(&self, kind: CallbackKind) -> Result<Value, Problem> {
        let (callback_type, subtype) = codes(kind)?;
        let pattern = match kind {
            CallbackKind::Uplink => self.profile.callbacks.uplink_line,
            CallbackKind::Bidir => self.profile.callbacks.bidir_line,
            _ => return Err(Problem::NoBatch(kind)),
        };
        Ok(json!({
            "channel": "BATCH_URL",
            "callbackType": callback_type,
            "callbackSubtype": subtype,
            "enabled": true,
            "url": format!("{}?batch={{batch}}", self.address(&self.secret.in_address(self.url), kind)),
            "httpMethod": "POST",
            "linePattern": pattern,
            "sendSni": true,
        }))
    }

    fn address(&self, base: &str, kind: CallbackKind) -> String {
        format!("{base}/sigfox/{}/{kind}", self.profile.name)
    }

    fn notes(&self, kinds: &[CallbackKind]) -> Vec<String> {
        let has = |kind| kinds.contains(&kind);
        let mut notes = Vec::new();
        if !self.secret.is_given() {
            notes.push(format!(
                "replace {} by the secret that the stack's output CallbackSecretId names",
                secret::PLACEHOLDER
            ));
        }
        if has(CallbackKind::Uplink) && has(CallbackKind::Bidir) {
            notes.push("uplink, bidir: both send every uplink; create one of them for a device type".to_owned());
        }
        if has(CallbackKind::Bidir) {
            notes.push(BIDIR.to_owned());
        }
        if has(CallbackKind::Status) {
            notes.push(STATUS.to_owned());
        }
        if has(CallbackKind::Error) {
            notes.push(ERROR.to_owned());
        }
        if has(CallbackKind::Event) {
            notes.push(self.event());
        }
        notes
    }

    /// The API does not support this kind: the operator has to enter it in the back end.
    fn event(&self) -> String {
        format!(
            "event: the API does not support this kind. In the Sigfox back end, under Event configuration of the \
             group, device type or device, enter\n  Url pattern   {}\n  Use HTTP Method POST, Send SNI on\n  Header        \
             Authorization = {}\n  Content type  application/json\n  Body          {}",
            self.address(self.url, CallbackKind::Event),
            self.secret.header(),
            variables::body(CallbackKind::Event).replace('\n', "\n                "),
        )
    }
}

const BIDIR: &str = "bidir: devices get downlinks once the device type's downlinkMode is 1 (CALLBACK) and the callback \
    is selected for downlinks, by PUT /device-types/ID/callbacks/CALLBACK-ID/downlink";

/// <https://support.sigfox.com/docs/out-of-band-(oob)-messages>
const STATUS: &str =
    "status: Sigfox creates no new callbacks of this kind since September 2026, and ends them in April 2027";

const ERROR: &str = "error: the API requires a subtype but defines none for this type, so it is 0; Sigfox sends this \
    kind only for a device type whose keepAlive is at least 1800 (seconds)";

#[cfg(test)]
mod tests;
