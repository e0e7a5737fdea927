//! The real handlers, connected to the models as `main.rs` and the template connect them to AWS.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::event::kinesis::KinesisEvent;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use aws_lambda_events::event::streams::KinesisEventResponse;
use pulsegate_aws::lambda::MissingId;
use pulsegate_aws::{EventTable, PulseTable};
use pulsegate_model::aggregate::StreamRecord;
use pulsegate_pipeline::archive::writer::ArchiveWriter;
use pulsegate_pipeline::fakes::FakeDownlinks;
use pulsegate_pipeline::ports::{Secret, SecretError};
use pulsegate_pipeline::pulse::PulseStage;
use pulsegate_pipeline::raw::RawStage;
use sigfox_callback::Callback as CallbackFunction;
use sigfox_callback::auth::Rules;
use sigfox_callback::cached::Cached;
use sigfox_callback::refusals::Refusals;
use tokio::time::{Instant, sleep};

use super::bridge::Bridge;
use super::fleet::{Fleet, SECRET};
use super::planted::{self, Bug, PlantedQueue, PlantedTable};
use super::poison::Poison;
use super::queue::QueueModel;
use super::queue_mapping::QueueSettings;
use super::raw_objects::RawObjects;
use super::senders::{Sigfox, send_datagram};
use super::settings::{DeployedQueue, Settings};
use super::stream::StreamModel;
use super::stream_mapping::StreamMapping;
use super::table::TableModel;
use super::world::World;
use super::{lambda, queue_mapping};

/// Of device events the template's default; of pulses one that a stack may choose.
pub(super) const RETENTION_DAYS: u32 = 400;

/// The whole pipeline.
#[derive(Debug)]
pub struct Pipeline {
    pub(super) world: Arc<World>,
    settings: Settings,
    pub(super) bug: Option<Bug>,
    pub(super) poison: Option<Arc<Poison>>,
    pub(super) archive: RawObjects,
    pub(super) pulse_table: TableModel,
    pub(super) event_table: TableModel,
    pub(super) raw: QueueModel,
    pub(super) pulse_sigfox: QueueModel,
    pub(super) pulse_nbiot: QueueModel,
    pub(super) quarantine: QueueModel,
    pub(super) stream: StreamModel,
    pub(super) bucket: Arc<Mutex<Vec<StreamRecord>>>,
    pub(super) sigfox: Sigfox<OneSecret, QueueModel, FakeDownlinks>,
    pub(super) bridges: Arc<[Arc<Bridge>]>,
}

/// The secret of the callbacks, which can always be read: the callback function's own tests cover failures.
#[derive(Debug)]
pub struct OneSecret;

impl Secret for OneSecret {
    async fn versions(&self) -> Result<Vec<String>, SecretError> {
        Ok(vec![SECRET.to_owned()])
    }
}

impl Pipeline {
    /// Starts everything except the senders.
    pub async fn start(world: &Arc<World>, settings: Settings, fleet: &Fleet, bug: Option<Bug>) -> Arc<Self> {
        let queue = |name, DeployedQueue { visibility, max_receives, .. }| {
            let dead_letters = QueueModel::new(world, "dead letters", visibility, None);
            QueueModel::new(world, name, visibility, Some((dead_letters, max_receives)))
        };
        let stream = StreamModel::new(world, world.draw(|rng| rng.u32(1..=3)));
        let raw = queue("raw", settings.raw);
        let quarantine = QueueModel::new(world, "quarantine", settings.raw.visibility, None);
        let callback = CallbackFunction {
            secrets: Cached::read(OneSecret).await.unwrap_or_else(|e| panic!("{e}")),
            rules: Rules::default(),
            refusals: Refusals::default(),
            raw: raw.clone(),
            quarantine: quarantine.clone(),
            downlinks: FakeDownlinks::default(),
        };
        let bridges = [0; 2].map(|_| Bridge::new(world, &stream, &fleet.keys, bug));
        let this = Arc::new(Self {
            world: Arc::clone(world),
            settings,
            bug,
            poison: Poison::chosen(world, fleet),
            archive: RawObjects::new(world, bug),
            pulse_table: TableModel::new(world, "uplink"),
            event_table: TableModel::new(world, "event"),
            sigfox: Sigfox::new(world, callback),
            raw,
            pulse_sigfox: queue("pulse-sigfox", settings.pulse),
            pulse_nbiot: queue("pulse-nbiot", settings.pulse),
            quarantine,
            stream,
            bucket: Arc::default(),
            bridges: bridges.into(),
        });
        this.map_raw_sigfox();
        this.map_raw_nbiot();
        this.map_pulse(&this.pulse_sigfox, "pulse-sigfox");
        this.map_pulse(&this.pulse_nbiot, "pulse-nbiot");
        this
    }

    /// Sends all messages of the fleet.
    pub fn send(&self, fleet: &Fleet) {
        for callback in fleet.callbacks.iter().cloned() {
            self.world.spawn(self.sigfox.clone().send(callback));
        }
        for datagram in fleet.datagrams.iter().cloned() {
            self.world.spawn(send_datagram(Arc::clone(&self.world), Arc::clone(&self.bridges), datagram));
        }
        fleet.raw_noise.iter().for_each(|noise| self.raw.add(noise.as_str().into()));
        fleet.pulse_noise.iter().for_each(|noise| self.pulse_sigfox.add(noise.as_str().into()));
        fleet.stream_noise.iter().cloned().for_each(|noise| self.stream.add(noise));
        if self.world.faults.stormy() {
            let (world, stream) = (Arc::clone(&self.world), self.stream.clone());
            self.world.spawn(async move {
                for _ in 0..world.draw(|rng| rng.u8(..5)) {
                    sleep(world.span(1_000..=240_000)).await;
                    stream.reshard();
                }
            });
        }
    }

