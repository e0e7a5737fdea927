//! Answers the senders of uplinks once the result of the put is known.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep_until;

use crate::pack::Pack;
use crate::protocol::Answer;
use crate::protocol::coap::Late;
use crate::separate::Separate;

/// After this time a CoAP client gets an empty ACK, and its answer later. A client retransmits after two seconds at the
/// earliest (RFC 7252, section 4.8: `ACK_TIMEOUT`).
pub const PIGGYBACK_TIMEOUT: Duration = Duration::from_secs(1);

/// How long acknowledgements wait for space in the kernel's send buffer.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);

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
    /// Starts a timer that sends an empty ACK to each waiting CoAP request of the pack. Returns `None` if the pack has
    /// no request that may be deferred.
    pub fn start(pack: &Pack, runtime: &Handle) -> Option<Arc<Self>> {
        let deferrable = |reply: &Reply| match &reply.answer {
            Answer::Coap(exchange) if exchange.late() != Late::Silence => Some((reply.peer, exchange.arrived())),
            _ => None,
        };
        let arrived: Vec<_> = pack.replies.iter().filter_map(deferrable).collect();
        if arrived.is_empty() {
            return None;
        }
        let (deferral, late, socket) =
            (Arc::new(Self::default()), pack.since + PIGGYBACK_TIMEOUT, Arc::clone(&pack.socket));
        let this = Arc::clone(&deferral);
        runtime.spawn(async move {
            sleep_until(late).await;
            if this.0.compare_exchange(WAITING, DEFERRED, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                socket.send(&borrowed(&arrived), Duration::ZERO);
            }
        });
        Some(deferral)
    }

    /// Records that the answers are sent now. Returns whether the empty ACKs were sent before.
    fn end(&self) -> bool {
        self.0.swap(ANSWERED, Ordering::AcqRel) == DEFERRED
    }
}

/// Answers the senders of a pack, and returns the number of acknowledgements sent. Uplinks that did not become durable
/// are not acknowledged: CoAP clients get an error code, other meters get nothing and send again.
pub fn send(pack: &mut Pack, durable: bool, separate: &Arc<Separate>) -> usize {
    let socket = &pack.socket;
    let deferred = pack.deferral.as_deref().is_some_and(Deferral::end);
    let mut later = 0;
    let mut datagrams = Vec::with_capacity(pack.replies.len());
    for Reply { peer, answer } in pack.replies.drain(..) {
        match answer {
            Answer::Datagram(bytes) if durable && !bytes.is_empty() => datagrams.push((peer, bytes)),
            Answer::Datagram(_) => {}
            Answer::Coap(exchange) => {
                let message_id = separate.next_id();
                let late = if deferred { exchange.late() } else { Late::Silence };
                match late {
                    Late::Silence => datagrams.push((peer, exchange.answer(durable, message_id))),
                    Late::Once => datagrams.push((peer, exchange.separate_answer(durable, message_id))),
                    Late::UntilAcknowledged => {
                        let answer = exchange.separate_answer(durable, message_id);
                        later += separate.deliver(Arc::clone(socket), peer, message_id, answer);
                    }
                }
            }
        }
    }
    let sent = socket.send(&borrowed(&datagrams), SEND_TIMEOUT) + later;
    if durable { sent } else { 0 }
}

fn borrowed(datagrams: &[(SocketAddr, Vec<u8>)]) -> Vec<(SocketAddr, &[u8])> {
    datagrams.iter().map(|(peer, bytes)| (*peer, bytes.as_slice())).collect()
}
