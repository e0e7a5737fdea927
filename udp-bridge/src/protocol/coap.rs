//! CoAP (RFC 7252): `POST /{profile}`, with an uplink as its payload.
//!
//! A confirmable request is answered 2.04 once the uplink is durable: in the message that acknowledges it, if that is
//! soon, and otherwise in a message of its own, after an empty acknowledgement that stops the client from repeating
//! itself. A non-confirmable one is answered by a non-confirmable message. The 2.04 carries what the meter would have been
//! sent without CoAP: for a sealed uplink the sealed acknowledgement, which proves that the answer is ours.
//!
//! Who has proved itself gets the late answer until it is acknowledged. In the clear it goes out once, since the address
//! may be forged: it and the empty acknowledgement together are shorter than the request. They are two packets, though,
//! and with the headers of UDP and IP up to one and a half times as long.
//!
//! Message IDs and addresses tell nothing about who speaks, since a carrier's NAT gives them to one meter after the other.
//! So a repeated request is not looked up but taken again: what it says makes it the same uplink.

use coap_lite::{CoapOption, MessageClass, MessageType, Packet, RequestType, ResponseType};
use pulsegate_model::device::Network;
use pulsegate_model::profile;
use pulsegate_model::profile::Profile;

use super::{Answer, Inbound, Refusal, Trust, sealed};

#[cfg(test)]
mod tests;

const VERSION: u8 = 1;

/// Options that a request may carry and that change nothing here. Other critical ones (odd numbers: section 5.4.6) are
/// refused.
const HARMLESS: [CoapOption; 4] = [CoapOption::UriHost, CoapOption::UriPort, CoapOption::UriPath, CoapOption::UriQuery];

/// More than a client sends: a request needs one.
const MAX_OPTIONS: usize = 16;

/// A request that waits for its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    confirmable: bool,
    late: Late,
    message_id: u16,
    token: Vec<u8>,
    outcomes: Outcomes,
    acknowledgement: Vec<u8>,
}

/// What a client hears whose answer takes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// Nothing before its answer.
    Silence,
    /// That the answer comes later, and then the answer, once. A client that misses it asks again.
    Once,
    /// The same, but the answer again and again until the client acknowledges it.
    UntilAcknowledged,
}

/// What a request is answered in the end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outcomes {
    /// Once the uplink is durable.
    pub(super) durable: ResponseType,
    /// If it does not become so.
    pub(super) given_back: ResponseType,
}

impl Exchange {
    /// What the client hears if its answer takes long.
    pub fn late(&self) -> Late {
        self.late
    }

    /// The empty acknowledgement: the request has arrived, and its answer comes later.
    pub fn arrived(&self) -> Vec<u8> {
        message(MessageType::Acknowledgement, MessageClass::Empty, self.message_id, &[], &[])
    }

    /// The answer, if it is the first thing the client hears. `message_id` is a new one of ours.
    pub fn answer(&self, durable: bool, message_id: u16) -> Vec<u8> {
        if self.confirmable {
            self.response(MessageType::Acknowledgement, self.outcome(durable), self.message_id)
        } else {
            self.response(MessageType::NonConfirmable, self.outcome(durable), message_id)
        }
    }

    /// The answer after [`Exchange::arrived`]. `message_id` is a new one of ours.
    pub fn separate_answer(&self, durable: bool, message_id: u16) -> Vec<u8> {
        let kind = match self.late {
            Late::UntilAcknowledged => MessageType::Confirmable,
            Late::Once | Late::Silence => MessageType::NonConfirmable,
        };
        self.response(kind, self.outcome(durable), message_id)
    }

    fn response(&self, kind: MessageType, code: ResponseType, message_id: u16) -> Vec<u8> {
        let payload: &[u8] = if code.is_error() { &[] } else { &self.acknowledgement };
        message(kind, MessageClass::Response(code), message_id, &self.token, payload)
    }

