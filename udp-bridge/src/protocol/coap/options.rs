//! Options of a request: its path, and the critical ones, which a server must not ignore (RFC 7252, section 5.4.1).
//!
//! A known option is treated as its RFC says. The bridge has no representations, so most of them change nothing. Options
//! with even numbers are elective: the bridge ignores those of them that it does not need. docs/nbiot-protocol.md has the
//! table.

use coap_lite::{CoapOption, Packet, ResponseType};

use crate::protocol::Refusal;
use crate::socket::MAX_DATAGRAM;

#[cfg(test)]
mod tests;

/// More options than a client sends: a request needs one.
pub(super) const MAX_OPTIONS: usize = 16;

/// Critical options that change nothing here. Uri-Host and Uri-Port: the bridge is one host. Uri-Query: its resources have
/// no parameters. Accept (section 5.10.4): a 2.04 and a 2.01 are no representations, and the time of Efento's `t` has only
/// one form. 2049 and 2053, OCF-Accept-Content-Format-Version and OCF-Content-Format-Version, refine Accept and
/// Content-Format.
const IGNORED: [CoapOption; 6] = [
    CoapOption::UriHost,
    CoapOption::UriPort,
    CoapOption::UriQuery,
    CoapOption::Accept,
    CoapOption::Unknown(2049),
    CoapOption::Unknown(2053),
];

/// Critical options that [`path`] reads. OSCORE, EDHOC, Q-Block1 and Q-Block2 are not known: by a 4.02 a client learns to do
/// without them (RFC 9177, section 4.1).
const READ: [CoapOption; 7] = [
    CoapOption::UriPath,
    CoapOption::IfMatch,
    CoapOption::IfNoneMatch,
    CoapOption::Block1,
    CoapOption::Block2,
    CoapOption::ProxyUri,
    CoapOption::ProxyScheme,
];

/// The value of SZX that is reserved (RFC 7959, section 2.2).
const RESERVED_SZX: u8 = 7;

/// The reason for which a request is rejected for an option that the bridge knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// If-Match with a tag, or If-None-Match (RFC 7252, section 5.10.8).
    #[error("the condition in If-Match or If-None-Match is not fulfilled")]
    Condition,
    /// Proxy-Uri or Proxy-Scheme (RFC 7252, section 5.10.2).
    #[error("the bridge is not a proxy")]
    Proxy,
    /// A reserved block size, or a later block of an answer that has only one.
    #[error("the block option has a reserved size, or asks for a block that the answer does not have")]
    Block,
    /// The first of several blocks.
    #[error("the body comes in several blocks: send it in one message")]
    SeveralBlocks,
    /// A later block. The bridge keeps none of those before it.
    #[error("a later block of a body: send the body in one message")]
    LaterBlock,
}

impl OptionError {
    /// The code of the answer.
    pub(super) fn code(self) -> ResponseType {
        match self {
            Self::Condition => ResponseType::PreconditionFailed,
            Self::Proxy => ResponseType::ProxyingNotSupported,
            Self::Block => ResponseType::BadRequest,
            // RFC 7959, sections 2.9.3 and 2.9.2.
            Self::SeveralBlocks => ResponseType::RequestEntityTooLarge,
            Self::LaterBlock => ResponseType::RequestEntityIncomplete,
        }
    }
}

/// Value of a block option (RFC 7959, section 2.2).
struct Block {
    number: u32,
    more: bool,
    szx: u8,
}

