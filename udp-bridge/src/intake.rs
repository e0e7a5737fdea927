//! Receives datagrams, and puts those that are somebody's together into packs for the stream.
//!
//! Each socket has a thread of its own. It is not a task among others: a thread that sleeps costs nothing while datagrams
//! pile up, whereas a runtime would be woken for every single one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pulsegate_model::at::At;
use pulsegate_model::record;
use pulsegate_model::uplink::{Kind, ProfileName, TimeSource, Uplink};
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;

use crate::answer::{Deferral, Reply};
use crate::counters::Counters;
use crate::first_seen::FirstSeen;
use crate::memory::MemoryBudget;
use crate::pack::{Filling, Pack};
use crate::protocol::{IdentifiedUplink, Inbound, Protocol, Refusal};
use crate::separate::Separate;
use crate::socket::{BATCH, MAX_DATAGRAM, ReceiveBuffers, Socket};

/// After a batch that was not full, this is slept before the next look. At full rate a hundred datagrams are received by
/// two system calls instead of by dozens; to a meter, whose radio takes seconds, it is nothing.
const COALESCE: Duration = Duration::from_millis(2);

/// How often a thread that waits looks whether it is to stop.
const LOOK_UP: Duration = Duration::from_millis(100);

/// For how long it reads, when told to stop, what the kernel has taken. A flood would never let it end.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// A socket that is listened on, and what all of its threads share.
#[derive(Debug)]
pub struct Intake {
    /// How datagrams are read.
    pub protocol: Protocol,
    /// Where they come in.
    pub socket: Arc<Socket>,
    /// When those without a time came first; one memory for all sockets of the listener, since a meter that sends again
    /// may come in at another.
    pub arrivals: Arc<Mutex<FirstSeen>>,
    /// How long a datagram waits for others.
    pub linger: Duration,
    /// Where packs go.
    pub packs: UnboundedSender<Pack>,
    /// What the bridge holds, and may hold.
    pub hold: Arc<MemoryBudget>,
    /// Told of every datagram.
    pub counters: Arc<Counters>,
    /// Told of every separate response that has arrived.
    pub separate: Arc<Separate>,
    /// Where what has to happen later is waited for.
    pub runtime: Handle,
}

impl Intake {
    /// Receives until told to stop, and then until nothing is left that the kernel has already taken.
    pub fn run(self, stop: &AtomicBool) {
        let mut inbox = ReceiveBuffers::new();
        let mut filling = Filling::new(Arc::clone(&self.socket));
        let mut scratch = Vec::new();
        let mut told = None;
        loop {
            let stopping = stop.load(Ordering::Relaxed);
            let over = stopping && told.get_or_insert_with(Instant::now).elapsed() >= LAST_LOOK;
            if self.hold.is_full() {
                // Back-pressure: what is not read now waits in the kernel, which drops and counts what it cannot hold.
                self.flush(&mut filling);
                if over {
                    return;
                }
                self.counters.paused.inc();
                std::thread::sleep(COALESCE);
                continue;
            }
            if let Err(e) = self.socket.receive(&mut inbox) {
                tracing::debug!(reason = %e, "not received");
                std::thread::sleep(COALESCE); // an error that stays must not keep a processor busy
            }
            self.counters.received.inc_by(inbox.len() as u64);
            for (datagram, sender) in inbox.datagrams() {
                self.take(datagram, sender, &mut filling, &mut scratch);
            }
            let left = filling.since().map_or(LOOK_UP, |since| self.linger.saturating_sub(since.elapsed()));
            if left.is_zero() || stopping {
                self.flush(&mut filling);
            }
            match inbox.len() {
                BATCH if !over => {}
                _ if stopping => return,
                0 => self.socket.wait(left.clamp(COALESCE, LOOK_UP)),
                _ => std::thread::sleep(COALESCE),
            }
        }
    }

    fn take(&self, datagram: &[u8], sender: Option<SocketAddr>, filling: &mut Filling, scratch: &mut Vec<u8>) {
        let heard = if datagram.len() > MAX_DATAGRAM { Err(Refusal::TooLong) } else { self.protocol.read(datagram) };
        match heard {
            Ok(Inbound::Uplink(profile, opened, answer)) => {
                self.counters.authenticated.inc();
                let uplink = self.uplink(profile.uplink_name(), opened);
                scratch.clear();
                record::encode(&uplink, scratch);
                if !filling.has_room_for(scratch.len()) {
                    self.flush(filling);
                }
                filling.add(uplink.device, scratch, sender.map(|peer| Reply { peer, answer }));
            }
            Ok(Inbound::Settled(message_id)) => {
                self.counters.settled.inc();
                sender.inspect(|&peer| self.separate.settle(peer, message_id));
            }
            Ok(Inbound::Wrong(refusal, answer)) => {
                self.counters.refuse(&refusal, datagram.len());
                self.answer(sender, &answer);
            }
            Ok(Inbound::Asked(answer)) => {
                self.counters.asked.inc();
                answer.inspect(|answer| self.answer(sender, answer));
            }
            Err(refusal) => self.counters.refuse(&refusal, datagram.len()),
        }
    }

    fn answer(&self, sender: Option<SocketAddr>, answer: &[u8]) {
        sender.inspect(|&peer| {
            self.socket.send(&[(peer, answer)], Duration::ZERO);
        });
    }

    fn uplink(&self, profile: ProfileName, opened: IdentifiedUplink) -> Uplink {
        let IdentifiedUplink { device, clock, sequence, radio, payload, .. } = opened;
        let (at, time_source) = match clock {
            Some(clock) => (clock, TimeSource::Device),
            None => (self.first_arrival(payload.bytes()), TimeSource::Network),
        };
        Uplink { device, kind: Kind::Data, at, time_source, sequence, profile, payload, radio }
    }

    fn first_arrival(&self, payload: &[u8]) -> At {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).first(payload, now())
    }

    fn flush(&self, filling: &mut Filling) {
        if let Some(mut pack) = filling.close() {
            pack.deferral = Deferral::start(&pack, &self.runtime);
            self.hold.take(pack.weight());
            self.counters.in_flight.inc_by(pack.datagrams().try_into().unwrap_or(i64::MAX));
            // The other end lives longer than this thread; were it gone, nothing would be acknowledged.
            let _ = self.packs.send(pack);
        }
    }
}

/// The bridge's own time.
pub fn now() -> At {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(seconds).ok().and_then(|seconds| At::from_unix(seconds).ok()).unwrap_or(At::EPOCH)
}
