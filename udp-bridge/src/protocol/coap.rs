//! CoAP (RFC 7252): `POST /{profile}`, with an uplink as its payload.
//!
//! The bridge answers a confirmable request with 2.04 once the uplink is durable: piggybacked in the ACK if that is
//! soon, otherwise in a separate response, after an empty ACK that stops the client's retransmissions. It answers a
//! non-confirmable request with a non-confirmable message. The 2.04 carries the acknowledgement that the meter would
//! get without CoAP: for a sealed uplink the sealed acknowledgement, which authenticates the bridge.
//!
//! An authenticated client gets the separate response until it acknowledges it. A client in the clear gets it once,
//! because its address may be forged: the response and the empty ACK together are shorter than the request. They are
//! two packets, though, and with the headers of UDP and IP up to one and a half times as long.
//!
//! Message IDs and addresses do not identify a client, because a carrier's NAT assigns them to one meter after another.
//! So the bridge does not look up repeated requests but processes them again: the same content is the same uplink.

use coap_lite::{CoapOption, MessageClass, MessageType, Packet, RequestType, ResponseType};
use pulsegate_model::device::Network;
use pulsegate_model::profile;
use pulsegate_model::profile::Profile;

use super::{Answer, Inbound, Refusal, Trust, sealed};

mod options;
#[cfg(test)]
mod tests;

pub use options::OptionError;

const VERSION: u8 = 1;

/// Length of an empty message: a header, and nothing behind it (section 4.1).
const EMPTY_LEN: usize = 4;

/// A request that waits for its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    confirmable: bool,
    late: Late,
    message_id: u16,
    token: Vec<u8>,
    block1: Option<Vec<u8>>,
    outcomes: Outcomes,
    acknowledgement: Vec<u8>,
}

/// How a late answer is sent to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// Without an empty ACK before it.
    Silence,
    /// An empty ACK, then the answer, once. A client that misses the answer sends its request again.
    Once,
    /// An empty ACK, then the answer, retransmitted until the client acknowledges it.
    UntilAcknowledged,
}

/// Response codes of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outcomes {
    /// If the uplink is durable.
    pub(super) durable: ResponseType,
    /// If the uplink did not become durable.
    pub(super) given_back: ResponseType,
}

impl Exchange {
    /// How a late answer is sent.
    pub fn late(&self) -> Late {
        self.late
    }

    /// The empty ACK: the request has arrived, and its answer comes later.
    pub fn arrived(&self) -> Vec<u8> {
        message(MessageType::Acknowledgement, MessageClass::Empty, self.message_id, &[], None, &[])
    }

    /// The answer without an empty ACK before it. `message_id` is a new ID of the bridge.
    pub fn answer(&self, durable: bool, message_id: u16) -> Vec<u8> {
        if self.confirmable {
            self.response(MessageType::Acknowledgement, self.outcome(durable), self.message_id)
        } else {
            self.response(MessageType::NonConfirmable, self.outcome(durable), message_id)
        }
    }

    /// The separate response, after [`Exchange::arrived`]. `message_id` is a new ID of the bridge.
    pub fn separate_answer(&self, durable: bool, message_id: u16) -> Vec<u8> {
        let kind = match self.late {
            Late::UntilAcknowledged => MessageType::Confirmable,
            Late::Once | Late::Silence => MessageType::NonConfirmable,
        };
        self.response(kind, self.outcome(durable), message_id)
    }

    /// An error, sent at once instead of the answer.
    pub(super) fn refused(&self, refusal: &Refusal) -> Vec<u8> {
        let kind = if self.confirmable { MessageType::Acknowledgement } else { MessageType::NonConfirmable };
        self.response(kind, code(refusal), self.message_id)
    }

    fn response(&self, kind: MessageType, code: ResponseType, message_id: u16) -> Vec<u8> {
        let (block1, payload) = if code.is_error() { (None, &[][..]) } else { (self.block1(), &*self.acknowledgement) };
        message(kind, MessageClass::Response(code), message_id, &self.token, block1, payload)
    }

    fn block1(&self) -> Option<(CoapOption, Vec<u8>)> {
        Some((CoapOption::Block1, self.block1.clone()?))
    }

    fn outcome(&self, durable: bool) -> ResponseType {
        if durable { self.outcomes.durable } else { self.outcomes.given_back }
    }
}

/// A parsed CoAP request. Path and payload are not checked yet.
pub(super) struct Request<'a> {
    packet: &'a Packet,
    /// Length of the datagram.
    len: usize,
    /// Method.
    pub(super) method: RequestType,
    /// True if the client retransmits until it gets an answer.
    pub(super) confirmable: bool,
}

