//! NB-IoT: sealed datagrams, bare and in CoAP, over a pool of sockets; repeated as modems do until they are acknowledged.
//!
//! One thread does it all, in ticks: what is due is sent by the batch, and what has come is taken by the batch. A message counts as
//! sent at the beginning of its tick, and as acknowledged when the tick gets to what has come: latencies are too high by up to two
//! ticks, never too low. Of a message that waits only its name is kept: its bytes are made again for a repetition, the same ones.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use bridge_load::net::{ReceiveBatch, SendBatch};
use pulsegate_model::device::DeviceId;

use super::coap::{self, Heard};
use super::faults::Lots;
use super::ledger::{Message, Settled};
use super::names::NameHasher;
use super::sealed::{Acknowledged, MasterKey};
use super::sockets::{Sockets, group};
use super::tally::Udp;
use super::timers::{Timers, micros};
use crate::meters::{Fleet, Meter, Transport, Uplink};

/// Repetitions in a tick. What comes back in one clump would come back in one with each repetition.
const MAX_REPEATED: usize = 256;

/// Longer than an acknowledgement with any downlink seen so far, CoAP around it.
const MAX_ANSWER: usize = 512;

/// How long a meter waits for the answer that an empty acknowledgement promises (docs/nbiot-protocol.md, "Answer").
const PROMISE: Duration = Duration::from_secs(30);

/// Where the bridge listens. A repetition goes to the next address, if there are several.
#[derive(Debug, Clone, Default)]
pub(super) struct Addresses {
    /// For sealed datagrams.
    pub(super) sealed: Vec<SocketAddrV4>,
    /// For CoAP.
    pub(super) coap: Vec<SocketAddrV4>,
    /// For Efento's loggers.
    pub(super) efento: Vec<SocketAddrV4>,
}

impl Addresses {
    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &SocketAddrV4> {
        self.sealed.iter().chain(&self.coap).chain(&self.efento)
    }
}

/// When to repeat what was not acknowledged. RFC 7252, 4.8, has 2 s (`ACK_TIMEOUT`), up to half more by chance
/// (`ACK_RANDOM_FACTOR`), and twice as long each time. Real time: a network is no faster for a fleet that lives faster.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// The first pause.
    pub(super) first: Duration,
    /// Repetitions at most.
    pub(super) repetitions: u8,
}

/// What datagrams travel on. It may be made on one thread and used on another, which [`Nbiot`] may not.
pub(super) struct Link {
    /// Seals them.
    pub(super) key: MasterKey,
    /// Where they go.
    pub(super) to: Addresses,
    /// Where they come from.
    pub(super) sockets: Sockets,
    /// When they are repeated.
    pub(super) patience: Patience,
    /// Which of them are lost or doubled.
    pub(super) lots: Lots,
}

/// The meters' side of NB-IoT. Times are microseconds since the start.
pub(super) struct Nbiot {
    fleet: Arc<Fleet>,
    key: MasterKey,
    to: Addresses,
    sockets: Sockets,
    outbox: SendBatch,
    /// What comes in, and what is replied to that.
    inbox: Option<(Box<ReceiveBatch<MAX_ANSWER>>, SendBatch)>,
    waiting: HashMap<Name, Waiting, BuildHasherDefault<NameHasher>>,
    again: Timers<Name>,
    /// When requests were promised an answer, by socket and message ID: of all meters behind one address.
    promised: HashMap<(usize, u16), u64>,
    patience: Patience,
    lots: Lots,
    /// What it has counted.
    pub(super) udp: Udp,
}

/// What an acknowledgement tells: meter and counter.
type Name = (u32, u32);

#[derive(Debug)]
struct Waiting {
    message: Message,
    first_sent: u64,
    socket: u16,
    attempts: u8,
}

impl Nbiot {
    pub(super) fn new(fleet: Arc<Fleet>, link: Link) -> Self {
        const STEP_MICROS: u64 = 5_000;
        let Link { key, to, sockets, patience, lots } = link;
        Self {
            fleet,
            key,
            to,
            sockets,
            outbox: SendBatch::default(),
            inbox: Some((Box::default(), SendBatch::default())),
            waiting: HashMap::default(),
            again: Timers::new(STEP_MICROS),
            promised: HashMap::new(),
            patience,
            lots,
            udp: Udp::default(),
        }
    }

