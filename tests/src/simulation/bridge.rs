//! A model of the bridge: parses and packs as the real one does, puts, and only then acknowledges. It has no sockets
//! and threads; `tests/tests/bridge.rs` and `make chaos` test those.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pulsegate_model::aggregate::{Aggregator, StreamRecord};
use pulsegate_model::device::{DeviceId, Network};
use pulsegate_model::uplink::{Kind, Uplink};
use pulsegate_model::{profile, record};
use pulsegate_pipeline::ports::Stream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use udp_bridge::intake::dated;
use udp_bridge::protocol::sealed::MasterKeys;
use udp_bridge::protocol::{Inbound, Protocol, Trust};

use super::faults::Fault;
use super::fleet::{self, Listener};
use super::planted::Bug;
use super::stream::StreamModel;
use super::world::{World, lock};

/// The bridge's defaults. (`udp_bridge::config`)
const LINGER: Duration = Duration::from_millis(200);
const PUT_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Time until a killed bridge runs again.
const DOWN_TIME: Duration = Duration::from_secs(7);

/// A model of one bridge.
#[derive(Debug)]
pub struct Bridge {
    world: Arc<World>,
    stream: StreamModel,
    listeners: [Protocol; 3],
    bug: Option<Bug>,
    running: Mutex<Running>,
    refused: Mutex<BTreeSet<Vec<u8>>>,
}

/// State that a kill loses.
#[derive(Debug)]
struct Running {
    pending: Vec<Waiting>,
    puts: JoinSet<Option<()>>,
    down_until: Instant,
}

/// An encoded uplink, and the meter that waits for its acknowledgement.
#[derive(Debug)]
struct Waiting {
    device: DeviceId,
    record: Vec<u8>,
    acknowledged: Arc<Notify>,
}

/// A record of the stream, and the meters that wait for it.
type Pack = (StreamRecord, Vec<Arc<Notify>>);

impl Bridge {
    /// Creates a bridge in front of the stream.
    pub fn new(world: &Arc<World>, stream: &StreamModel, keys: &MasterKeys, bug: Option<Bug>) -> Arc<Self> {
        let listener = |name, trust| {
            let profile = profile::find(Network::Nbiot, name).expect("a profile of NB-IoT");
            Protocol::Datagram { profile, trust, acknowledge: false }
        };
        let listeners = [
            listener("adeunis-pulse4-nbiot", Trust::InTheClear),
            listener("adeunis-pulse4-nbiot-1h", Trust::InTheClear),
            listener("adeunis-pulse4-nbiot", Trust::Sealed(keys.clone())),
        ];
        let running = Running { pending: Vec::new(), puts: JoinSet::new(), down_until: Instant::now() };
        let (running, refused) = (Mutex::new(running), Mutex::default());
        Arc::new(Self { world: Arc::clone(world), stream: stream.clone(), listeners, bug, running, refused })
    }

    /// Returns the datagrams that it rejected.
    pub fn refused(&self) -> BTreeSet<Vec<u8>> {
        lock(&self.refused).clone()
    }

    /// Receives a datagram. Returns `false` if the bridge is down.
    pub fn receive(self: &Arc<Self>, listener: Listener, datagram: &[u8], acknowledged: Arc<Notify>) -> bool {
        let mut running = lock(&self.running);
        if Instant::now() < running.down_until {
            return false;
        }
        let Ok(Inbound::Uplink(profile, opened, _)) = self.listeners[listener as usize].read(datagram) else {
            lock(&self.refused).insert(datagram.to_vec());
            // Ends the repetitions. The real bridge does not answer unauthenticated datagrams.
            acknowledged.notify_one();
            return true;
        };
        let (at, time_source) = dated(opened.clock, opened.sealed, fleet::arrival(opened.payload.bytes()));
        let uplink = Uplink {
            device: opened.device,
            kind: Kind::Data,
            at,
            time_source,
            sequence: opened.sequence,
            profile: profile.uplink_name(),
            payload: opened.payload,
            radio: opened.radio,
        };
        let mut record = Vec::new();
        record::encode(&uplink, &mut record);
        if self.bug == Some(Bug::AcknowledgesBeforeThePut) {
            acknowledged.notify_one();
        }
        running.pending.push(Waiting { device: uplink.device, record, acknowledged });
        if running.pending.len() == 1 {
            let this = Arc::clone(self);
            running.puts.spawn_local(self.world.watched(async move {
                sleep(LINGER).await;
                this.flush().await;
            }));
        }
        if running.pending.len() > 1 && self.world.occurs(Fault::BridgeKilled) {
            running.pending.clear();
            running.puts = JoinSet::new();
            running.down_until = Instant::now() + DOWN_TIME;
        }
        true
    }

    /// Puts the collected uplinks.
    async fn flush(&self) {
        let pending = std::mem::take(&mut lock(&self.running).pending);
        let _busy = self.world.busy();
        self.put(self.packs(pending)).await;
    }

    /// Fills each record; closes some earlier, as when several sockets share the uplinks.
    fn packs(&self, pending: Vec<Waiting>) -> Vec<Pack> {
        let (mut filling, mut waiting, mut packs) = (Aggregator::default(), Vec::new(), Vec::new());
        for Waiting { device, record, acknowledged } in pending {
            if !filling.has_room_for(record.len())
                || (self.world.faults.are_active() && self.world.draw(|rng| rng.u8(..)) < 40)
            {
                packs.extend(filling.close().map(|record| (record, std::mem::take(&mut waiting))));
            }
            filling.add(|| device.to_string(), &record);
            waiting.push(acknowledged);
        }
        packs.extend(filling.close().map(|record| (record, waiting)));
        packs
    }

    /// Acknowledges accepted records at once, and puts the rejected ones again until the time-out.
    async fn put(&self, mut packs: Vec<Pack>) {
        let give_up = Instant::now() + PUT_TIMEOUT;
        let mut pause = FIRST_PAUSE;
        while !packs.is_empty() {
            let records: Vec<&StreamRecord> = packs.iter().map(|(record, _)| record).collect();
            let refused = self.stream.put(&records, give_up).await;
            let (left, accepted): (Vec<_>, Vec<_>) =
                packs.into_iter().enumerate().partition(|(position, _)| refused.contains(position));
            for acknowledged in accepted.into_iter().flat_map(|(_, (_, waiting))| waiting) {
                if !self.world.occurs(Fault::AcknowledgementLost) {
                    acknowledged.notify_one();
                }
            }
            packs = left.into_iter().map(|(_, pack)| pack).collect();
            if Instant::now() + pause >= give_up {
                break;
            }
            let jitter = self.world.draw(fastrand::Rng::f64);
            sleep(pause.mul_f64(jitter)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let given_back = packs.iter().map(|(_, waiting)| waiting.len()).sum();
        self.world.faults.happened(Fault::BridgeGaveBack, given_back);
    }
}
