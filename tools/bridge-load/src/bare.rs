//! The baseline of the benchmark: receives a datagram, authenticates it, and answers or not. It stores nothing.
//!
//! The cost of a bridge above this is the cost of durability. One thread for each core, each with its own socket on a shared
//! port; system calls receive and send in batches.

use std::io::{self, Read as _};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use test_kit::sealed::MasterKey;

use crate::net::{ReceiveBatch, SendBatch, udp_socket};

/// The longest datagram that the bridge accepts.
const MAX_DATAGRAM: usize = 2048;

/// The counts of one loop. Each loop has its own, so that loops do not contend.
#[derive(Debug, Default)]
struct Counts {
    proven: AtomicU64,
    refused: AtomicU64,
}

/// Runs until standard input ends, and prints the counts.
///
/// # Errors
/// If a socket fails.
pub fn run(answers: bool) -> io::Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    let first = udp_socket(0, true)?;
    let addr = first.local_addr()?;
    let others = (1..cores).map(|_| udp_socket(addr.port(), true)).collect::<io::Result<Vec<_>>>()?;
    let counts: &[Counts] = Vec::leak((0..cores).map(|_| Counts::default()).collect());
    for (socket, counts) in std::iter::once(first).chain(others).zip(counts) {
        std::thread::spawn(move || serve(&socket, answers, counts));
    }
    println!(r#"{{"message":"listening","protocol":"udp","sealed":true,"addr":"{addr}"}}"#);
    // The parent stops this process by closing the pipe, or by ending.
    io::stdin().read_to_end(&mut Vec::new())?;
    let sum = |of: fn(&Counts) -> &AtomicU64| counts.iter().map(|counts| of(counts).load(Ordering::Relaxed)).sum();
    let (proven, refused): (u64, u64) = (sum(|counts| &counts.proven), sum(|counts| &counts.refused));
    println!(r#"{{"message":"stopped","proven":{proven},"refused":{refused}}}"#);
    Ok(())
}

fn serve(socket: &UdpSocket, answers: bool, counts: &Counts) -> io::Result<()> {
    let master = MasterKey::default();
    let (mut inbox, mut outbox) = (ReceiveBatch::<MAX_DATAGRAM>::default(), SendBatch::default());
    loop {
        let (mut proven, time) = (0, now());
        let received = inbox.wait(socket, |datagram, from| {
            if answers {
                if let Some(answer) = master.acknowledgement(datagram, time) {
                    proven += 1;
                    outbox.push(&answer, from);
                }
            } else {
                proven += u64::from(master.proves(datagram));
            }
        })?;
        outbox.send(socket)?;
        counts.proven.fetch_add(proven, Ordering::Relaxed);
        counts.refused.fetch_add(received as u64 - proven, Ordering::Relaxed);
    }
}

/// At most a second old when it is used; the field has seconds.
fn now() -> u32 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since_1970.as_secs().try_into().unwrap_or(u32::MAX)
}
