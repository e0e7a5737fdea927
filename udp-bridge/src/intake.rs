//! Receives datagrams, and collects authenticated uplinks into packs for the stream.
//!
//! Each socket has its own thread instead of a task: a sleeping thread costs nothing while datagrams queue up, but a
//! runtime would be woken for each of them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pulsegate_model::at::At;
use pulsegate_model::clock::ClockCheck;
use pulsegate_model::device::DeviceId;
use pulsegate_model::profile::Profile;
use pulsegate_model::uplink::{Kind, TimeSource, Uplink};
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;

use crate::counters::Counters;
use crate::first_seen::FirstSeen;
use crate::memory::MemoryBudget;
use crate::pack::{Encoded, Filling, Pack};
use crate::protocol::{IdentifiedUplink, Inbound, Protocol, Refusal};
use crate::quarantine::Quarantine;
use crate::reply::{Deferral, Reply};
use crate::separate::Separate;
use crate::socket::{BATCH, ReceiveBuffers, Socket};

/// Time to sleep after a batch that was not full. At full rate, two system calls instead of dozens then receive a
/// hundred datagrams. The delay does not matter to a meter, whose radio takes seconds.
const COALESCE_INTERVAL: Duration = Duration::from_millis(2);

/// How often a waiting thread checks the stop flag.
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// How long a stopping thread reads datagrams that the kernel has received. Without a limit, a flood would keep it
/// running.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Receiver of one socket, with the handles that it shares with others.
#[derive(Debug)]
pub struct Intake {
    /// How datagrams are parsed.
    pub protocol: Protocol,
    /// Socket to receive from.
    pub socket: Arc<Socket>,
    /// First arrivals of datagrams in the clear. All sockets of a listener share it, because a repeated datagram may
    /// arrive at another socket.
    pub arrivals: Arc<Mutex<FirstSeen>>,
    /// Takes the datagrams that a trusted listener rejects. A sealed one has none.
    pub quarantine: Option<Quarantine>,
    /// The bridge's clock, for the arrival of uplinks.
    pub clock: fn() -> At,
    /// How long a datagram waits for others.
    pub linger: Duration,
    /// Channel for packs.
    pub packs: UnboundedSender<Pack>,
    /// Memory budget.
    pub hold: Arc<MemoryBudget>,
    /// Counts every datagram.
    pub counters: Arc<Counters>,
    /// Separate responses, which clients acknowledge.
    pub separate: Arc<Separate>,
    /// Runtime for timers.
    pub runtime: Handle,
}

/// True if a thread is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It is not.
    Running,
    /// It is, after reading the datagrams that the kernel has received.
    Draining,
    /// It is, at once: [`DRAIN_TIMEOUT`] is over.
    Expired,
}

/// The stop flag, and when the thread first saw it set.
struct StopSignal<'a> {
    flag: &'a AtomicBool,
    since: Option<Instant>,
}

impl StopSignal<'_> {
    fn phase(&mut self) -> Phase {
        if !self.flag.load(Ordering::Relaxed) {
            return Phase::Running;
        }
        let since = self.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= DRAIN_TIMEOUT { Phase::Expired } else { Phase::Draining }
    }
}

impl Intake {
    /// Receives until the stop flag is set, and then the datagrams that the kernel has already received.
    pub fn run(self, stop: &AtomicBool) {
        let mut batch = ReceiveBuffers::new();
        let mut filling = Filling::new(Arc::clone(&self.socket));
        let mut scratch = Encoded::default();
        let mut signal = StopSignal { flag: stop, since: None };
        loop {
            let phase = signal.phase();
            if self.hold.is_full() {
                // Back-pressure: unread datagrams wait in the kernel, which drops and counts those that it cannot hold.
                self.flush(&mut filling);
                if phase == Phase::Expired {
                    return;
                }
                self.counters.paused.inc();
                std::thread::sleep(COALESCE_INTERVAL);
                continue;
            }
            self.receive(&mut batch);
            for (datagram, sender) in batch.datagrams() {
                self.process(datagram, sender, &mut filling, &mut scratch);
            }
            let left = self.time_left(&filling);
            if left.is_zero() || phase != Phase::Running {
                self.flush(&mut filling);
            }
            match phase {
                // After a full batch more datagrams may be waiting.
                Phase::Running | Phase::Draining if batch.len() == BATCH => {}
                Phase::Running if batch.is_empty() => {
                    self.socket.wait(left.clamp(COALESCE_INTERVAL, STOP_CHECK_INTERVAL));
                }
                Phase::Running => std::thread::sleep(COALESCE_INTERVAL),
                Phase::Draining | Phase::Expired => return,
            }
        }
    }