impl Request<'_> {
    /// Returns the segments of the path. Rejects options that the bridge cannot serve.
    pub(super) fn path(&self) -> Result<Vec<&str>, Refusal> {
        options::path(self.packet)
    }

    /// Payload.
    pub(super) fn payload(&self) -> &[u8] {
        &self.packet.payload
    }

    /// Returns an exchange that waits for the result of the put. A non-confirmable request never gets an empty ACK.
    pub(super) fn exchange(&self, late: Late, outcomes: Outcomes, acknowledgement: Vec<u8>) -> Exchange {
        let Self { packet, confirmable, .. } = *self;
        let (message_id, token) = (packet.header.message_id, packet.get_token().to_vec());
        let late = if confirmable { late } else { Late::Silence };
        let block1 = options::whole_body(packet);
        Exchange { confirmable, late, message_id, token, block1, outcomes, acknowledgement }
    }

    /// Builds the answer to a question, to send at once.
    pub(super) fn answer(&self, code: ResponseType, payload: &[u8]) -> Vec<u8> {
        let block1 = options::whole_body(self.packet).map(|value| (CoapOption::Block1, value));
        self.immediate(code, block1, payload)
    }

    /// Rejects the request, with the error code of the refusal as the answer.
    pub(super) fn refuse(&self, refusal: Refusal) -> Inbound {
        let size = (refusal == Refusal::Option(OptionError::SeveralBlocks))
            .then(|| (CoapOption::Size1, options::max_body(self.packet, self.len)));
        let answer = self.immediate(code(&refusal), size, &[]);
        Inbound::Wrong(refusal, answer)
    }

    fn immediate(&self, code: ResponseType, option: Option<(CoapOption, Vec<u8>)>, payload: &[u8]) -> Vec<u8> {
        let kind = if self.confirmable { MessageType::Acknowledgement } else { MessageType::NonConfirmable };
        // A non-confirmable answer should have an ID of the bridge; any ID will do, because the client does not answer
        // it.
        let message_id = self.packet.header.message_id;
        message(kind, MessageClass::Response(code), message_id, self.packet.get_token(), option, payload)
    }
}

/// Parses a message with an uplink of a profile. A sealed uplink gets no answer, not even an error for the request
/// around it, unless its tag is valid.
pub(super) fn hear(datagram: &[u8], trust: &Trust) -> Result<Inbound, Refusal> {
    read(datagram, trust, |request| for_profile(request, trust))
}

/// Parses a message, and passes a request to `serve`.
pub(super) fn read(
    datagram: &[u8],
    trust: &Trust,
    serve: impl FnOnce(&Request<'_>) -> Result<Inbound, Refusal>,
) -> Result<Inbound, Refusal> {
    if !options::has_few(datagram) {
        return Err(Refusal::NotCoap);
    }
    let packet = Packet::from_bytes(datagram).map_err(|_| Refusal::NotCoap)?;
    let kind = packet.header.get_type();
    if packet.header.get_version() != VERSION {
        return Err(Refusal::NotCoap);
    }
    match (kind, packet.header.code) {
        (MessageType::Acknowledgement | MessageType::Reset, MessageClass::Empty) if datagram.len() == EMPTY_LEN => {
            Ok(Inbound::Settled(packet.header.message_id))
        }
        (MessageType::Confirmable | MessageType::NonConfirmable, MessageClass::Request(method)) => {
            serve(&request(&packet, method, datagram.len()))
        }
        // Section 5.8: a method that nobody has defined yet is a request, to be answered 4.05.
        (MessageType::Confirmable | MessageType::NonConfirmable, MessageClass::Reserved(1..=31)) => {
            serve(&request(&packet, RequestType::UnKnown, datagram.len()))
        }
        // Section 4.3. The empty message is a ping.
        (MessageType::Confirmable, code) if matches!(trust, Trust::InTheClear) => {
            let reset = message(MessageType::Reset, MessageClass::Empty, packet.header.message_id, &[], None, &[]);
            let is_ping = code == MessageClass::Empty && datagram.len() == EMPTY_LEN;
            Ok(if is_ping { Inbound::Asked(Some(reset)) } else { Inbound::Wrong(Refusal::NotCoap, reset) })
        }
        _ => Err(Refusal::NotCoap),
    }
}

fn request(packet: &Packet, method: RequestType, len: usize) -> Request<'_> {
    let confirmable = packet.header.get_type() == MessageType::Confirmable;
    Request { packet, len, method, confirmable }
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
        // Section 5.4.1: such a message is dropped without an answer.
        Err(refusal @ Refusal::CriticalOption(_)) if !request.confirmable => Err(refusal),
        Err(refusal) => Ok(request.refuse(refusal)),
    }
}

/// Returns the profile that the path names.
fn wanted(request: &Request<'_>, trust: &Trust) -> Result<&'static Profile, Refusal> {
    let [name] = request.path()?[..] else { return Err(Refusal::Path) };
    let profile = profile::find(Network::Nbiot, name).ok_or(Refusal::Path)?;
    if matches!(trust, Trust::InTheClear) && profile.codec.identify.is_none() {
        return Err(Refusal::Path);
    }
    if request.method == RequestType::Post { Ok(profile) } else { Err(Refusal::Method) }
}

fn code(refusal: &Refusal) -> ResponseType {
    match refusal {
        Refusal::CriticalOption(_) => ResponseType::BadOption,
        Refusal::Option(error) => error.code(),
        Refusal::Path => ResponseType::NotFound,
        Refusal::Method => ResponseType::MethodNotAllowed,
        Refusal::Payload(_) | Refusal::TooManyMeters(_) => ResponseType::RequestEntityTooLarge,
        _ => ResponseType::BadRequest,
    }
}

fn message(
    kind: MessageType,
    code: MessageClass,
    message_id: u16,
    token: &[u8],
    option: Option<(CoapOption, Vec<u8>)>,
    payload: &[u8],
) -> Vec<u8> {
    let mut packet = Packet::new();
    packet.header.set_type(kind);
    packet.header.code = code;
    packet.header.message_id = message_id;
    packet.set_token(token.to_vec());
    if let Some((number, value)) = option {
        packet.add_option(number, value);
    }
    packet.payload = payload.to_vec();
    // It fails for a token of more than 8 bytes, which is not parsed either, and for more than 1,280 bytes.
    packet.to_bytes().unwrap_or_default()
}
