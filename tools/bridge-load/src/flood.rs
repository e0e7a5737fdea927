//! A flood of unauthenticated datagrams: noise, truncated and forged envelopes, the longest and the empty datagram. None may
//! get an answer.

use std::io;
use std::net::{SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use fastrand::Rng;

use crate::net::{BATCH, ReceiveBatch, SendBatch, udp_socket};
use crate::readings::{Meters, UPLINK_LEN};

const SOCKETS: usize = 16;

/// The longest payload of a UDP datagram over IPv4 (RFC 768 and RFC 791).
const LARGEST: usize = 65_507;

/// One batch in this many is of the largest datagrams. More would keep the kernel busy with copying.
const LARGE_ONES: usize = 256;

/// How long to wait for an answer to the last datagrams.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// The first counter of forged readings. No fleet gets there, so a stored one is forged.
const FOREIGN: u64 = 1 << 30;

/// The counts of a flood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Datagrams sent.
    pub sent: u64,
    /// Answers got.
    pub answered: u64,
}

/// A running flood.
pub struct Flood {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Tally>>,
}

impl Flood {
    /// Starts sending to `to`, as fast as possible.
    ///
    /// # Errors
    /// If a socket fails.
    pub fn start(to: SocketAddrV4, meters: Arc<Meters>, seed: u64) -> io::Result<Self> {
        let sockets = (0..SOCKETS).map(|_| udp_socket(0, false)).collect::<io::Result<Vec<_>>>()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || flood(&sockets, to, &meters, Rng::with_seed(seed), &stopped));
        Ok(Self { stop, thread })
    }

    /// Stops it and returns its counts.
    ///
    /// # Errors
    /// If a socket fails.
    pub fn stop(self) -> io::Result<Tally> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| io::Error::other("the thread of the flood panicked"))?
    }
}

fn flood(
    sockets: &[UdpSocket],
    to: SocketAddrV4,
    meters: &Meters,
    mut rng: Rng,
    stopped: &AtomicBool,
) -> io::Result<Tally> {
    let mut tally = Tally::default();
    let (mut outbox, mut inbox) = (SendBatch::default(), ReceiveBatch::<64>::default());
    for round in 0.. {
        if stopped.load(Ordering::Relaxed) {
            break;
        }
        let socket = &sockets[round % SOCKETS];
        if round % LARGE_ONES == 0 {
            outbox.push(&vec![0x01; LARGEST], to);
        } else {
            (0..BATCH).for_each(|_| outbox.push(&unauthenticated(meters, &mut rng), to));
        }
        tally.sent += if round % LARGE_ONES == 0 { 1 } else { BATCH as u64 };
        outbox.send(socket)?;
        inbox.drain(socket, |_, _| tally.answered += 1)?;
    }
    std::thread::sleep(AFTERWARDS);
    for socket in sockets {
        inbox.drain(socket, |_, _| tally.answered += 1)?;
    }
    Ok(tally)
}

/// A datagram that does not authenticate.
fn unauthenticated(meters: &Meters, rng: &mut Rng) -> Vec<u8> {
    let mut sealed = meters.uplink(FOREIGN * meters.count() + rng.u64(..meters.count())).to_vec();
    match rng.u8(..6) {
        0 => Vec::new(),
        1 => (0..rng.usize(..256)).map(|_| rng.u8(..)).collect(),
        2 => sealed[..rng.usize(..UPLINK_LEN)].to_vec(),
        // Under a master key that does not exist.
        3 => {
            sealed[1] = 2;
            sealed
        }
        // With trailing bytes.
        4 => [sealed, vec![0; rng.usize(1..32)]].concat(),
        _ => {
            sealed[rng.usize(..UPLINK_LEN)] ^= 1 << rng.u8(..8);
            sealed
        }
    }
}

#[cfg(test)]
mod tests {
    use test_kit::sealed::MasterKey;

    use super::*;

    #[test]
    fn no_stranger_proves_itself() {
        let (meters, master, mut rng) = (Meters::new(4), MasterKey::default(), Rng::with_seed(7));
        for _ in 0..10_000 {
            let datagram = unauthenticated(&meters, &mut rng);
            assert_eq!(master.acknowledgement(&datagram, 0), None, "{datagram:02x?}");
        }
    }
}