    fn receive(&self, batch: &mut ReceiveBuffers) {
        if let Err(e) = self.socket.receive(batch) {
            tracing::debug!(reason = %e, "receive failed");
            std::thread::sleep(COALESCE_INTERVAL); // a permanent error must not keep a processor busy
        }
        self.counters.received.inc_by(batch.len() as u64);
    }

    /// Time until the pack has to be flushed.
    fn time_left(&self, filling: &Filling) -> Duration {
        filling.since().map_or(STOP_CHECK_INTERVAL, |since| self.linger.saturating_sub(since.elapsed()))
    }

    fn process(&self, datagram: &[u8], sender: Option<SocketAddr>, filling: &mut Filling, scratch: &mut Encoded) {
        match self.protocol.read(datagram) {
            Ok(Inbound::Uplink(profile, opened, answer)) => {
                let device = opened.device;
                scratch.clear();
                opened.each(|opened| scratch.push(&self.uplink(profile, opened)));
                self.add(device, scratch, sender.map(|peer| Reply { peer, answer }), filling);
            }
            Ok(Inbound::Settled(message_id)) => {
                self.counters.settled.inc();
                sender.inspect(|&peer| self.separate.settle(peer, message_id));
            }
            Ok(Inbound::Wrong(refusal, answer)) => {
                self.refuse(&refusal, datagram, sender, filling);
                self.answer(sender, &answer);
            }
            Ok(Inbound::Asked(answer)) => {
                self.counters.asked.inc();
                answer.inspect(|answer| self.answer(sender, answer));
            }
            Err(refusal) => self.refuse(&refusal, datagram, sender, filling),
        }
    }

    /// Adds the uplinks of one datagram to one pack: its answer must not be sent before all of them are durable.
    fn add(&self, device: DeviceId, uplinks: &Encoded, reply: Option<Reply>, filling: &mut Filling) {
        self.counters.authenticated.inc();
        self.counters.uplinks.inc_by(uplinks.len() as u64);
        if !filling.has_room_for(uplinks) {
            self.flush(filling);
        }
        filling.add(device, uplinks, reply);
    }

    /// Counts a rejected datagram. On a trusted listener its record goes to quarantine, within the limit.
    fn refuse(&self, refusal: &Refusal, datagram: &[u8], sender: Option<SocketAddr>, filling: &mut Filling) {
        self.counters.refuse(refusal, datagram.len());
        let Some(quarantine) = &self.quarantine else { return };
        if !quarantine.admits(sender) {
            self.counters.beyond_limit.inc();
            return;
        }
        let record = quarantine.record(refusal, datagram, sender, self.first_arrival(datagram, (self.clock)()));
        if !filling.has_room_for_record(record.len()) {
            self.flush(filling);
        }
        filling.add_rejected(sender, &record);
    }

    fn answer(&self, sender: Option<SocketAddr>, answer: &[u8]) {
        sender.inspect(|&peer| {
            self.socket.send(&[(peer, answer)], Duration::ZERO);
        });
    }

    fn uplink(&self, profile: &Profile, opened: IdentifiedUplink) -> Uplink {
        let IdentifiedUplink { device, clock, sealed, sequence, radio, payload, .. } = opened;
        let now = (self.clock)();
        let needs_arrival = !sealed && clock.is_none_or(|shown| !ClockCheck::against(now).accepts(shown));
        // Only these are remembered: the memory is for the datagrams that it dates.
        let received = if needs_arrival { self.first_arrival(payload.bytes(), now) } else { now };
        let (at, time_source) = dated(clock, sealed, received);
        if let Some(shown) = clock.filter(|_| time_source != TimeSource::Device) {
            self.counters.wrong_clock(device, profile.name, shown, received);
        }
        let profile = profile.uplink_name();
        Uplink { device, kind: Kind::Data, at, time_source, sequence, profile, payload, radio }
    }

