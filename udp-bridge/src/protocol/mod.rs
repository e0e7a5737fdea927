//! What a datagram is: whose uplink, and how its sender is told that it is durable.
//!
//! - [`sealed`]: the envelope that proves its sender.
//! - Each vendor's own form, in the clear, for listeners that are declared as trusted: a file each.
//! - [`coap`]: either of them as the payload of a CoAP request. [`efento`] is a vendor's own way in CoAP.

use pulsegate_model::at::At;
use pulsegate_model::codec::Undecodable;
use pulsegate_model::device::DeviceId;
use pulsegate_model::profile::Profile;
use pulsegate_model::uplink::{Payload, Radio, UplinkError};

mod adeunis_pulse4;
pub mod coap;
mod dragino;
mod efento;
pub mod sealed;
mod senml;

use coap::Exchange;
use sealed::MasterKeys;

use crate::socket::MAX_DATAGRAM;

/// Why a sender is believed to be who it says.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Each uplink is sealed.
    Sealed(MasterKeys),
    /// Whoever reaches the listener is believed; uplinks are in their vendor's form.
    InTheClear,
}

/// How the datagrams of a listener are read.
#[derive(Debug, Clone)]
pub enum Protocol {
    /// A datagram is an uplink of the profile.
    Datagram {
        /// Scope.
        profile: &'static Profile,
        /// And why.
        trust: Trust,
        /// Whether it is acknowledged. Some meters do not listen.
        acknowledge: bool,
    },
    /// A datagram is a CoAP message, whose path names the profile.
    Coap(Trust),
    /// A datagram is a CoAP message of an Efento logger, in the clear, whose path names the kind of message.
    Efento(&'static Profile),
}

/// What has come in.
#[derive(Debug)]
pub enum Inbound {
    /// An uplink, and how its sender is told.
    Uplink(&'static Profile, IdentifiedUplink, Answer),
    /// Not an uplink, and answered at once.
    Wrong(Refusal, Vec<u8>),
    /// A question that is answered at once, if at all, and nothing to keep.
    Asked(Option<Vec<u8>>),
    /// The sender has our separate response of that message ID.
    Settled(u16),
}

/// What an uplink's sender is told.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// This, once it is durable. Nothing if it is empty.
    Datagram(Vec<u8>),
    /// What CoAP asks for.
    Coap(Box<Exchange>),
}

/// What an uplink's head tells. What is behind it is not looked at: that is the codec's work, later.
#[derive(Debug, Clone, PartialEq)]
pub struct IdentifiedUplink {
    /// Who sent it.
    pub device: DeviceId,
    /// The device's own time, where it carries it.
    pub clock: Option<At>,
    /// The device's message counter; where the format has none, a checksum.
    pub sequence: Option<u32>,
    /// What it says of its reception.
    pub radio: Radio,
    /// What the codec is to read.
    pub payload: Payload,
    /// Sent back once the uplink is durable. Never longer than the datagram: an address can be forged, and nobody is to
    /// be flooded by way of us.
    pub acknowledgement: Vec<u8>,
}

/// The datagram is turned away. Nothing that has not proved whose it is gets an answer.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum Refusal {
    /// No head, in a vendor's form.
    #[error(transparent)]
    Head(#[from] Undecodable),
    /// Longer than any datagram that is taken; what came of it is cut off.
    #[error("longer than {MAX_DATAGRAM} bytes")]
    TooLong,
    /// No payload of an uplink.
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
    /// Not a message of CoAP version 1 that a server could be sent.
    #[error("not a CoAP request")]
    NotCoap,
    /// Its path is not one profile's name, or not a vendor's own.
    #[error("the path is not that of anything that can be read here")]
    Path,
    /// Something other than POST.
    #[error("the method is not POST")]
    Method,
    /// A critical option this code does not know.
    #[error("option {0} is critical and not known")]
    CriticalOption(u16),
}

impl Refusal {
    /// Every reason by which refusals are counted.
    pub const REASONS: [&str; 10] = [
        "head",
        "too-long",
        "too-short",
        "version",
        "unproven",
        "no-time",
        "not-coap",
        "path",
        "method",
        "critical-option",
    ];

    /// The reason it is counted by.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Head(_) => "head",
            Self::TooLong | Self::Payload(_) => "too-long",
            Self::TooShort => "too-short",
            Self::Version(_) => "version",
            Self::Unproven => "unproven",
            Self::NoTime => "no-time",
            Self::NotCoap => "not-coap",
            Self::Path => "path",
            Self::Method => "method",
            Self::CriticalOption(_) => "critical-option",
        }
    }
}

impl Protocol {
    /// What a profile's devices speak in the clear, at a listener of their own.
    pub fn in_the_clear(profile: &'static Profile, acknowledge: bool) -> Self {
        match profile.codec.name {
            "efento" => Self::Efento(profile),
            _ => Self::Datagram { profile, trust: Trust::InTheClear, acknowledge },
        }
    }

    /// Reads a datagram.
    ///
    /// # Errors
    /// [`Refusal`]: it gets no answer.
    pub fn hear(&self, datagram: &[u8]) -> Result<Inbound, Refusal> {
        match self {
            Self::Datagram { profile, trust, acknowledge } => {
                let mut opened = trust.open(profile, datagram, *acknowledge)?;
                let answer = Answer::Datagram(std::mem::take(&mut opened.acknowledgement));
                Ok(Inbound::Uplink(profile, opened, answer))
            }
            Self::Coap(trust) => coap::hear(datagram, trust),
            Self::Efento(profile) => efento::hear(datagram, profile),
        }
    }

    /// Why its senders are believed.
    pub fn trust(&self) -> &Trust {
        match self {
            Self::Datagram { trust, .. } | Self::Coap(trust) => trust,
            Self::Efento(_) => &Trust::InTheClear,
        }
    }
}

impl Trust {
    fn open(&self, profile: &Profile, uplink: &[u8], acknowledge: bool) -> Result<IdentifiedUplink, Refusal> {
        match self {
            Self::Sealed(keys) => {
                let sealed = sealed::open(uplink, keys)?;
                sealed.opened(if acknowledge { sealed.acknowledgement() } else { vec![] })
            }
            Self::InTheClear => {
                let mut opened = vendor_of(profile).ok_or(Refusal::Path)?(uplink)?;
                if !acknowledge {
                    opened.acknowledgement.clear();
                }
                Ok(opened)
            }
        }
    }
}

/// Reads a vendor's datagram.
pub type Vendor = fn(&[u8]) -> Result<IdentifiedUplink, Refusal>;

/// How a vendor's own datagrams of a profile are read; `None` for a profile that has none.
pub fn vendor_of(profile: &Profile) -> Option<Vendor> {
    match profile.codec.name {
        "adeunis-pulse4-nbiot" => Some(adeunis_pulse4::open),
        "dragino-sw3l-nb" | "dragino-cpn01-nb" => Some(dragino::open),
        "senml-json" => Some(senml::open_json),
        "senml-cbor" => Some(senml::open_cbor),
        "efento" => Some(efento::open),
        _ => None,
    }
}

/// Stands in for the sequence where a format has none: two uplinks of the same second are two, and the same one repeated
/// stays one. It is CRC-32, of all that the stored uplink is made from, in parts one behind the other; of two that differ, one
/// pair in 4,294,967,296 has the same.
pub(super) fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}
