//! Tells senders what became of their uplinks.

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

/// After so long a CoAP client is told that its answer comes later. It would repeat itself after two seconds at the
/// earliest (RFC 7252, section 4.8: `ACK_TIMEOUT`).
pub const PIGGYBACK: Duration = Duration::from_secs(1);

/// How long acknowledgements wait for room in the kernel.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);

/// Who is to be told, and how.
#[derive(Debug)]
pub struct Reply {
    /// Whom.
    pub peer: SocketAddr,
    /// What.
    pub answer: Answer,
}

/// What the requests of a pack are told when their answer takes long, if they are told anything ([`Late`]).
#[derive(Debug, Default)]
pub struct Deferral(AtomicU8);

const WAITING: u8 = 0;
const DEFERRED: u8 = 1;
const ANSWERED: u8 = 2;

impl Deferral {
    /// Sees to it that the requests of a pack that may be told so, if there are any, are told that their answers come later,
    /// once that is so.
    pub fn start(pack: &Pack, runtime: &Handle) -> Option<Arc<Self>> {
        let patient = |reply: &Reply| match &reply.answer {
            Answer::Coap(exchange) if exchange.late() != Late::Silence => Some((reply.peer, exchange.arrived())),
            _ => None,
        };
        let arrived: Vec<_> = pack.replies.iter().filter_map(patient).collect();
        if arrived.is_empty() {
            return None;
        }
        let (deferral, late, socket) = (Arc::new(Self::default()), pack.since + PIGGYBACK, Arc::clone(&pack.socket));
        let this = Arc::clone(&deferral);
        runtime.spawn(async move {
            sleep_until(late).await;
            if this.0.compare_exchange(WAITING, DEFERRED, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                socket.send(&borrowed(&arrived), Duration::ZERO);
            }
        });
        Some(deferral)
    }

    /// Takes note that the answers go out now, and tells whether the clients were told to wait.
    fn ends(&self) -> bool {
        self.0.swap(ANSWERED, Ordering::AcqRel) == DEFERRED
    }
}

/// Tells the senders of a pack, and returns to how many of them an acknowledgement has gone out. What did not become
/// durable is not acknowledged; who speaks CoAP is told so, the others find out by waiting.
pub fn send(pack: &mut Pack, durable: bool, separate: &Arc<Separate>) -> usize {
    let socket = &pack.socket;
    let deferred = pack.deferral.as_deref().is_some_and(Deferral::ends);
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
    let gone = socket.send(&borrowed(&datagrams), SEND_TIMEOUT) + later;
    if durable { gone } else { 0 }
}

fn borrowed(datagrams: &[(SocketAddr, Vec<u8>)]) -> Vec<(SocketAddr, &[u8])> {
    datagrams.iter().map(|(peer, bytes)| (*peer, bytes.as_slice())).collect()
}