    /// A meter has something to send.
    pub(super) fn send(&mut self, message: Message, meter: &Meter, uplink: &Uplink, now: u64) -> io::Result<()> {
        let name = (meter.number, uplink.sequence);
        self.waiting.insert(name, Waiting { message, first_sent: now, socket: 0, attempts: 0 });
        self.push(name, meter, uplink, now)
    }

    /// Puts a datagram into the outbox, and itself down for the next look at it.
    fn push(&mut self, name: Name, meter: &Meter, uplink: &Uplink, now: u64) -> io::Result<()> {
        if self.outbox.is_full() || !self.sockets.is_current(meter.number) {
            self.flush()?;
            self.sockets.turn_to(meter.number);
        }
        let Some(waiting) = self.waiting.get_mut(&name) else { return Ok(()) };
        waiting.attempts += 1;
        waiting.socket = self.sockets.current();
        let attempts = waiting.attempts;
        self.udp.attempts += 1;
        let pause = self.pause(attempts);
        self.again.add(now + pause, name);
        if self.lots.lost() {
            self.udp.lost += 1;
            return Ok(());
        }
        let Some((datagram, to)) = self.datagram(meter, uplink, attempts) else { return Ok(()) };
        self.outbox.push(&datagram, to);
        self.udp.datagrams.take(1, datagram.len());
        if self.lots.doubled() {
            self.udp.duplicated += 1;
            self.udp.datagrams.take(1, datagram.len());
            if self.outbox.is_full() {
                self.outbox.send(self.sockets.now())?;
            }
            self.outbox.push(&datagram, to);
        }
        Ok(())
    }

    fn pause(&mut self, attempts: u8) -> u64 {
        let pause = self.patience.first.saturating_mul(1 << (attempts - 1).min(16)).mul_f64(self.lots.spread());
        u64::try_from(pause.as_micros()).unwrap_or(u64::MAX)
    }

    /// `None` for a meter that cannot be sealed or reached; the fleet and the addresses are checked before the start.
    fn datagram(&self, meter: &Meter, uplink: &Uplink, attempts: u8) -> Option<(Vec<u8>, SocketAddrV4)> {
        let sealed = || {
            let DeviceId::Nbiot(imei) = meter.device else { return None };
            let time = u32::try_from(uplink.at.unix()).ok()?;
            Some(self.key.seal(imei, uplink.sequence, time, &uplink.payload))
        };
        let (datagram, to) = match meter.transport {
            Transport::Sealed => (sealed()?, &self.to.sealed),
            Transport::SealedCoap => (coap::post(meter.profile, uplink.sequence, sealed()?), &self.to.coap),
            Transport::Efento => {
                let name = (meter.number, uplink.sequence);
                (coap::post_in_the_clear(name, uplink.payload.clone()), &self.to.efento)
            }
            Transport::Sigfox => return None,
        };
        // Meters start at different addresses, and go on to the next one.
        let first = group(meter.number, u32::try_from(to.len()).ok()?);
        let at = first + usize::from(attempts) - 1;
        Some((datagram, *to.get(at.checked_rem(to.len())?)?))
    }