/// Returns the segments of the path. Modules and command lines write a path with slashes before, within or behind its
/// segments. No path of the bridge has an empty segment, so these are left out.
///
/// # Errors
/// [`Refusal::CriticalOption`], [`Refusal::Path`] for a path without segments, [`Refusal::Option`].
pub(super) fn path(packet: &Packet) -> Result<Vec<&str>, Refusal> {
    if let Some((&number, _)) = packet.options().find(|&(&number, _)| is_critical(number) && !is_known(number)) {
        return Err(Refusal::CriticalOption(number));
    }
    let mut path = Vec::new();
    for part in packet.get_option(CoapOption::UriPath).into_iter().flatten() {
        let part = std::str::from_utf8(part).map_err(|_| Refusal::Path)?;
        path.extend(part.split('/').filter(|segment| !segment.is_empty()));
    }
    if path.is_empty() {
        return Err(Refusal::Path);
    }
    // After the path, so that the Size1 of an answer has a path in the request that is at least as long.
    check(packet)?;
    Ok(path)
}

/// Section 5.4.6.
fn is_critical(number: u16) -> bool {
    number % 2 == 1
}

fn is_known(number: u16) -> bool {
    let option = CoapOption::from(number);
    IGNORED.contains(&option) || READ.contains(&option)
}

fn check(packet: &Packet) -> Result<(), Refusal> {
    let has = |option| packet.get_option(option).is_some();
    if has(CoapOption::ProxyUri) || has(CoapOption::ProxyScheme) {
        return Err(OptionError::Proxy.into());
    }
    // The resource exists, and has no tags. An empty If-Match asks for its existence only.
    let tags = packet.get_option(CoapOption::IfMatch);
    if has(CoapOption::IfNoneMatch) || tags.is_some_and(|tags| tags.iter().all(|tag| !tag.is_empty())) {
        return Err(OptionError::Condition.into());
    }
    match block(packet, CoapOption::Block1)? {
        Some(Block { number: 1.., .. }) => return Err(OptionError::LaterBlock.into()),
        Some(Block { more: true, .. }) => return Err(OptionError::SeveralBlocks.into()),
        _ => {}
    }
    match block(packet, CoapOption::Block2)? {
        Some(Block { number: 1.., .. }) => Err(OptionError::Block.into()),
        // A client that states its block size early (RFC 7959, section 2.4); an answer fits in one block.
        _ => Ok(()),
    }
}

/// Returns the value of the Block1 option that acknowledges the whole body as block 0, if the request has one: its size,
/// and no more blocks (RFC 7959, section 2.3).
pub(super) fn whole_body(packet: &Packet) -> Option<Vec<u8>> {
    let szx = block(packet, CoapOption::Block1).ok()??.szx;
    Some(uint(szx.into()))
}

/// Returns the value of the Size1 option of a 4.13 (RFC 7959, section 4): the longest body of a message with these options.
pub(super) fn max_body(packet: &Packet, datagram: usize) -> Vec<u8> {
    let head = datagram.saturating_sub(packet.payload.len());
    uint(u16::try_from(MAX_DATAGRAM.saturating_sub(head)).unwrap_or(u16::MAX))
}

fn block(packet: &Packet, option: CoapOption) -> Result<Option<Block>, Refusal> {
    let Some(values) = packet.get_option(option) else { return Ok(None) };
    let value = match values.front() {
        Some(value) if values.len() == 1 && value.len() <= 3 => value,
        // Sections 5.4.3 and 5.4.5: a wrong length and a repetition count as an unknown option.
        _ => return Err(Refusal::CriticalOption(option.into())),
    };
    let last = value.last().copied().unwrap_or_default();
    let szx = last & 0x07;
    if szx == RESERVED_SZX {
        return Err(OptionError::Block.into());
    }
    let number = value.iter().fold(0_u32, |number, &byte| number << 8 | u32::from(byte)) >> 4;
    Ok(Some(Block { number, more: last & 0x08 != 0, szx }))
}

/// Section 3.2: without leading zeros, so that 0 is empty.
fn uint(value: u16) -> Vec<u8> {
    value.to_be_bytes().into_iter().skip_while(|&byte| byte == 0).collect()
}

/// True if the message has at most [`MAX_OPTIONS`] options. Its sender is not authenticated yet, and parsing 2,000
/// options takes as long as checking 200 tags.
pub(super) fn has_few(datagram: &[u8]) -> bool {
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