    fn outcome(&self, durable: bool) -> ResponseType {
        if durable { self.outcomes.durable } else { self.outcomes.given_back }
    }
}

/// A request, as far as it is CoAP. What it asks for is not looked at yet.
pub(super) struct Request<'a> {
    packet: &'a Packet,
    /// How it asks.
    pub(super) method: RequestType,
    /// Whether the client repeats itself until it hears something.
    pub(super) confirmable: bool,
}

impl Request<'_> {
    /// Its path, if that has one part and no option forbids to go on.
    pub(super) fn path(&self) -> Result<&str, Refusal> {
        let harmless = |&number: &u16| number % 2 == 0 || HARMLESS.contains(&CoapOption::from(number));
        if let Some((&number, _)) = self.packet.options().find(|(number, _)| !harmless(number)) {
            return Err(Refusal::CriticalOption(number));
        }
        let path = self.packet.get_option(CoapOption::UriPath).filter(|path| path.len() == 1);
        let part = path.and_then(|path| path.front());
        part.and_then(|part| std::str::from_utf8(part).ok()).ok_or(Refusal::Path)
    }

    /// What it brings.
    pub(super) fn payload(&self) -> &[u8] {
        &self.packet.payload
    }

    /// Waits for what becomes of its uplink. Who does not repeat itself is never told to wait.
    pub(super) fn exchange(&self, late: Late, outcomes: Outcomes, acknowledgement: Vec<u8>) -> Exchange {
        let Self { packet, confirmable, .. } = *self;
        let (message_id, token) = (packet.header.message_id, packet.get_token().to_vec());
        let late = if confirmable { late } else { Late::Silence };
        Exchange { confirmable, late, message_id, token, outcomes, acknowledgement }
    }

    /// An answer at once.
    pub(super) fn answer(&self, code: ResponseType, payload: &[u8]) -> Vec<u8> {
        let kind = if self.confirmable { MessageType::Acknowledgement } else { MessageType::NonConfirmable };
        // In a non-confirmable answer the ID should be one of ours; any will do, since it is not answered.
        let message_id = self.packet.header.message_id;
        message(kind, MessageClass::Response(code), message_id, self.packet.get_token(), payload)
    }

    /// The same for a request that is turned away.
    pub(super) fn refuse(&self, refusal: Refusal) -> Inbound {
        let answer = self.answer(code(&refusal), &[]);
        Inbound::Wrong(refusal, answer)
    }
}

/// Reads a message, a request in which is for a profile. Of a sealed uplink nothing is answered, not even what is wrong with
/// the request around it, before its sender has proved itself.
pub(super) fn hear(datagram: &[u8], trust: &Trust) -> Result<Inbound, Refusal> {
    read(datagram, trust, |request| for_profile(request, trust))
}