    /// Sends what is in the outbox.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.outbox.send(self.sockets.now())?;
        self.sockets.turn();
        Ok(())
    }

    /// Repeats what has waited long enough, and gives up what has been repeated often enough.
    pub(super) fn repeat(&mut self, now: u64, settled: &mut Vec<Settled>) -> io::Result<()> {
        let mut repeated = 0;
        while repeated < MAX_REPEATED
            && let Some(name) = self.again.due(now)
        {
            let Some(waiting) = self.waiting.get(&name) else { continue };
            if let Some(until) = self.promise(name, waiting).filter(|&until| until > now) {
                self.again.add(until, name);
                continue;
            }
            let message = waiting.message;
            if waiting.attempts > self.patience.repetitions {
                self.waiting.remove(&name);
                settled.push(Settled { message, acknowledged: false });
                continue;
            }
            let session = self.fleet.session(message.meter, message.hour, message.counted.into());
            if let Some(uplink) = session.uplinks.get(usize::from(message.position)) {
                let meter = self.fleet.meter(message.meter);
                self.push(name, &meter, uplink, now)?;
                repeated += 1;
            }
        }
        self.flush()
    }

    /// Until when the answer was promised, if it was since the message was sent. Message IDs of meters behind one address are
    /// the same at times, so the promise may be another's; the meter waits longer then, and that is all.
    fn promise(&self, (_, counter): Name, waiting: &Waiting) -> Option<u64> {
        let at = self.promised.get(&(waiting.socket.into(), coap::message_id(counter)))?;
        (*at >= waiting.first_sent).then(|| at + micros(PROMISE))
    }

    /// Takes what has come.
    pub(super) fn receive(&mut self, now: u64, settled: &mut Vec<Settled>) -> io::Result<()> {
        let Some((mut inbox, mut replies)) = self.inbox.take() else { return Ok(()) };
        let sockets = self.sockets.all();
        for socket in self.sockets.ready()? {
            inbox.drain(&sockets[socket], |answer, from| {
                self.take((socket, from), answer, now, settled, &mut replies);
            })?;
            replies.send(&sockets[socket])?;
        }
        self.inbox = Some((inbox, replies));
        Ok(())
    }

    fn take(
        &mut self,
        (socket, from): (usize, SocketAddrV4),
        answer: &[u8],
        now: u64,
        settled: &mut Vec<Settled>,
        replies: &mut SendBatch,
    ) {
        if self.lots.lost() {
            self.udp.lost += 1;
            return;
        }
        let acknowledgements = &mut self.udp.acknowledgements;
        if !coap::may_be(answer) {
            let acknowledged = self.key.acknowledged(answer);
            if acknowledged.is_some() {
                acknowledgements.take(1, answer.len());
            }
            return self.acknowledge(acknowledged.and_then(|acknowledged| self.name(acknowledged)), now, settled);
        }
        let confirm = match coap::hear(answer, &self.key) {
            Heard::Durable { acknowledged, confirm } => {
                acknowledgements.take(1, answer.len());
                self.acknowledge(self.name(acknowledged), now, settled);
                confirm
            }
            Heard::Created { name, confirm } => {
                acknowledgements.take(1, answer.len());
                self.acknowledge(Some(name).filter(|&name| self.is_in_the_clear(name)), now, settled);
                confirm
            }
            Heard::Promised(id) => {
                // A part of the acknowledgement that follows it.
                acknowledgements.take(0, answer.len());
                self.promised.insert((socket, id), now);
                None
            }
            Heard::Refused { confirm } => {
                self.udp.refused += 1;
                confirm
            }
            Heard::Noise => {
                self.udp.unexpected += 1;
                None
            }
        };
        if let Some(id) = confirm {
            self.confirm(id, from, replies);
        }
    }

    fn confirm(&mut self, id: u16, to: SocketAddrV4, replies: &mut SendBatch) {
        if self.lots.lost() {
            self.udp.lost += 1;
        } else if !replies.is_full() {
            // Who is not confirmed says it once more; so one that finds no room is no loss.
            replies.push(&coap::confirmation(id), to);
        }
    }

    fn name(&self, Acknowledged { imei, counter }: Acknowledged) -> Option<Name> {
        Some((self.fleet.number(&DeviceId::Nbiot(imei))?, counter))
    }

    /// Whether it is the message of a meter that nobody proves anything to.
    fn is_in_the_clear(&self, (number, _): Name) -> bool {
        number < self.fleet.spec().devices && self.fleet.meter(number).transport == Transport::Efento
    }

    fn acknowledge(&mut self, name: Option<Name>, now: u64, settled: &mut Vec<Settled>) {
        let Some(waiting) = name.and_then(|name| self.waiting.remove(&name)) else {
            self.udp.unexpected += 1;
            return;
        };
        self.udp.latency.record(now.saturating_sub(waiting.first_sent));
        settled.push(Settled { message: waiting.message, acknowledged: true });
    }

    /// Forgets promises that are over. Once in a while is enough.
    pub(super) fn tidy(&mut self, now: u64) {
        self.promised.retain(|_, at| *at + micros(PROMISE) > now);
    }
}

#[cfg(test)]
mod tests;
