//! What a datagram is: whose uplink, and how to acknowledge it.
//!
//! - [`sealed`]: the envelope that proves its sender.
//! - Each vendor's own form, in the clear, for listeners that are declared as trusted: a file each.

use shared::at::At;
use shared::codec::Undecodable;
use shared::device::DeviceId;
use shared::profile::Profile;
use shared::uplink::{Radio, UplinkError};

mod adeunis_pulse4;
pub mod sealed;

use sealed::MasterKeys;

/// How the datagrams of a listener are read.
#[derive(Debug, Clone)]
pub enum Protocol {
    /// Each proves its sender.
    Sealed(MasterKeys),
    /// In a vendor's form, believed.
    Trusted(Vendor),
}

/// Reads a vendor's datagram.
pub type Vendor = fn(&[u8]) -> Result<Opened, Refusal>;

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
    /// What the codec is to read.
    pub payload: Vec<u8>,
    /// Sent back once the uplink is durable. Never longer than the datagram: an address can be forged, and nobody is to
    /// be flooded by way of us.
    pub acknowledgement: Vec<u8>,
}

/// The datagram is turned away: nothing says, or proves, whose it is. It gets no answer.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum Refusal {
    /// No head, in a vendor's form.
    #[error(transparent)]
    Head(#[from] Undecodable),
    /// Longer than any uplink.
    #[error(transparent)]
    Payload(#[from] UplinkError),
    /// Shorter than an empty sealed envelope.
    #[error("too short for a sealed envelope")]
    TooShort,
    /// Not a sealed envelope of a version this code knows.
    #[error("{0:#04x} is not the version of a sealed uplink")]
    Version(u8),
    /// Its key or its tag is not the device's.
    #[error("the sender has not proved itself")]
    Unproven,
    /// It does not say when it was sealed.
    #[error("a sealed uplink has to carry the meter's time")]
    NoTime,
}

impl Protocol {
    /// Reads the head of a datagram.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn open(&self, datagram: &[u8]) -> Result<Opened, Refusal> {
        match self {
            Self::Sealed(keys) => sealed::open(datagram, keys),
            Self::Trusted(vendor) => vendor(datagram),
        }
    }
}

/// How a vendor's own datagrams of a profile are read; `None` for a profile that has none.
pub fn of(profile: &Profile) -> Option<Vendor> {
    match profile.codec.name {
        "adeunis-pulse4-nbiot" => Some(adeunis_pulse4::open),
        _ => None,
    }
}
