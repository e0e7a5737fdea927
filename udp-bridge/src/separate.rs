//! Separate CoAP responses: retransmitted until the client acknowledges them. Only authenticated clients get them; a
//! response to an address that may be forged is sent once.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::socket::Socket;

/// RFC 7252, section 4.8.
const ACK_TIMEOUT: Duration = Duration::from_secs(2);
const ACK_RANDOM_FACTOR: f64 = 1.5;
const MAX_RETRANSMIT: u32 = 4;

/// Maximum number of answers that wait for their acknowledgement. Above it, an answer is sent once: a client that
/// misses its answer sends the request again, and that is the same uplink.
const MAX_WAITING: usize = 10_000;

/// The answers that wait for their acknowledgement.
#[derive(Debug)]
pub struct Separate {
    waiting: Mutex<HashMap<(SocketAddr, u16), oneshot::Sender<()>>>,
    next_id: AtomicU16,
    runtime: Handle,
}

impl Separate {
    /// Creates an empty set. Retransmissions run on this runtime.
    pub fn new(runtime: Handle) -> Self {
        // The first ID is random, as the RFC advises (section 4.4): a client must not take the first answers after a
        // restart for repeated ones.
        Self { waiting: Mutex::default(), next_id: AtomicU16::new(fastrand::u16(..)), runtime }
    }

    /// Returns a message ID for a message of the bridge.
    pub fn next_id(&self) -> u16 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends an answer, and retransmits it until it is acknowledged or `MAX_RETRANSMIT` is reached. Returns 1 if the
    /// first datagram was sent, otherwise 0.
    pub fn deliver(self: &Arc<Self>, socket: Arc<Socket>, peer: SocketAddr, message_id: u16, answer: Vec<u8>) -> usize {
        let (settle, settled) = oneshot::channel();
        let waits = {
            let mut waiting = self.waiting();
            let room = waiting.len() < MAX_WAITING;
            if room {
                waiting.insert((peer, message_id), settle);
            }
            room
        };
        let sent = socket.send(&[(peer, &answer)], Duration::ZERO);
        if waits {
            let this = Arc::clone(self);
            self.runtime.spawn(async move {
                retransmit(settled, &socket, peer, &answer).await;
                this.waiting().remove(&(peer, message_id));
            });
        }
        sent
    }

    /// Stops the retransmission of an answer that the client has acknowledged or reset.
    pub fn settle(&self, peer: SocketAddr, message_id: u16) {
        self.waiting().remove(&(peer, message_id)); // drops the sender, which wakes the receiver
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<(SocketAddr, u16), oneshot::Sender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn retransmit(mut settled: oneshot::Receiver<()>, socket: &Socket, peer: SocketAddr, answer: &[u8]) {
    let mut pause = ACK_TIMEOUT.mul_f64(1.0 + (ACK_RANDOM_FACTOR - 1.0) * fastrand::f64());
    for _ in 0..MAX_RETRANSMIT {
        if timeout(pause, &mut settled).await.is_ok() {
            return;
        }
        socket.send(&[(peer, answer)], Duration::ZERO);
        pause *= 2;
    }
    if timeout(pause, settled).await.is_ok() {
        return;
    }
    tracing::debug!(%peer, "a separate response was never acknowledged");
}