    fn first_arrival(&self, payload: &[u8], now: At) -> At {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).first(payload, now)
    }

    fn flush(&self, filling: &mut Filling) {
        if let Some(mut pack) = filling.close() {
            pack.deferral = Deferral::start(&pack.replies, pack.since, &pack.socket, &self.runtime);
            self.hold.take(pack.weight());
            self.counters.in_flight.inc_by(pack.uplinks.try_into().unwrap_or(i64::MAX));
            // The receiver outlives this thread. Without it, nothing would be acknowledged.
            let _ = self.packs.send(pack);
        }
    }
}

/// The time in the key of an uplink, and its clock. `received` is the first arrival of a datagram in the clear, so that
/// a repetition gets the same time. The time of a sealed uplink is always the meter's: if it were that of the arrival, a
/// recorded and replayed count would be a new one.
pub fn dated(clock: Option<At>, sealed: bool, received: At) -> (At, TimeSource) {
    match clock {
        Some(shown) if ClockCheck::against(received).accepts(shown) => (shown, TimeSource::Device),
        Some(shown) if sealed => (shown, TimeSource::Unset),
        _ => (received, TimeSource::Network),
    }
}

/// The time of this machine's clock.
pub fn now() -> At {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(seconds).ok().and_then(|seconds| At::from_unix(seconds).ok()).unwrap_or(At::EPOCH)
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulsegate_model::codec::Channel;
    use pulsegate_model::merge::merge;
    use pulsegate_model::pulse::{self, PulseItem};
    use pulsegate_model::uplink::Radio;

    use super::*;

    /// 2000-01-01 to 2100-01-01.
    fn any_time() -> impl Strategy<Value = At> {
        (946_684_800..4_102_444_800_i64).prop_map(|seconds| At::from_unix(seconds).unwrap())
    }

    /// The item of a sealed datagram with this time.
    fn sealed_count(shown: At, received: At) -> PulseItem {
        let (at, time_source) = dated(Some(shown), true, received);
        let device = "nbiot:490154203237518".parse().unwrap();
        let profile = "adeunis-pulse4-nbiot".parse().unwrap();
        let payload = "0490154203237518020000000746800000009f00000002".parse().unwrap();
        let (kind, radio) = (Kind::Data, Radio::default());
        pulse::decode(&Uplink { device, kind, at, time_source, sequence: Some(7), profile, payload, radio }).unwrap()
    }

    proptest! {
        #[test]
        fn a_sealed_uplink_keeps_the_time_that_was_sealed_whenever_it_arrives(shown in any_time(), received in any_time()) {
            let (at, time_source) = dated(Some(shown), true, received);
            prop_assert_eq!(at, shown);
            prop_assert_eq!(time_source == TimeSource::Device, ClockCheck::against(received).accepts(shown));
            prop_assert_ne!(time_source, TimeSource::Network);
        }

        #[test]
        fn a_sealed_datagram_gives_a_count_one_time_at_most_whenever_and_however_often_it_arrives(
            shown in any_time(), arrivals in proptest::collection::vec(any_time(), 1..6), near: bool,
        ) {
            // Half of the cases have an arrival when the time is accepted.
            let arrivals: Vec<At> = arrivals.into_iter().chain(near.then_some(shown)).collect();
            let items = |arrivals: &[At]| arrivals.iter().map(|&at| sealed_count(shown, at)).collect::<Vec<_>>();
            let all = merge(items(&arrivals)).unwrap();
            let points = &all[&Channel::A];
            prop_assert!(points.points.len() <= 1 && points.points.iter().all(|point| point.at == shown));
            let accepted: Vec<At> = arrivals.into_iter().filter(|&at| ClockCheck::against(at).accepts(shown)).collect();
            if !accepted.is_empty() {
                prop_assert_eq!(merge(items(&accepted)).unwrap(), all);
            }
        }

        #[test]
        fn an_uplink_in_the_clear_is_dated_by_a_possible_clock_or_by_its_arrival(
            shown in proptest::option::of(any_time()), received in any_time(),
        ) {
            let (at, time_source) = dated(shown, false, received);
            prop_assert_eq!(at, if time_source == TimeSource::Device { shown.unwrap() } else { received });
            prop_assert!(ClockCheck::against(received).accepts(at) || at == received);
            prop_assert_ne!(time_source, TimeSource::Unset);
        }
    }
}
