//! Parses datagrams: identifies the device, and prepares the answer.
//!
//! - [`sealed`]: the envelope that authenticates its sender.
//! - [`clear`]: makers' own forms, in the clear, at listeners that are declared as trusted. Codecs read them.
//! - [`coap`]: either of them as the payload of a CoAP request. [`efento`]: a maker's own use of CoAP.

use pulsegate_model::aggregate;
use pulsegate_model::at::At;
use pulsegate_model::codec::{Identify, Undecodable};
use pulsegate_model::device::DeviceId;
use pulsegate_model::profile::Profile;
use pulsegate_model::uplink::{Payload, Radio, UplinkError};

pub mod clear;
pub mod coap;
mod efento;
pub mod sealed;

use coap::{Exchange, OptionError};
use sealed::MasterKeys;

use crate::socket::MAX_DATAGRAM;

/// Room for everything in an uplink's record but the payload: 64 bytes for the profile's name, at most 60 for the other
/// fields.
const FIELDS_LEN: usize = 128;

/// Room for the uplinks of one datagram in a record of the stream, without the record's own head and checksum.
const MAX_UPLINKS_LEN: usize = aggregate::MAX_BYTES - 128;

/// Why the bridge accepts a sender's identity.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Each uplink is sealed, which authenticates its sender.
    Sealed(MasterKeys),
    /// The network in front of the listener is trusted; uplinks are in their maker's form.
    InTheClear,
}

/// How the datagrams of a listener are read.
#[derive(Debug, Clone)]
pub enum Protocol {
    /// A datagram is an uplink of the profile.
    Datagram {
        /// Scope.
        profile: &'static Profile,
        /// Why the sender's identity is accepted.
        trust: Trust,
        /// True if uplinks are acknowledged. Some meters do not listen.
        acknowledge: bool,
    },
    /// A datagram is a CoAP message, whose path names the profile.
    Coap(Trust),
    /// A datagram is a CoAP message of an Efento logger, in the clear, whose path names the kind of message.
    Efento(&'static Profile),
}

/// A parsed datagram.
#[derive(Debug)]
pub enum Inbound {
    /// An uplink, and the answer to its sender.
    Uplink(&'static Profile, IdentifiedUplink, Answer),
    /// Rejected, with an answer that is sent at once.
    Wrong(Refusal, Vec<u8>),
    /// A question with its answer, if it gets one. Nothing is stored.
    Asked(Option<Vec<u8>>),
    /// The sender acknowledges the separate response with this message ID.
    Settled(u16),
}

/// The answer to an uplink's sender.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// These bytes, once the uplink is durable. No datagram if empty.
    Datagram(Vec<u8>),
    /// The response of a CoAP exchange.
    Coap(Box<Exchange>),
}

/// An uplink whose device is identified. Only its head has been read; the codec reads the rest later.
#[derive(Debug, Clone, PartialEq)]
pub struct IdentifiedUplink {
    /// The device that sent it.
    pub device: DeviceId,
    /// The time that the device's own clock shows, if the uplink has it. It may be impossible.
    pub clock: Option<At>,
    /// True if the clock is authenticated. It then identifies the uplink, whatever it shows.
    pub sealed: bool,
    /// The device's message counter; a checksum if the format has none.
    pub sequence: Option<u32>,
    /// Reception as the device reports it.
    pub radio: Radio,
    /// The bytes for the codec.
    pub payload: Payload,
    /// The uplinks of further meters that the same datagram names. Mostly empty, which takes no memory.
    pub others: Vec<Self>,
    /// Sent back once the uplink is durable. Never longer than the datagram: an address can be forged, and the bridge must
    /// not amplify.
    pub acknowledgement: Vec<u8>,
}

/// Why a datagram is rejected. An unauthenticated datagram gets no answer.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum Refusal {
    /// The head names no device.
    #[error(transparent)]
    Head(#[from] Undecodable),
    /// Longer than the longest accepted datagram; the rest was cut off.
    #[error("longer than {MAX_DATAGRAM} bytes")]
    TooLong,
    /// The datagram names more meters than a record of the stream has room for. One answer must not wait for several.
    #[error("it names {0} meters; their uplinks do not fit into one record of the stream: send fewer in a datagram")]
    TooManyMeters(usize),
    /// Not a valid payload of an uplink.
    #[error(transparent)]
    Payload(#[from] UplinkError),
    /// Shorter than an empty sealed envelope.
    #[error("too short for a sealed envelope")]
    TooShort,
    /// A version of the sealed envelope that this code does not know.
    #[error("{0:#04x} is not a known version of the sealed envelope")]
    Version(u8),
    /// Its key ID is unknown, or its tag is wrong.
    #[error("the sender is not authenticated: unknown key ID or wrong tag")]
    Unproven,
    /// Not a CoAP version 1 message for a server.
    #[error("not a CoAP request")]
    NotCoap,
    /// The path names neither a profile nor a maker's own resource.
    #[error("the path names no profile that this listener can read")]
    Path,
    /// A method other than POST.
    #[error("the method is not POST")]
    Method,
    /// An unknown critical option.
    #[error("option {0} is critical and not known")]
    CriticalOption(u16),
    /// A known option that asks for what the bridge does not do.
    #[error(transparent)]
    Option(#[from] OptionError),
}

impl Refusal {
    /// Every label by which refusals are counted.
    pub const REASONS: [&str; 10] = [
        "head",
        "too-long",
        "too-many-meters",
        "too-short",
        "version",
        "unproven",
        "not-coap",
        "path",
        "method",
        "critical-option",
    ];

    /// The label it is counted by.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Head(_) => "head",
            Self::TooLong | Self::Payload(_) => "too-long",
            Self::TooManyMeters(_) => "too-many-meters",
            Self::TooShort => "too-short",
            Self::Version(_) => "version",
            Self::Unproven => "unproven",
            Self::NotCoap => "not-coap",
            Self::Path => "path",
            Self::Method => "method",
            Self::CriticalOption(_) | Self::Option(_) => "critical-option",
        }
    }
}

impl Protocol {
    /// The protocol of a profile's devices in the clear, at a listener of their own.
    pub fn in_the_clear(profile: &'static Profile, acknowledge: bool) -> Self {
        match profile.codec.identify {
            Some(Identify::EfentoCoap(_)) => Self::Efento(profile),
            _ => Self::Datagram { profile, trust: Trust::InTheClear, acknowledge },
        }
    }

