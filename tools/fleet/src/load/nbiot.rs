//! NB-IoT meters: sealed datagrams, with and without CoAP, over a pool of sockets, repeated until they are
//! acknowledged.
//!
//! One thread works in ticks: it sends and receives in batches. A message counts as
//! sent at the start of its tick, and as acknowledged when the tick reads it: latencies are too high by up to two
//! ticks, never too low. Only the ID of an outstanding message is kept: a repetition makes the same bytes again.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use bridge_load::net::{ReceiveBatch, SendBatch};
use jiff::Timestamp;
use pulsegate_model::device::DeviceId;

use super::coap::{self, CoapAnswer};
use super::counters::Udp;
use super::faults::FaultInjector;
use super::id_hasher::IdHasher;
use super::ledger::{Message, Settled};
use super::sealed::{Acknowledged, MasterKey};
use super::sockets::{Sockets, group};
use super::timers::{Timers, micros};
use crate::meters::{Fleet, Meter, Transport, Uplink};

/// Maximum repetitions in a tick. A limit spreads out a burst of repetitions, which would otherwise recur as a burst.
const MAX_REPEATED: usize = 256;

/// Buffer size: more than an acknowledgement with the longest known downlink, in CoAP.
const MAX_ANSWER: usize = 512;

/// How long a meter waits for the separate response after an empty ACK (docs/nbiot-protocol.md, "Answer").
const SEPARATE_RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Addresses of the bridge. A repetition goes to the next address, if there are several.
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

/// When to repeat unacknowledged messages. RFC 7252, 4.8: 2 s (`ACK_TIMEOUT`), up to 50 % more at random
/// (`ACK_RANDOM_FACTOR`), doubled each time. In real time: the network does not speed up with the fleet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retransmission {
    /// The first pause.
    pub(super) first: Duration,
    /// Repetitions at most.
    pub(super) repetitions: u8,
}

/// Keys, addresses and sockets. Unlike [`Nbiot`], it can be sent to another thread.
pub(super) struct Link {
    /// Seals the datagrams.
    pub(super) key: MasterKey,
    /// Destinations of the datagrams.
    pub(super) to: Addresses,
    /// Sockets that send them.
    pub(super) sockets: Sockets,
    /// Times of repetitions.
    pub(super) retransmission: Retransmission,
    /// Selects datagrams to lose or to duplicate.
    pub(super) injector: FaultInjector,
}

/// The meters' side of NB-IoT. Times are microseconds since the start.
pub(super) struct Nbiot {
    fleet: Arc<Fleet>,
    key: MasterKey,
    to: Addresses,
    sockets: Sockets,
    outbox: SendBatch,
    /// Received datagrams, and the replies to them.
    inbox: Option<(Box<ReceiveBatch<MAX_ANSWER>>, SendBatch)>,
    waiting: HashMap<UplinkId, Waiting, BuildHasherDefault<IdHasher>>,
    again: Timers<UplinkId>,
    /// Times of empty ACKs, by socket and message ID, which all meters behind one address share.
    promised: HashMap<(usize, u16), u64>,
    retransmission: Retransmission,
    injector: FaultInjector,
    /// Counters.
    pub(super) udp: Udp,
}

