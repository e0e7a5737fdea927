//! What a datagram is: whose uplink, and how to acknowledge it.
//!
//! Each vendor's own form has a file here, for listeners that are declared as trusted.

use shared::codec::Undecodable;
use shared::profile::Profile;
use shared::uplink::UplinkError;

use shared::at::At;
use shared::device::DeviceId;
use shared::uplink::Radio;

mod adeunis_pulse4;

/// What a datagram's head tells. What is behind it is not looked at: that is the codec's work, later.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// Who sent it.
    pub device: DeviceId,
    /// The device's own time, where the datagram carries it.
    pub clock: Option<At>,
    /// The device's message counter, where it has one.
    pub sequence: Option<u32>,
    /// What it says of its reception.
    pub radio: Radio,
    /// Sent back once the uplink is durable. Never longer than the datagram: an address can be forged, and nobody is to
    /// be flooded by way of us.
    pub acknowledgement: Vec<u8>,
}

/// Reads the head of a datagram.
pub type Open = fn(&[u8]) -> Result<Opened, Refusal>;

/// The datagram is turned away: nothing says whose it is. It gets no answer.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum Refusal {
    /// No head.
    #[error(transparent)]
    Head(#[from] Undecodable),
    /// Longer than any uplink.
    #[error(transparent)]
    Payload(#[from] UplinkError),
}

/// How the datagrams of a profile are read; `None` for a profile that does not speak UDP.
pub fn of(profile: &Profile) -> Option<Open> {
    match profile.codec.name {
        "adeunis-pulse4-nbiot" => Some(adeunis_pulse4::open),
        _ => None,
    }
}
