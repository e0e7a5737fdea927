//! A model of SQS: at-least-once delivery, in no order, with a visibility time-out.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pulsegate_aws::resend::Undone;
use pulsegate_aws::send_all;
use pulsegate_pipeline::fakes::queue_takes;
use pulsegate_pipeline::ports::{Queue, Refused};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::faults::Fault;
use super::wire::{Wire, WireFaults};
use super::world::{World, lock};

/// Limit of a request.
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>)
const MAX_BATCH: usize = 10;

/// Delay, in milliseconds, before a message is delivered a second time, while a function still holds it.
const TWICE_WITHIN: RangeInclusive<u64> = 0..=200;

const FAULTS: WireFaults = WireFaults {
    refused: Fault::SendRefused,
    unanswered: Fault::SendUnanswered,
    late: Fault::SendLate,
    down: Fault::QueueDown,
};

/// A standard queue.
#[derive(Debug, Clone)]
pub struct QueueModel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    world: Arc<World>,
    wire: Wire,
    visibility: Duration,
    redrive: Option<(QueueModel, u32)>,
    state: Mutex<State>,
    sent: Notify,
}

#[derive(Debug, Default)]
struct State {
    messages: BTreeMap<usize, Message>,
    /// Every message that was ever sent, and when.
    sent: Vec<(Arc<str>, Instant)>,
}

#[derive(Debug)]
struct Message {
    body: Arc<str>,
    sent: Instant,
    visible_from: Instant,
    receives: u32,
    /// Number of invocations that hold it.
    holders: u32,
}

/// A received message.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its ID.
    pub id: usize,
    /// Number of this receive; the handle of the latest one deletes the message for sure.
    receive: u32,
    /// Its body.
    pub body: Arc<str>,
    /// When it was sent.
    pub sent: Instant,
}

impl QueueModel {
    /// Creates an empty queue. `redrive` has the dead-letter queue and the maximum number of receives.
    pub fn new(
        world: &Arc<World>,
        name: &'static str,
        visibility: Duration,
        redrive: Option<(QueueModel, u32)>,
    ) -> Self {
        let (world, wire) = (Arc::clone(world), Wire::new(world, FAULTS));
        let (state, sent) = (Mutex::default(), Notify::new());
        Self(Arc::new(Inner { name, world, wire, visibility, redrive, state, sent }))
    }

    /// Returns the queue's name.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Returns the queue of its dead letters.
    pub fn dead_letters(&self) -> Option<&QueueModel> {
        self.0.redrive.as_ref().map(|(queue, _)| queue)
    }

    /// Returns the number of messages, visible or not.
    pub fn len(&self) -> usize {
        lock(&self.0.state).messages.len()
    }

    /// Returns whether the queue is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bodies of all messages.
    pub fn bodies(&self) -> Vec<Arc<str>> {
        lock(&self.0.state).messages.values().map(|message| Arc::clone(&message.body)).collect()
    }

    /// Returns every message that was ever sent, and when.
    pub fn sent(&self) -> Vec<(Arc<str>, Instant)> {
        lock(&self.0.state).sent.clone()
    }

    /// Removes and returns all messages, as an operator does.
    pub fn take_all(&self) -> Vec<Arc<str>> {
        std::mem::take(&mut lock(&self.0.state).messages).into_values().map(|message| message.body).collect()
    }

    /// Adds a message, without a request that could fail.
    pub fn add(&self, body: Arc<str>) {
        assert!(queue_takes(&body), "SQS rejects such a message");
        let (mut state, sent) = (lock(&self.0.state), Instant::now());
        let id = state.sent.len();
        state.sent.push((Arc::clone(&body), sent));
        state.messages.insert(id, Message { body, sent, visible_from: sent, receives: 0, holders: 0 });
        self.0.sent.notify_one();
    }

    /// Waits until a message can be received.
    pub async fn visible(&self) {
        loop {
            let next = lock(&self.0.state).messages.values().map(|message| message.visible_from).min();
            match next {
                Some(from) if from <= Instant::now() => return,
                Some(from) => drop(timeout_at(from, self.0.sent.notified()).await),
                None => self.0.sent.notified().await,
            }
        }
    }

    /// Returns the number of messages that can be received now.
    pub fn waiting(&self) -> usize {
        let now = Instant::now();
        lock(&self.0.state).messages.values().filter(|message| message.visible_from <= now).count()
    }

