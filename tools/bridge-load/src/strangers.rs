//! Send what is no reading: noise, torn and forged envelopes, too much and nothing. None of it may ever get an answer.

use std::io;
use std::net::{SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use fastrand::Rng;

use crate::readings::{Meters, UPLINK_LEN};
use crate::net::{BATCH, Inbox, Outbox, udp_socket};

const SOCKETS: usize = 16;

/// What IPv4 carries in a datagram (RFC 768 and RFC 791).
const LARGEST: usize = 65_507;

/// The largest make a kernel copy most, so that others would hardly get a turn: one in so many batches is of these.
const LARGE_ONES: usize = 256;

/// For how long an answer to the last of them may be on its way.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// Readings that no fleet gets to, so that one that is stored can only be a stranger's.
const FOREIGN: u64 = 1 << 30;

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Datagrams sent.
    pub sent: u64,
    /// Answers got.
    pub answered: u64,
}

/// Strangers at work.
pub struct Strangers {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Tally>>,
}

impl Strangers {
    /// Starts to send to `to`, as fast as it goes.
    ///
    /// # Errors
    /// The kernel's.
    pub fn start(to: SocketAddrV4, meters: Arc<Meters>, seed: u64) -> io::Result<Self> {
        let sockets = (0..SOCKETS).map(|_| udp_socket(0, false)).collect::<io::Result<Vec<_>>>()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || flood(&sockets, to, &meters, Rng::with_seed(seed), &stopped));
        Ok(Self { stop, thread })
    }

    /// Ends it, and tells what came of it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn stop(self) -> io::Result<Tally> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| io::Error::other("the strangers' thread panicked"))?
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
    let (mut outbox, mut inbox) = (Outbox::default(), Inbox::<64>::default());
    for round in 0.. {
        if stopped.load(Ordering::Relaxed) {
            break;
        }
        let socket = &sockets[round % SOCKETS];
        if round % LARGE_ONES == 0 {
            outbox.push(&vec![0x01; LARGEST], to);
        } else {
            (0..BATCH).for_each(|_| outbox.push(&stranger(meters, &mut rng), to));
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

/// A datagram that proves nothing.
fn stranger(meters: &Meters, rng: &mut Rng) -> Vec<u8> {
    let mut sealed = meters.uplink(FOREIGN * meters.count() + rng.u64(..meters.count())).to_vec();
    match rng.u8(..6) {
        0 => Vec::new(),
        1 => (0..rng.usize(..256)).map(|_| rng.u8(..)).collect(),
        2 => sealed[..rng.usize(..UPLINK_LEN)].to_vec(),
        // Under a master key that there is not.
        3 => {
            sealed[1] = 2;
            sealed
        }
        // With something behind it.
        4 => [sealed, vec![0; rng.usize(1..32)]].concat(),
        _ => {
            sealed[rng.usize(..UPLINK_LEN)] ^= 1 << rng.u8(..8);
            sealed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_kit::sealed::MasterKey;

    #[test]
    fn no_stranger_proves_itself() {
        let (meters, master, mut rng) = (Meters::new(4), MasterKey::default(), Rng::with_seed(7));
        for _ in 0..10_000 {
            let datagram = stranger(&meters, &mut rng);
            assert_eq!(master.acknowledgement(&datagram, 0), None, "{datagram:02x?}");
        }
    }
}
