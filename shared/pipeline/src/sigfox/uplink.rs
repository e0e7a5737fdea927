//! Builds the uplink from the variables of a callback.

use pulsegate_model::at::At;
use pulsegate_model::device::{DeviceId, SigfoxId};
use pulsegate_model::profile::Profile;
use pulsegate_model::uplink::{Kind, Payload, Radio, TimeSource, Uplink};

use super::value;
use super::value::{Time, Value as _};
use super::variables::Variables;
use super::{CallbackError, CallbackKind};

/// Builds the uplink. Requires `device` and `time`, which form its key, and `data`; everything else may be absent.
pub(super) fn of(kind: CallbackKind, variables: &Variables, profile: &Profile) -> Result<Uplink, CallbackError> {
    let device: SigfoxId = variables.required("device", "a device ID of one to eight hex digits")?;
    let at = moment(variables)?;
    let sequence = sequence(variables)?;
    if !variables.mentions("data") {
        return Err(if variables.has_custom_data() { CallbackError::OnlyCustomData } else { CallbackError::NoData });
    }
    Ok(Uplink {
        device: DeviceId::Sigfox(device),
        kind: if kind == CallbackKind::DataAdvanced { Kind::DataAdvanced } else { Kind::Data },
        at,
        time_source: TimeSource::Network,
        sequence,
        profile: profile.uplink_name(),
        payload: payload(variables)?,
        radio: radio(variables),
    })
}

/// Returns the time. `time` is in seconds, or in milliseconds as in Sigfox's API; the magnitude decides which. A relay
/// may have made a date of it, but a date beside another time may be that of the relay.
pub(super) fn moment(variables: &Variables) -> Result<At, CallbackError> {
    let of = |time| match time {
        Time::Number(number) => At::from_unix_or_millis(number),
        Time::Date(at) => Ok(at),
    };
    let time: Time = variables.required("time", "a number of seconds, or a date such as 2026-11-20T12:00:00Z")?;
    let is_date = matches!(time, Time::Date(_));
    let at = of(time)?;
    let others = |text| Time::read(text).and_then(|time| of(time).ok()) != Some(at);
    if is_date && variables.all("time").any(others) { Err(CallbackError::TwoTimes) } else { Ok(at) }
}

/// Returns the device's counter. Devices of an early protocol have none.
pub(super) fn sequence(variables: &Variables) -> Result<Option<u32>, CallbackError> {
    Ok(variables.optional("seqNumber", "a whole number of 32 bits")?)
}

/// Returns the bytes. `data` without a value is an uplink of no bytes, but only as Sigfox itself writes it: another
/// word there, such as `None`, means that a relay has lost the bytes.
fn payload(variables: &Variables) -> Result<Payload, CallbackError> {
    match variables.text("data") {
        Some(text) => Ok(value::payload(text)?),
        None if variables.is_empty("data") => Ok(Payload::from_bytes(&[])?),
        None => Err(variables.missing("data").into()),
    }
}

/// Returns `true` if the device requests a downlink. Only an explicit `true` counts, not a missing or invalid `ack`.
pub(super) fn requests_downlink(variables: &Variables) -> bool {
    variables.text("ack").is_some_and(|ack| ack.eq_ignore_ascii_case("true"))
}

/// Omits radio metadata that is invalid: it must not hold back an uplink.
fn radio(variables: &Variables) -> Radio {
    Radio {
        rssi: variables.lenient("rssi"),
        snr: variables.lenient("snr"),
        station: variables.lenient("station"),
        signal_quality: None,
    }
}
