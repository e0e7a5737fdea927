//! Builds the uplink from the variables of a callback.

use pulsegate_model::at::At;
use pulsegate_model::device::{DeviceId, SigfoxId};
use pulsegate_model::profile::Profile;
use pulsegate_model::uplink::{Kind, Payload, Radio, TimeSource, Uplink};

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
        // Data without a value is an uplink of no bytes.
        payload: variables.text("data").unwrap_or_default().parse::<Payload>()?,
        radio: radio(variables),
    })
}

/// Returns the time. `time` is in seconds, or in milliseconds as in Sigfox's API; the magnitude decides which.
pub(super) fn moment(variables: &Variables) -> Result<At, CallbackError> {
    let text: Number = variables.required("time", "a whole number of seconds")?;
    Ok(At::from_unix_or_millis(text.0)?)
}

/// Returns the device's counter. Devices of an early protocol have none.
pub(super) fn sequence(variables: &Variables) -> Result<Option<u32>, CallbackError> {
    Ok(variables.optional("seqNumber", "a whole number")?)
}

/// Returns `true` if the device requests a downlink. Only an explicit `true` counts, not a missing or invalid `ack`.
pub(super) fn requests_downlink(variables: &Variables) -> bool {
    variables.text("ack").is_some_and(|ack| ack.eq_ignore_ascii_case("true"))
}

/// Omits radio metadata that is invalid: it must not hold back an uplink.
fn radio(variables: &Variables) -> Radio {
    let level = |name| variables.lenient::<f64>(name)?.try_into().ok();
    Radio { rssi: level("rssi"), snr: level("snr"), station: variables.lenient("station"), signal_quality: None }
}

/// A whole number. A fraction (`1795176000.0`) is dropped.
struct Number(i64);

impl std::str::FromStr for Number {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        fraction.parse::<u64>()?;
        whole.parse().map(Self)
    }
}
