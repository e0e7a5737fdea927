//! Answers the senders of uplinks once the result of the put is known.

use std::sync::Arc;
use std::time::Duration;

use crate::pack::Pack;
use crate::protocol::Answer;
use crate::protocol::coap::Late;
use crate::reply::{Deferral, Reply};
use crate::separate::Separate;

/// How long acknowledgements wait for space in the kernel's send buffer.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);

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
    let sent = socket.send_all(&datagrams, SEND_TIMEOUT) + later;
    if durable { sent } else { 0 }
}