/// ID of an uplink, as an acknowledgement carries it: meter and counter.
type UplinkId = (u32, u32);

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
        let Link { key, to, sockets, retransmission, injector } = link;
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
            retransmission,
            injector,
            udp: Udp::default(),
        }
    }

    /// Sends an uplink of a meter.
    pub(super) fn send(&mut self, message: Message, meter: &Meter, uplink: &Uplink, now: u64) -> io::Result<()> {
        let name = (meter.number, uplink.sequence);
        self.waiting.insert(name, Waiting { message, first_sent: now, socket: 0, attempts: 0 });
        self.push(name, meter, uplink, now)
    }

    /// Puts a datagram into the outbox, and schedules its repetition.
    fn push(&mut self, name: UplinkId, meter: &Meter, uplink: &Uplink, now: u64) -> io::Result<()> {
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
        if self.injector.lost() {
            self.udp.lost += 1;
            return Ok(());
        }
        let Some((datagram, to)) = self.datagram(meter, uplink, attempts) else { return Ok(()) };
        self.outbox.push(&datagram, to);
        self.udp.datagrams.take(1, datagram.len());
        if self.injector.doubled() {
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
        let pause =
            self.retransmission.first.saturating_mul(1 << (attempts - 1).min(16)).mul_f64(self.injector.spread());
        u64::try_from(pause.as_micros()).unwrap_or(u64::MAX)
    }

    /// `None` for a meter without key or address; both are checked before the start.
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

    /// Repeats messages that are due, and gives up after the last repetition.
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
            if waiting.attempts > self.retransmission.repetitions {
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

    /// Until when the meter waits for a separate response, if an empty ACK came since the message was sent. Message IDs
    /// of meters behind one address may collide, so the ACK may be for another meter; then this one only waits longer.
    fn promise(&self, (_, counter): UplinkId, waiting: &Waiting) -> Option<u64> {
        let at = self.promised.get(&(waiting.socket.into(), coap::message_id(counter)))?;
        (*at >= waiting.first_sent).then(|| at + micros(SEPARATE_RESPONSE_TIMEOUT))
    }

    /// Receives answers.
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
        if self.injector.lost() {
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
        let confirm = match coap::parse_answer(answer, &self.key) {
            CoapAnswer::Durable { acknowledged, confirm } => {
                acknowledgements.take(1, answer.len());
                self.acknowledge(self.name(acknowledged), now, settled);
                confirm
            }
            CoapAnswer::Created { name, confirm } => {
                acknowledgements.take(1, answer.len());
                self.acknowledge(Some(name).filter(|&name| self.is_in_the_clear(name)), now, settled);
                confirm
            }
            CoapAnswer::Promised(id) => {
                // Its bytes count with the acknowledgement that follows it.
                acknowledgements.take(0, answer.len());
                self.promised.insert((socket, id), now);
                None
            }
            CoapAnswer::Refused { confirm } => {
                self.udp.refused += 1;
                confirm
            }
            CoapAnswer::Noise => {
                self.udp.unexpected += 1;
                None
            }
        };
        if let Some(id) = confirm {
            self.confirm(id, from, replies);
        }
    }

    fn confirm(&mut self, id: u16, to: SocketAddrV4, replies: &mut SendBatch) {
        if self.injector.lost() {
            self.udp.lost += 1;
        } else if !replies.is_full() {
            // The bridge repeats an unconfirmed answer, so a confirmation may be dropped if the outbox is full.
            replies.push(&coap::confirmation(id), to);
        }
    }

    /// The uplink that is acknowledged; `None` if the fleet has none, or if the time would set a meter's clock wrong.
    fn name(&self, acknowledged: Acknowledged) -> Option<UplinkId> {
        let number = self.fleet.number(&DeviceId::Nbiot(acknowledged.imei))?;
        acknowledged.is_of(Timestamp::now()).then_some((number, acknowledged.counter))
    }

    /// True if the message is of a meter without sealed acknowledgements.
    fn is_in_the_clear(&self, (number, _): UplinkId) -> bool {
        number < self.fleet.spec().devices && self.fleet.meter(number).transport == Transport::Efento
    }

    fn acknowledge(&mut self, name: Option<UplinkId>, now: u64, settled: &mut Vec<Settled>) {
        let Some(waiting) = name.and_then(|name| self.waiting.remove(&name)) else {
            self.udp.unexpected += 1;
            return;
        };
        self.udp.latency.record(now.saturating_sub(waiting.first_sent));
        settled.push(Settled { message: waiting.message, acknowledged: true });
    }

    /// Removes expired empty ACKs. Called occasionally.
    pub(super) fn tidy(&mut self, now: u64) {
        self.promised.retain(|_, at| *at + micros(SEPARATE_RESPONSE_TIMEOUT) > now);
    }
}

#[cfg(test)]
mod tests;
