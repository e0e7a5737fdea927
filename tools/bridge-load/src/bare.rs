//! The least that a program can do with a datagram: receive it, prove its sender, and answer or not. It stores nothing.
//!
//! What a bridge costs above this is what its promise costs. A thread for each core, each with a socket of its own on one
//! port; every call brings and takes as many datagrams as there are.

use std::io::{self, Read as _};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use test_kit::sealed::MasterKey;
use crate::net::{Inbox, Outbox, udp_socket};

/// As long as the longest datagram that the bridge takes.
const MAX_DATAGRAM: usize = 2048;

/// What a loop has seen; each has its own, so that they do not wait for each other.
#[derive(Debug, Default)]
struct Counts {
    proven: AtomicU64,
    refused: AtomicU64,
}

/// Runs until standard input ends, and prints what it has seen.
///
/// # Errors
/// The kernel's.
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
    // Whoever started this ends it by closing the pipe, or by ending.
    io::stdin().read_to_end(&mut Vec::new())?;
    let sum = |of: fn(&Counts) -> &AtomicU64| counts.iter().map(|counts| of(counts).load(Ordering::Relaxed)).sum();
    let (proven, refused): (u64, u64) = (sum(|counts| &counts.proven), sum(|counts| &counts.refused));
    println!(r#"{{"message":"stopped","proven":{proven},"refused":{refused}}}"#);
    Ok(())
}

fn serve(socket: &UdpSocket, answers: bool, counts: &Counts) -> io::Result<()> {
    let master = MasterKey::default();
    let (mut inbox, mut outbox) = (Inbox::<MAX_DATAGRAM>::default(), Outbox::default());
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

/// A second old at most when it is used, which is as exact as the field is.
fn now() -> u32 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since_1970.as_secs().try_into().unwrap_or(u32::MAX)
}
