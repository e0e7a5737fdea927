//! Uplinks put together into one record of the stream, and who is told once it is durable.

use std::sync::Arc;

use pulsegate_model::aggregate::{Aggregator, StreamRecord};
use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use crate::answer::{Deferral, Reply};
use crate::socket::Socket;

/// A record that is on its way, and the replies that wait for it.
#[derive(Debug)]
pub struct Pack {
    /// For the stream.
    pub record: StreamRecord,
    /// For the meters, afterwards: none for those that could not be told anyway.
    pub replies: Vec<Reply>,
    /// When its first datagram came.
    pub since: Instant,
    /// Where its datagrams came in, and its replies go out.
    pub socket: Arc<Socket>,
    /// Whether confirmable requests in it were told to wait, if there are any.
    pub deferral: Option<Arc<Deferral>>,
    datagrams: usize,
}

impl Pack {
    /// How many datagrams are in it.
    pub fn datagrams(&self) -> usize {
        self.datagrams
    }

    /// What it takes up in memory, about.
    pub fn weight(&self) -> usize {
        /// The most that a reply takes, with what it points to: one that is a CoAP exchange.
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
    /// An empty one, for the datagrams of this socket.
    pub fn new(socket: Arc<Socket>) -> Self {
        Self { record: Aggregator::default(), replies: Vec::new(), datagrams: 0, since: None, socket }
    }

    /// When its first datagram came, if there is one.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Whether an uplink's record of this length may still come in.
    pub fn has_room_for(&self, len: usize) -> bool {
        self.record.has_room_for(len)
    }

    /// Puts an uplink's record behind the others. The first one's device is the key, as good as one by chance, so that packs
    /// spread over the shards.
    pub fn add(&mut self, device: DeviceId, uplink: &[u8], reply: Option<Reply>) {
        self.since.get_or_insert_with(Instant::now);
        self.record.add(|| device.to_string(), uplink);
        self.replies.extend(reply);
        self.datagrams += 1;
    }

    /// The pack, if anything is in it; and begins with the next.
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
