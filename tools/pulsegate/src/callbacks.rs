//! What to set up at Sigfox: a definition for each kind of callback, as its API v2 takes it.
//!
//! The fields are those of the API's description (`createUrlCallback`, `createBatchUrlCallback`), kept in
//! <https://github.com/arimacdev/php-sigfox-client> (`gencode/config/openapi.json`).
//!
//! # Layout
//!
//! - [`variables`]: what each kind can tell, and the body that asks for all of it.
//! - [`secret`]: what callbacks carry to show whose they are.

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

/// Definitions, and what has to be done besides.
#[derive(Debug)]
pub struct Printed {
    /// For the API, in this order.
    pub definitions: Vec<Value>,
    /// For people.
    pub notes: Vec<String>,
}

/// What all definitions of one command share.
struct Setting<'a> {
    profile: &'static Profile,
    url: &'a str,
    secret: Secret,
}

/// Does what the command line says: gives what to print, and tells the rest on standard error.
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

/// The definitions that a command line asks for.
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
    // What the API cannot create is told in a note.
    for &kind in kinds.iter().filter(|kind| options.channel == Channel::Batch || **kind != CallbackKind::Event) {
        definitions.push(match options.channel {
            Channel::Url => setting.url_callback(kind)?,
            Channel::Batch => setting.batch_callback(kind)?,
        });
    }
    Ok(Printed { definitions, notes: setting.notes(&kinds) })
}

/// What is worth having for every device type. Not bidir, which brings every uplink once more; nor status, of which
/// Sigfox makes no new ones.
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

/// The address without a slash at its end. Nothing in it may be taken for a variable, a query or credentials.
fn base(url: &str) -> Result<&str, Problem> {
    let host = url.strip_prefix("https://").map(|rest| rest.trim_end_matches('/'));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['@', '?', '#', '{', '}', ' ']) => {
            Ok(url.trim_end_matches('/'))
        }
        _ => Err(Problem::Url),
    }
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
        // It has no subtypes, and the field must be there.
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
            // API Gateway tells its APIs apart by the name that this sends.
            "sendSni": true,
            "contentType": "application/json",
            "bodyTemplate": variables::body(kind),
        }))
    }

    /// One request for the messages of a second. It can carry neither headers nor a body of one's own, so the secret is in
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
            notes.push(format!("put the secret of the stack's output CallbackSecretId for {}", secret::PLACEHOLDER));
        }
        if has(CallbackKind::Uplink) && has(CallbackKind::Bidir) {
            notes.push("uplink, bidir: both bring every uplink; create one of them for a device type".to_owned());
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

    /// The API knows no callbacks of this kind: somebody has to type it in.
    fn event(&self) -> String {
        format!(
            "event: the API has none of this kind. In the Sigfox back end, under Event configuration of the group, device \
             type or device, type in\n  Url pattern   {}\n  Use HTTP Method POST, Send SNI on\n  Header        \
             Authorization = {}\n  Content type  application/json\n  Body          {}",
            self.address(self.url, CallbackKind::Event),
            self.secret.header(),
            variables::body(CallbackKind::Event).replace('\n', "\n                "),
        )
    }
}

const BIDIR: &str = "bidir: devices get downlinks once the device type's downlinkMode is 1 (CALLBACK) and the callback is \
    chosen for them, by PUT /device-types/ID/callbacks/CALLBACK-ID/downlink";

/// <https://support.sigfox.com/docs/out-of-band-(oob)-messages>
const STATUS: &str = "status: Sigfox creates none of these from September 2026 on, and ends them in April 2027";

const ERROR: &str = "error: the API wants a subtype and names none for this type, so 0 stands there; it comes only with a \
    device type whose keepAlive is at least 1800 (seconds)";

#[cfg(test)]
mod tests;
