//! Replies that wait for the result of the put, and the timer that defers late CoAP replies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use crate::protocol::Answer;
use crate::protocol::coap::Late;
use crate::socket::Socket;

/// After this time a CoAP client gets an empty ACK, and its answer later. A client retransmits after two seconds at the
/// earliest (RFC 7252, section 4.8: `ACK_TIMEOUT`).
pub const PIGGYBACK_TIMEOUT: Duration = Duration::from_secs(1);

/// An answer that waits for the result of the put, with its destination.
#[derive(Debug)]
pub struct Reply {
    /// Destination.
    pub peer: SocketAddr,
    /// Content.
    pub answer: Answer,
}

/// State of a pack's CoAP requests: whether an empty ACK was sent because the answer is late ([`Late`]).
#[derive(Debug, Default)]
pub struct Deferral(AtomicU8);

const WAITING: u8 = 0;
const DEFERRED: u8 = 1;
const ANSWERED: u8 = 2;

impl Deferral {
    /// Starts a timer that sends an empty ACK to each waiting CoAP request of a pack. `since` is the arrival of its first
    /// datagram. Returns `None` if the pack has no request that may be deferred.
    pub fn start(replies: &[Reply], since: Instant, socket: &Arc<Socket>, runtime: &Handle) -> Option<Arc<Self>> {
        let deferrable = |reply: &Reply| match &reply.answer {
            Answer::Coap(exchange) if exchange.late() != Late::Silence => Some((reply.peer, exchange.arrived())),
            _ => None,
        };
        let arrived: Vec<_> = replies.iter().filter_map(deferrable).collect();
        if arrived.is_empty() {
            return None;
        }
        let (deferral, late, socket) = (Arc::new(Self::default()), since + PIGGYBACK_TIMEOUT, Arc::clone(socket));
        let this = Arc::clone(&deferral);
        runtime.spawn(async move {
            sleep_until(late).await;
            if this.0.compare_exchange(WAITING, DEFERRED, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                socket.send_all(&arrived, Duration::ZERO);
            }
        });
        Some(deferral)
    }

    /// Records that the answers are sent now. Returns whether the empty ACKs were sent before.
    pub fn end(&self) -> bool {
        self.0.swap(ANSWERED, Ordering::AcqRel) == DEFERRED
    }
}