    /// Receives at most `max` messages, in no order.
    pub fn receive(&self, max: usize) -> Vec<Received> {
        let (now, world) = (Instant::now(), &self.0.world);
        let mut state = lock(&self.0.state);
        let visible = state.messages.iter().filter(|(_, message)| message.visible_from <= now);
        let mut visible: Vec<usize> = visible.map(|(&id, _)| id).collect();
        if world.faults.stormy() {
            world.draw(|rng| rng.shuffle(&mut visible));
        }
        visible.truncate(max);
        let mut received = Vec::with_capacity(visible.len());
        for id in visible {
            let message = state.messages.get_mut(&id).expect("it is visible");
            message.receives += 1;
            if let Some((dead_letters, max_receives)) = &self.0.redrive
                && message.receives > *max_receives
            {
                world.faults.happened(Fault::DeadLettered, 1);
                dead_letters.add(state.messages.remove(&id).expect("it is visible").body);
                continue;
            }
            if message.receives > 1 {
                world.faults.happened(Fault::Redelivered, 1);
            }
            if message.holders > 0 {
                world.faults.happened(Fault::ReceivedTwice, 1);
            }
            message.holders += 1;
            let twice = world.is_due(Fault::ReceivedTwice);
            message.visible_from = now + if twice { world.span(TWICE_WITHIN) } else { self.0.visibility };
            let (receive, sent) = (message.receives, message.sent);
            received.push(Received { id, receive, body: Arc::clone(&message.body), sent });
        }
        received
    }

    /// Records that an invocation no longer holds these messages.
    pub(super) fn release(&self, messages: &[Received]) {
        let mut state = lock(&self.0.state);
        for received in messages {
            if let Some(message) = state.messages.get_mut(&received.id) {
                message.holders = message.holders.saturating_sub(1);
            }
        }
    }

    /// Records how many messages of a batch failed.
    pub(super) fn settled(&self, messages: usize, failed: usize) {
        if (1..messages).contains(&failed) {
            self.0.world.faults.happened(Fault::PartOfBatchFailed, 1);
        }
    }

    /// Deletes a message, unless a fault prevents it.
    pub fn delete(&self, message: &Received) {
        let world = &self.0.world;
        let mut state = lock(&self.0.state);
        let Some(there) = state.messages.get_mut(&message.id) else { return };
        if world.occurs(Fault::DeleteLost) {
            return;
        }
        if there.receives != message.receive {
            world.faults.happened(Fault::HandleOutdated, 1);
            if world.coin() {
                return;
            }
        }
        if world.occurs(Fault::DeletedCameBack) {
            there.visible_from = Instant::now() + world.span(0..=60_000);
            return;
        }
        world.happened(self.0.name, message.id);
        state.messages.remove(&message.id);
    }

    /// Converts bodies to the form that [`Self::request`] takes.
    pub(super) fn shared(bodies: &[String]) -> Arc<[Arc<str>]> {
        bodies.iter().map(|body| Arc::from(body.as_str())).collect()
    }

    /// Sends the messages at these positions in one `SendMessageBatch`. Returns the rejected positions, or `None` if it
    /// fails.
    pub(super) async fn request(&self, bodies: &Arc<[Arc<str>]>, pending: Vec<usize>) -> Option<Vec<usize>> {
        assert!(pending.len() <= MAX_BATCH, "SQS rejects such a batch");
        let (this, bodies) = (self.clone(), Arc::clone(bodies));
        let take = move || {
            let world = &this.0.world;
            let partly = world.is_due(Fault::SendPartlyRefused);
            let (refused, taken): (Vec<usize>, Vec<usize>) = pending.into_iter().partition(|_| partly && world.coin());
            if !refused.is_empty() {
                world.faults.happened(Fault::SendPartlyRefused, 1);
            }
            for position in taken {
                world.happened(this.0.name, position);
                this.add(Arc::clone(&bodies[position]));
            }
            refused
        };
        self.0.wire.carry(take).await
    }
}

impl Queue for QueueModel {
    async fn send(&self, bodies: &[String], deadline: Instant) -> Refused {
        let shared = Self::shared(bodies);
        let request = |pending: Vec<usize>| async {
            let all = pending.clone();
            Undone { again: self.request(&shared, pending).await.unwrap_or(all), ..Undone::default() }
        };
        send_all(bodies, deadline, request).await
    }
}
