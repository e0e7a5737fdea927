//! The uplink that the variables of a DATA callback describe
//! (<https://support.sigfox.com/docs/uplink>).

use shared::at::{At, AtError};
use shared::device::{DeviceId, SigfoxId};
use shared::profile::Profile;
use shared::uplink::{Kind, Payload, Radio, TimeSource, Uplink, UplinkError};

use crate::variables::{VariableError, Variables};

/// The callback is not an uplink that could be stored under a key. It goes to quarantine with this reason.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A variable is missing or not what it should be.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// `time` is out of range.
    #[error("the variable time: {0}")]
    Time(#[from] AtError),
    /// `data` is not an uplink's.
    #[error("the variable data: {0}")]
    Data(#[from] UplinkError),
}

/// Builds the uplink. Without `device` and `time` there is no key to store it under; everything else may be absent.
///
/// # Errors
/// [`Unreadable`].
pub fn from_variables(variables: &Variables, profile: &Profile) -> Result<Uplink, Unreadable> {
    let device: SigfoxId = variables.required("device", "a device ID of one to eight hex digits")?;
    let time: i64 = variables.required("time", "a whole number of seconds")?;
    Ok(Uplink {
        device: DeviceId::Sigfox(device),
        kind: Kind::Data,
        at: At::from_unix(time)?,
        time_source: TimeSource::Network,
        sequence: variables.optional("seqNumber", "a whole number")?,
        profile: profile.name.parse()?,
        // An uplink without data is one of no bytes.
        payload: variables.text("data").unwrap_or_default().parse::<Payload>()?,
        radio: radio(variables),
    })
}

/// Metadata that cannot be read is left out: it is no reason to hold an uplink back.
fn radio(variables: &Variables) -> Radio {
    let level = |name| variables.text(name)?.parse::<f64>().ok()?.try_into().ok();
    Radio {
        rssi: level("rssi"),
        snr: level("snr"),
        station: variables.text("station").and_then(|station| station.parse().ok()),
        signal_quality: None,
    }
}