    /// Returns whether nothing is under way, and no queue but quarantine has messages.
    pub fn is_quiet(&self) -> bool {
        let queues = self.queues();
        let empty = |queue: &&QueueModel| queue.is_empty() && queue.dead_letters().is_none_or(QueueModel::is_empty);
        self.world.is_quiet()
            && queues.iter().all(empty)
            && self.stream.is_read()
            && super::world::lock(&self.bucket).is_empty()
            && super::world::lock(&self.sigfox.given_up).is_empty()
            && self.poison.as_ref().is_none_or(|poison| !poison.is_active())
    }

    pub(super) fn queues(&self) -> [&QueueModel; 3] {
        [&self.raw, &self.pulse_sigfox, &self.pulse_nbiot]
    }

    fn planted(&self, table: &TableModel) -> PlantedTable {
        PlantedTable { table: table.clone(), bug: self.bug, world: Arc::clone(&self.world) }
    }

    fn planted_queue(&self, queue: &QueueModel) -> PlantedQueue {
        PlantedQueue { queue: queue.clone(), bug: self.bug }
    }

    fn raw_stage(&self, events: Option<&TableModel>, pulse: &QueueModel) -> PlantedRawStage {
        RawStage {
            raw: ArchiveWriter { store: self.archive.clone() },
            events: events.map(|table| EventTable { table: self.planted(table), retention_days: RETENTION_DAYS }),
            pulse: Some(self.planted_queue(pulse)),
            quarantine: self.planted_queue(&self.quarantine),
        }
    }

    fn map_raw_sigfox(&self) {
        let stage = Arc::new(self.raw_stage(Some(&self.event_table), &self.pulse_sigfox));
        self.map(&self.raw, self.settings.raw.mapping, move |event, deadline| {
            let stage = Arc::clone(&stage);
            Box::pin(async move { raw_sigfox::handle(event, &stage, deadline).await })
        });
    }

    fn map_pulse(&self, queue: &QueueModel, name: &'static str) {
        let (table, quarantine) = (self.planted(&self.pulse_table), self.quarantine.clone());
        let stage = Arc::new(PulseStage {
            pulses: PulseTable { table, retention_days: RETENTION_DAYS },
            quarantine,
            archive: self.archive.clone(),
        });
        self.map(queue, self.settings.pulse.mapping, move |event, deadline| {
            let stage = Arc::clone(&stage);
            Box::pin(async move { pulse::handle(event, &stage, name, deadline).await })
        });
    }

    fn map(
        &self,
        queue: &QueueModel,
        mapping: QueueSettings,
        handle: impl Fn(SqsEvent, Instant) -> Handling<SqsBatchResponse> + 'static,
    ) {
        let (world, limit, poison) = (Arc::clone(&self.world), self.settings.limit, self.poison.clone());
        let (name, handle) = (queue.name(), Arc::new(handle));
        let invoke = move |event: SqsEvent| {
            let (world, poison, handle) = (Arc::clone(&world), poison.clone(), Arc::clone(&handle));
            async move {
                let killed = poison.is_some_and(|poison| poison.is_in_messages(name, &event));
                run(&world, limit, killed, |deadline| handle(event, deadline)).await
            }
        };
        self.world.spawn(queue_mapping::run(Arc::clone(&self.world), queue.clone(), mapping, invoke));
    }

    fn map_raw_nbiot(&self) {
        let stage = Arc::new(self.raw_stage(None, &self.pulse_nbiot));
        let (world, limit, poison) = (Arc::clone(&self.world), self.settings.limit, self.poison.clone());
        let bug = self.bug;
        let invoke = move |event: KinesisEvent| {
            let (world, poison, stage) = (Arc::clone(&world), poison.clone(), Arc::clone(&stage));
            async move {
                let killed = poison.is_some_and(|poison| poison.is_in_records(&event));
                let handle = |deadline| -> Handling<KinesisEventResponse> {
                    Box::pin(async move {
                        match bug {
                            Some(Bug::ReportsTheHighest) => planted::report_the_highest(event, &stage, deadline).await,
                            _ => raw_nbiot::handle(event, &stage, deadline).await,
                        }
                    })
                };
                run(&world, limit, killed, handle).await
            }
        };
        let (world, stream, bucket) = (Arc::clone(&self.world), self.stream.clone(), Arc::clone(&self.bucket));
        self.world.spawn(StreamMapping { world, stream, settings: self.settings.stream, invoke, bucket }.run());
    }
}

type PlantedRawStage = RawStage<ArchiveWriter<RawObjects>, EventTable<PlantedTable>, PlantedQueue>;

type Handling<T> = Pin<Box<dyn Future<Output = Result<T, MissingId>>>>;

/// Invokes a handler; returns its answer, if there is one.
async fn run<T>(
    world: &Arc<World>,
    limit: Duration,
    killed: bool,
    handle: impl FnOnce(Instant) -> Handling<T>,
) -> Option<T> {
    if killed {
        let _busy = world.busy();
        let awaits = world.draw(|rng| rng.u32(1..8));
        lambda::killed(world.watched(handle(Instant::now() + limit)), awaits).await;
        return None;
    }
    lambda::invoke(world, limit, handle).await?.ok()
}
