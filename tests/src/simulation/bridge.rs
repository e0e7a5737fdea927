//! A model of the bridge: hears a datagram as the real one does, packs as it does, puts, and only then acknowledges. What it
//! leaves out are sockets and threads, which `tests/tests/bridge.rs` and `make chaos` have.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pulsegate_model::aggregate::{Aggregator, StreamRecord};
use pulsegate_model::device::{DeviceId, Network};
use pulsegate_model::uplink::{Kind, TimeSource, Uplink};
use pulsegate_model::{profile, record};
use pulsegate_pipeline::ports::Stream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use udp_bridge::protocol::sealed::MasterKeys;
use udp_bridge::protocol::{Inbound, Protocol, Trust};

use super::faults::Fault;
use super::fleet::Listener;
use super::planted::Bug;
use super::stream::StreamModel;
use super::world::{World, lock};

/// As the bridge's own defaults are. (`udp_bridge::config`)
const LINGER: Duration = Duration::from_millis(200);
const PUT_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long a killed bridge is gone.
const GONE: Duration = Duration::from_secs(7);

/// A bridge.
#[derive(Debug)]
pub struct Bridge {
    world: Arc<World>,
    stream: StreamModel,
    listeners: [Protocol; 3],
    bug: Option<Bug>,
    running: Mutex<Running>,
    refused: Mutex<BTreeSet<Vec<u8>>>,
}

/// What is gone when it is killed.
#[derive(Debug)]
struct Running {
    heard: Vec<Told>,
    puts: JoinSet<Option<()>>,
    gone_until: Instant,
}

/// An uplink, and who waits for it.
#[derive(Debug)]
struct Told {
    device: DeviceId,
    record: Vec<u8>,
    acknowledged: Arc<Notify>,
}

/// A record of the stream, and who waits for it.
type Pack = (StreamRecord, Vec<Arc<Notify>>);

impl Bridge {
    /// One in front of the stream.
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
        let running = Running { heard: Vec::new(), puts: JoinSet::new(), gone_until: Instant::now() };
        let (running, refused) = (Mutex::new(running), Mutex::default());
        Arc::new(Self { world: Arc::clone(world), stream: stream.clone(), listeners, bug, running, refused })
    }

    /// What it has turned away.
    pub fn refused(&self) -> BTreeSet<Vec<u8>> {
        lock(&self.refused).clone()
    }

    /// Takes a datagram that has reached it. Whether it was there to do so.
    pub fn hear(self: &Arc<Self>, listener: Listener, datagram: &[u8], acknowledged: Arc<Notify>) -> bool {
        let mut running = lock(&self.running);
        if Instant::now() < running.gone_until {
            return false;
        }
        let Ok(Inbound::Uplink(profile, opened, _)) = self.listeners[listener as usize].read(datagram) else {
            lock(&self.refused).insert(datagram.to_vec());
            // So that it is not sent again. A real stranger is told nothing.
            acknowledged.notify_one();
            return true;
        };
        let uplink = Uplink {
            device: opened.device,
            kind: Kind::Data,
            at: opened.clock.expect("a fleet's meters have a clock"),
            time_source: TimeSource::Device,
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
        running.heard.push(Told { device: uplink.device, record, acknowledged });
        if running.heard.len() == 1 {
            let this = Arc::clone(self);
            running.puts.spawn_local(self.world.watched(async move {
                sleep(LINGER).await;
                this.flush().await;
            }));
        }
        if running.heard.len() > 1 && self.world.strikes(Fault::BridgeKilled) {
            running.heard.clear();
            running.puts = JoinSet::new();
            running.gone_until = Instant::now() + GONE;
        }
        true
    }

    /// Puts what has come together.
    async fn flush(&self) {
        let heard = std::mem::take(&mut lock(&self.running).heard);
        let _busy = self.world.busy();
        self.put(self.packs(heard)).await;
    }

    /// As many in a record as it holds; fewer, where several sockets share them.
    fn packs(&self, heard: Vec<Told>) -> Vec<Pack> {
        let (mut filling, mut waiting, mut packs) = (Aggregator::default(), Vec::new(), Vec::new());
        for Told { device, record, acknowledged } in heard {
            if !filling.has_room_for(record.len())
                || (self.world.faults.rage() && self.world.draw(|rng| rng.u8(..)) < 40)
            {
                packs.extend(filling.close().map(|record| (record, std::mem::take(&mut waiting))));
            }
            filling.add(|| device.to_string(), &record);
            waiting.push(acknowledged);
        }
        packs.extend(filling.close().map(|record| (record, waiting)));
        packs
    }

    /// What is accepted is acknowledged at once, and only what is not is put again, until patience is over.
    async fn put(&self, mut packs: Vec<Pack>) {
        let give_up = Instant::now() + PUT_TIMEOUT;
        let mut pause = FIRST_PAUSE;
        while !packs.is_empty() {
            let records: Vec<&StreamRecord> = packs.iter().map(|(record, _)| record).collect();
            let refused = self.stream.put(&records, give_up).await;
            let (left, accepted): (Vec<_>, Vec<_>) =
                packs.into_iter().enumerate().partition(|(position, _)| refused.contains(position));
            for acknowledged in accepted.into_iter().flat_map(|(_, (_, waiting))| waiting) {
                if !self.world.strikes(Fault::AcknowledgementLost) {
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