    /// Parses a datagram. Rejects one whose uplinks do not fit into one record of the stream.
    ///
    /// # Errors
    /// [`Refusal`]: the datagram gets no answer.
    pub fn read(&self, datagram: &[u8]) -> Result<Inbound, Refusal> {
        match self.parse(datagram)? {
            Inbound::Uplink(_, opened, answer) if !opened.fits_into_a_record() => {
                let refusal = Refusal::TooManyMeters(opened.meters());
                match answer {
                    Answer::Coap(exchange) => {
                        let answer = exchange.refused(&refusal);
                        Ok(Inbound::Wrong(refusal, answer))
                    }
                    Answer::Datagram(_) => Err(refusal),
                }
            }
            inbound => Ok(inbound),
        }
    }

    /// Parses a datagram, however many meters it names.
    ///
    /// # Errors
    /// [`Refusal`]: the datagram gets no answer.
    pub fn parse(&self, datagram: &[u8]) -> Result<Inbound, Refusal> {
        if datagram.len() > MAX_DATAGRAM {
            return Err(Refusal::TooLong);
        }
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

    /// Its name in logs and in quarantined records.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Datagram { .. } => "udp",
            Self::Coap(_) | Self::Efento(_) => "coap",
        }
    }

    /// The profile of its listener, if the listener has one.
    pub fn profile(&self) -> Option<&'static Profile> {
        match self {
            Self::Datagram { profile, .. } | Self::Efento(profile) => Some(profile),
            Self::Coap(_) => None,
        }
    }

    /// Why its senders' identity is accepted.
    pub fn trust(&self) -> &Trust {
        match self {
            Self::Datagram { trust, .. } | Self::Coap(trust) => trust,
            Self::Efento(_) => &Trust::InTheClear,
        }
    }
}

impl IdentifiedUplink {
    /// Calls `take` with the uplink of each meter.
    pub fn each(mut self, mut take: impl FnMut(Self)) {
        let others = std::mem::take(&mut self.others);
        take(self);
        others.into_iter().for_each(take);
    }

    /// Number of meters that the datagram names.
    fn meters(&self) -> usize {
        1 + self.others.len()
    }

    /// True if the uplinks of all meters fit into one record of the stream, whatever their devices and times are.
    fn fits_into_a_record(&self) -> bool {
        self.meters() * (FIELDS_LEN + self.payload.bytes().len()) <= MAX_UPLINKS_LEN
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
                let mut opened = clear::open(profile, uplink)?;
                if !acknowledge {
                    opened.acknowledgement.clear();
                }
                Ok(opened)
            }
        }
    }
}
