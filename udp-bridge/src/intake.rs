//! Receives datagrams and hands on those that are somebody's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use shared::at::At;
use shared::envelope;
use shared::ports::StreamRecord;
use shared::profile::Profile;
use shared::uplink::{Kind, Payload, TimeSource, Uplink};
use tokio::net::UdpSocket;
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;

use crate::arrivals::Arrivals;
use crate::protocol::{Opened, Protocol, Refusal};
use crate::tally::Tally;

/// The longest datagram taken. NB-IoT carries at most 1,600 bytes in one packet.
const MAX_DATAGRAM: usize = 2048;

const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(5);

/// Where the datagrams of one profile come in.
#[derive(Debug)]
pub struct Listener {
    /// What sends them.
    pub profile: &'static Profile,
    /// How they are read.
    pub protocol: Protocol,
    /// Where.
    pub socket: Arc<UdpSocket>,
}

/// A record that is not durable yet, and whom to tell once it is.
#[derive(Debug)]
pub struct Pending {
    /// For the stream.
    pub record: StreamRecord,
    /// For the meter, afterwards.
    pub reply: Reply,
}

/// An acknowledgement and where it goes.
#[derive(Debug)]
pub struct Reply {
    acknowledgement: Vec<u8>,
    socket: Arc<UdpSocket>,
    peer: SocketAddr,
}

impl Reply {
    /// Acknowledges. A datagram back that gets lost is no different from one that cannot be sent: the meter repeats.
    pub async fn send(&self) {
        if let Err(e) = self.socket.send_to(&self.acknowledgement, self.peer).await {
            tracing::debug!(reason = %e, "acknowledgement not sent");
        }
    }
}

/// Receives until it is dropped. What finds no room in the queue is not acknowledged, and counted.
pub async fn receive(listener: Listener, queue: Sender<Pending>, tally: Arc<Tally>) {
    let mut arrivals = Arrivals::new(now());
    // One byte more than is taken, so that a datagram that was cut off can be told from one that just fits.
    let mut buffer = [0; MAX_DATAGRAM + 1];
    loop {
        let (len, peer) = match listener.socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // Some systems report an ICMP answer to an earlier acknowledgement here, which says nothing about the next
            // datagram. An error that stays must not keep a processor busy.
            Err(e) => {
                tracing::debug!(reason = %e, "not received");
                sleep(PAUSE_AFTER_ERROR).await;
                continue;
            }
        };
        tally.count(|counts| counts.received += 1);
        match record(&listener, &buffer[..len], &mut arrivals) {
            Ok((record, acknowledgement)) => {
                let reply = Reply { acknowledgement, socket: Arc::clone(&listener.socket), peer };
                if queue.try_send(Pending { record, reply }).is_err() {
                    tally.count(|counts| counts.given_back += 1);
                }
            }
            // Whoever floods us with noise must not flood the log as well: the counter tells.
            Err(refusal) => {
                tracing::debug!(reason = %refusal, len, "refused");
                tally.count(|counts| counts.refused += 1);
            }
        }
    }
}

fn record(listener: &Listener, datagram: &[u8], arrivals: &mut Arrivals) -> Result<(StreamRecord, Vec<u8>), Refusal> {
    if datagram.len() > MAX_DATAGRAM {
        return Err(shared::uplink::UplinkError::TooLong(datagram.len()).into());
    }
    let Opened { device, clock, sequence, radio, payload, acknowledgement } = listener.protocol.open(datagram)?;
    let (at, time_source) = match clock {
        Some(clock) => (clock, TimeSource::Device),
        None => (arrivals.first(datagram, now()), TimeSource::Network),
    };
    let uplink = Uplink {
        device,
        kind: Kind::Data,
        at,
        time_source,
        sequence,
        profile: listener.profile.name.parse()?,
        payload: Payload::from_bytes(&payload)?,
        radio,
    };
    // The device is the partition key, so its uplinks keep their order and the fleet spreads over the shards.
    let record = StreamRecord { partition_key: device.to_string(), data: envelope::of_one(&uplink).into_bytes() };
    Ok((record, acknowledgement))
}

fn now() -> At {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(seconds).ok().and_then(|seconds| At::from_unix(seconds).ok()).unwrap_or(At::EPOCH)
}
