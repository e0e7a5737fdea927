//! Packs: several uplinks in one record of the stream, with the replies to send once it is durable.

use std::sync::Arc;

use pulsegate_model::aggregate::{Aggregator, StreamRecord};
use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use crate::reply::{Deferral, Reply};
use crate::socket::Socket;

/// A record to put, and the replies that wait for it.
#[derive(Debug)]
pub struct Pack {
    /// Record for the stream.
    pub record: StreamRecord,
    /// Replies to the meters. A datagram without a sender address has none.
    pub replies: Vec<Reply>,
    /// Arrival of the first datagram.
    pub since: Instant,
    /// Socket that received the datagrams and sends the replies.
    pub socket: Arc<Socket>,
    /// Timer for empty ACKs, if the pack has confirmable CoAP requests.
    pub deferral: Option<Arc<Deferral>>,
    datagrams: usize,
}

impl Pack {
    /// Number of datagrams in the pack.
    pub fn datagrams(&self) -> usize {
        self.datagrams
    }

    /// Approximate size in memory, in bytes.
    pub fn weight(&self) -> usize {
        /// Size of the largest reply, a CoAP exchange, with its heap data.
        const REPLY: usize = 200;
        self.record.data.len() + self.replies.len() * REPLY
    }
}

/// A pack that is being filled.
#[derive(Debug)]
pub struct Filling {
    record: Aggregator,
    replies: Vec<Reply>,
    datagrams: usize,
    since: Option<Instant>,
    socket: Arc<Socket>,
}

impl Filling {
    /// An empty pack for datagrams of this socket.
    pub fn new(socket: Arc<Socket>) -> Self {
        Self { record: Aggregator::default(), replies: Vec::new(), datagrams: 0, since: None, socket }
    }

    /// Arrival of the first datagram; `None` if the pack is empty.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    /// True if an uplink's record of this length still fits.
    pub fn has_room_for(&self, len: usize) -> bool {
        self.record.has_room_for(len)
    }

    /// Appends an uplink's record. The device of the first uplink is the partition key; that spreads packs over the
    /// shards as well as a random key.
    pub fn add(&mut self, device: DeviceId, uplink: &[u8], reply: Option<Reply>) {
        self.since.get_or_insert_with(Instant::now);
        self.record.add(|| device.to_string(), uplink);
        self.replies.extend(reply);
        self.datagrams += 1;
    }

    /// Takes the pack, and starts an empty one. Returns `None` if it is empty.
    pub fn close(&mut self) -> Option<Pack> {
        let record = self.record.close()?;
        Some(Pack {
            record,
            replies: std::mem::take(&mut self.replies),
            since: self.since.take()?,
            socket: Arc::clone(&self.socket),
            deferral: None,
            datagrams: std::mem::take(&mut self.datagrams),
        })
    }
}
