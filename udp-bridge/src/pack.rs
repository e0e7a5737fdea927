//! Packs: several uplinks in one record of the stream, with the replies to send once it is durable. Records of rejected
//! datagrams travel with them.

use std::net::SocketAddr;
use std::sync::Arc;

use pulsegate_model::aggregate::{Aggregator, StreamRecord};
use pulsegate_model::device::DeviceId;
use pulsegate_model::record;
use pulsegate_model::uplink::Uplink;
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
    /// Number of uplinks in the record.
    pub uplinks: usize,
    /// Number of rejected datagrams in the record, on their way to quarantine.
    pub rejected: usize,
}

impl Pack {
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
    uplinks: usize,
    rejected: usize,
    since: Option<Instant>,
    socket: Arc<Socket>,
}

/// The encoded uplinks of one datagram. It is filled again for each, so that a datagram needs no memory of its own.
#[derive(Debug, Default)]
pub struct Encoded {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Encoded {
    /// Removes all uplinks.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Appends an uplink.
    pub fn push(&mut self, uplink: &Uplink) {
        record::encode(uplink, &mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Number of uplinks.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True if there are no uplinks.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The record of each uplink.
    fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }
}

impl Filling {
    /// An empty pack for datagrams of this socket.
    pub fn new(socket: Arc<Socket>) -> Self {
        Self { record: Aggregator::default(), replies: Vec::new(), uplinks: 0, rejected: 0, since: None, socket }
    }

    /// Arrival of the first datagram; `None` if the pack is empty.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    /// True if all these uplinks still fit.
    pub fn has_room_for(&self, uplinks: &Encoded) -> bool {
        self.record.has_room_for_all(uplinks.records().map(<[u8]>::len))
    }

    /// True if a record of this length still fits.
    pub fn has_room_for_record(&self, len: usize) -> bool {
        self.record.has_room_for(len)
    }

    /// Appends the uplinks of one datagram, and its reply, which so waits for all of them. The device of a pack's first
    /// uplink is the partition key; that spreads packs over the shards as well as a random key.
    pub fn add(&mut self, device: DeviceId, uplinks: &Encoded, reply: Option<Reply>) {
        self.since.get_or_insert_with(Instant::now);
        uplinks.records().for_each(|uplink| self.record.add(|| device.to_string(), uplink));
        self.replies.extend(reply);
        self.uplinks += uplinks.len();
    }

    /// Appends the record of a rejected datagram.
    pub fn add_rejected(&mut self, sender: Option<SocketAddr>, record: &str) {
        self.since.get_or_insert_with(Instant::now);
        let sender = || sender.map_or_else(|| "unknown".to_owned(), |sender| sender.to_string());
        self.record.add(sender, record.as_bytes());
        self.rejected += 1;
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
            uplinks: std::mem::take(&mut self.uplinks),
            rejected: std::mem::take(&mut self.rejected),
        })
    }
}
