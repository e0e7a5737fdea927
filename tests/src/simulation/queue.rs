//! SQS: at least once, in no order, each message invisible for a while once it was received.

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

/// What a request may hold.
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>)
const MAX_BATCH: usize = 10;

/// What is delivered twice at once is visible again so soon, in milliseconds: while a function still has it in hand.
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
    sent: usize,
}

#[derive(Debug)]
struct Message {
    body: Arc<str>,
    visible_from: Instant,
    receives: u32,
    /// Invocations that have it in hand.
    in_hand: u32,
}

/// A message as it was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its ID.
    pub id: usize,
    /// Which of the times it was received this is; the latest is the one that deletes it for sure.
    receive: u32,
    /// Its body.
    pub body: Arc<str>,
}

impl QueueModel {
    /// An empty one. What was received so many times goes to the dead letters, where there are some.
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

    /// What it is called.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Where its dead letters go.
    pub fn dead_letters(&self) -> Option<&QueueModel> {
        self.0.redrive.as_ref().map(|(queue, _)| queue)
    }

    /// How many messages it holds, visible or not.
    pub fn len(&self) -> usize {
        lock(&self.0.state).messages.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bodies of all messages it holds.
    pub fn bodies(&self) -> Vec<Arc<str>> {
        lock(&self.0.state).messages.values().map(|message| Arc::clone(&message.body)).collect()
    }

    /// Takes all messages out of it, as an operator does.
    pub fn take_all(&self) -> Vec<Arc<str>> {
        std::mem::take(&mut lock(&self.0.state).messages).into_values().map(|message| message.body).collect()
    }

    /// Puts a message into it, without a request that could fail.
    pub fn add(&self, body: Arc<str>) {
        assert!(queue_takes(&body), "a message that SQS refuses");
        let mut state = lock(&self.0.state);
        let id = state.sent;
        state.sent += 1;
        state.messages.insert(id, Message { body, visible_from: Instant::now(), receives: 0, in_hand: 0 });
        self.0.sent.notify_one();
    }

    /// Waits until there is something to receive.
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

    /// How many messages could be received now.
    pub fn waiting(&self) -> usize {
        let now = Instant::now();
        lock(&self.0.state).messages.values().filter(|message| message.visible_from <= now).count()
    }

    /// Receives some messages, at most so many, in no order.
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
            if message.in_hand > 0 {
                world.faults.happened(Fault::ReceivedTwice, 1);
            }
            message.in_hand += 1;
            let twice = world.threatens(Fault::ReceivedTwice);
            message.visible_from = now + if twice { world.span(TWICE_WITHIN) } else { self.0.visibility };
            received.push(Received { id, receive: message.receives, body: Arc::clone(&message.body) });
        }
        received
    }

    /// Takes note that the invocation which was given these messages is over.
    pub(super) fn out_of_hand(&self, messages: &[Received]) {
        let mut state = lock(&self.0.state);
        for received in messages {
            if let Some(message) = state.messages.get_mut(&received.id) {
                message.in_hand = message.in_hand.saturating_sub(1);
            }
        }
    }

    /// Takes note of an answer to a batch.
    pub(super) fn settled(&self, messages: usize, failed: usize) {
        if (1..messages).contains(&failed) {
            self.0.world.faults.happened(Fault::PartOfBatchFailed, 1);
        }
    }

    /// Deletes a message, or so it seems.
    pub fn delete(&self, message: &Received) {
        let world = &self.0.world;
        let mut state = lock(&self.0.state);
        let Some(there) = state.messages.get_mut(&message.id) else { return };
        if world.strikes(Fault::DeleteLost) {
            return;
        }
        if there.receives != message.receive {
            world.faults.happened(Fault::HandleOutdated, 1);
            if world.coin() {
                return;
            }
        }
        if world.strikes(Fault::DeletedCameBack) {
            there.visible_from = Instant::now() + world.span(0..=60_000);
            return;
        }
        world.happened(self.0.name, message.id);
        state.messages.remove(&message.id);
    }

    /// Messages as requests take them.
    pub(super) fn shared(bodies: &[String]) -> Arc<[Arc<str>]> {
        bodies.iter().map(|body| Arc::from(body.as_str())).collect()
    }

    /// One `SendMessageBatch`, of the messages at these positions: those it refuses, or `None` if it fails.
    pub(super) async fn request(&self, bodies: &Arc<[Arc<str>]>, pending: Vec<usize>) -> Option<Vec<usize>> {
        assert!(pending.len() <= MAX_BATCH, "a batch that SQS refuses");
        let (this, bodies) = (self.clone(), Arc::clone(bodies));
        let take = move || {
            let world = &this.0.world;
            let partly = world.threatens(Fault::SendPartlyRefused);
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