/// Reads a message, and has a request in it served.
pub(super) fn read(
    datagram: &[u8],
    trust: &Trust,
    serve: impl FnOnce(&Request<'_>) -> Result<Inbound, Refusal>,
) -> Result<Inbound, Refusal> {
    if !has_few_options(datagram) {
        return Err(Refusal::NotCoap);
    }
    let packet = Packet::from_bytes(datagram).map_err(|_| Refusal::NotCoap)?;
    let kind = packet.header.get_type();
    if packet.header.get_version() != VERSION {
        return Err(Refusal::NotCoap);
    }
    match (kind, packet.header.code) {
        (MessageType::Acknowledgement | MessageType::Reset, MessageClass::Empty) => {
            Ok(Inbound::Settled(packet.header.message_id))
        }
        (MessageType::Confirmable | MessageType::NonConfirmable, MessageClass::Request(method)) => {
            serve(&Request { packet: &packet, method, confirmable: kind == MessageType::Confirmable })
        }
        // Section 4.3. Also how a client asks whether anybody is there.
        (MessageType::Confirmable, _) if matches!(trust, Trust::InTheClear) => {
            let reset = message(MessageType::Reset, MessageClass::Empty, packet.header.message_id, &[], &[]);
            Ok(Inbound::Wrong(Refusal::NotCoap, reset))
        }
        _ => Err(Refusal::NotCoap),
    }
}

/// Whether there are at most [`MAX_OPTIONS`] in it. Nothing is proved yet, and reading 2,000 of them takes as long as
/// checking 200 seals.
fn has_few_options(datagram: &[u8]) -> bool {
    let extra = |nibble: u8| match nibble {
        13 => 1,
        14 => 2,
        _ => 0,
    };
    let mut at = 4 + usize::from(datagram.first().map_or(0, |first| first & 0x0F));
    for _ in 0..=MAX_OPTIONS {
        let Some(&first) = datagram.get(at) else { return true };
        if first == 0xFF {
            return true;
        }
        let (delta, length) = (first >> 4, first & 0x0F);
        let length_at = at + 1 + extra(delta);
        let byte = |at| datagram.get(at).map_or(0, |&byte| usize::from(byte));
        let length = match length {
            13 => 13 + 1 + byte(length_at),
            14 => 269 + 2 + byte(length_at) * 256 + byte(length_at + 1),
            _ => usize::from(length),
        };
        at = length_at + length;
    }
    false
}

fn for_profile(request: &Request<'_>, trust: &Trust) -> Result<Inbound, Refusal> {
    const OUTCOMES: Outcomes =
        Outcomes { durable: ResponseType::Changed, given_back: ResponseType::ServiceUnavailable };
    let proved = match trust {
        Trust::Sealed(keys) => Some(sealed::open(request.payload(), keys)?),
        Trust::InTheClear => None,
    };
    let read = || {
        let profile = wanted(request, trust)?;
        let opened = match &proved {
            Some(sealed) => sealed.opened(sealed.acknowledgement()),
            None => trust.open(profile, request.payload(), true),
        };
        Ok((profile, opened?))
    };
    match read() {
        Ok((profile, mut opened)) => {
            let late = if proved.is_some() { Late::UntilAcknowledged } else { Late::Once };
            let exchange = request.exchange(late, OUTCOMES, std::mem::take(&mut opened.acknowledgement));
            Ok(Inbound::Uplink(profile, opened, Answer::Coap(Box::new(exchange))))
        }
        // Section 5.4.1: such a message is dropped without a word.
        Err(refusal @ Refusal::CriticalOption(_)) if !request.confirmable => Err(refusal),
        Err(refusal) => Ok(request.refuse(refusal)),
    }
}

/// The profile that the request is for.
fn wanted(request: &Request<'_>, trust: &Trust) -> Result<&'static Profile, Refusal> {
    let profile = profile::find(Network::Nbiot, request.path()?).ok_or(Refusal::Path)?;
    if matches!(trust, Trust::InTheClear) && profile.codec.identify.is_none() {
        return Err(Refusal::Path);
    }
    if request.method == RequestType::Post { Ok(profile) } else { Err(Refusal::Method) }
}

fn code(refusal: &Refusal) -> ResponseType {
    match refusal {
        Refusal::CriticalOption(_) => ResponseType::BadOption,
        Refusal::Path => ResponseType::NotFound,
        Refusal::Method => ResponseType::MethodNotAllowed,
        Refusal::Payload(_) => ResponseType::RequestEntityTooLarge,
        _ => ResponseType::BadRequest,
    }
}

fn message(kind: MessageType, code: MessageClass, message_id: u16, token: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut packet = Packet::new();
    packet.header.set_type(kind);
    packet.header.code = code;
    packet.header.message_id = message_id;
    packet.set_token(token.to_vec());
    packet.payload = payload.to_vec();
    // It fails for a token of more than 8 bytes, which was not read either, and for more than 1,280 bytes.
    packet.to_bytes().unwrap_or_default()
}
