//! In-memory queue with both ends, for sending and receiving.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::{lock, queue_takes};
use crate::ports::{Depth, MAX_RECEIVED, Queue, ReadError, ReceiveQueue, Received, Refused, Waiting};

/// A queue with both ends. Each receive returns at most [`MAX_RECEIVED`] messages, in random order.
#[derive(Debug)]
pub struct FakeReceiveQueue {
    messages: Mutex<Vec<Message>>,
    /// For IDs and the order of received messages. Seeded, so the same calls return the same results.
    random: Mutex<fastrand::Rng>,
    began: Instant,
    down: bool,
}

#[derive(Debug)]
struct Message {
    received: Received,
    held_until: Instant,
    times: usize,
}

/// The queue's clock at its creation, in milliseconds since 1970: 2026-11-20T12:00:00Z.
const NOON: u64 = 1_795_176_000_000;

/// Arbitrary but fixed, so that a failing test fails again.
const SEED: u64 = 1;

impl FakeReceiveQueue {
    /// An empty queue.
    #[expect(clippy::new_without_default, reason = "it reads a clock")]
    pub fn new() -> Self {
        let random = Mutex::new(fastrand::Rng::with_seed(SEED));
        Self { messages: Mutex::default(), random, began: Instant::now(), down: false }
    }

    /// Refuses everything, and cannot be read.
    pub fn down() -> Self {
        Self { down: true, ..Self::new() }
    }

    /// The queue's time in milliseconds since 1970.
    pub fn now(&self) -> u64 {
        NOON + u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The bodies of all messages, held or not, in the order of sending.
    pub fn bodies(&self) -> Vec<String> {
        lock(&self.messages).iter().map(|message| message.received.body.clone()).collect()
    }

    /// The number of held messages.
    pub fn held(&self) -> usize {
        lock(&self.messages).iter().filter(|message| message.held_until > Instant::now()).count()
    }

    /// Returns the positions of handles that are not from the last receive.
    fn stale(&self, handles: &[String]) -> Refused {
        let messages = lock(&self.messages);
        let known = |handle: &String| messages.iter().any(|message| message.received.handle == *handle);
        (0..handles.len()).filter(|&position| self.down || !known(&handles[position])).collect()
    }
}

impl Queue for FakeReceiveQueue {
    async fn send(&self, bodies: &[String], _: Instant) -> Refused {
        let sent = self.now();
        let mut messages = lock(&self.messages);
        let mut refused = Refused::new();
        for (position, body) in bodies.iter().enumerate() {
            if self.down || !queue_takes(body) {
                refused.insert(position);
                continue;
            }
            let id = format!("{:08x}", lock(&self.random).u32(..));
            let received = Received { id, handle: String::new(), sent, body: body.clone() };
            messages.push(Message { received, held_until: Instant::now(), times: 0 });
        }
        refused
    }
}

impl ReceiveQueue for FakeReceiveQueue {
    async fn receive(&self, hold: Duration, _: Instant) -> Result<Vec<Received>, ReadError> {
        if self.down {
            return Err(down("the queue"));
        }
        let now = Instant::now();
        let mut messages = lock(&self.messages);
        let mut free: Vec<&mut Message> = messages.iter_mut().filter(|message| message.held_until <= now).collect();
        lock(&self.random).shuffle(&mut free);
        let some = free.into_iter().take(MAX_RECEIVED);
        let receive = |message: &mut Message| {
            message.times += 1;
            message.held_until = now + hold;
            message.received.handle = format!("{}/{}", message.received.id, message.times);
            message.received.clone()
        };
        Ok(some.map(receive).collect())
    }

    async fn give_back(&self, handles: &[String], _: Instant) -> Refused {
        let stale = self.stale(handles);
        for message in lock(&self.messages).iter_mut() {
            if !self.down && handles.contains(&message.received.handle) {
                message.held_until = Instant::now();
            }
        }
        stale
    }

    async fn delete(&self, handles: &[String], _: Instant) -> Refused {
        let stale = self.stale(handles);
        lock(&self.messages).retain(|message| self.down || !handles.contains(&message.received.handle));
        stale
    }
}

impl Depth for FakeReceiveQueue {
    async fn depth(&self, _: Instant) -> Result<Waiting, ReadError> {
        if self.down {
            return Err(down("the queue"));
        }
        let all = lock(&self.messages).len() as u64;
        let held = self.held() as u64;
        Ok(Waiting { visible: all - held, in_flight: held, delayed: 0 })
    }
}

fn down(what: &str) -> ReadError {
    ReadError { what: what.to_owned(), source: "down on purpose".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_calls_get_the_same_answers() {
        let received = async || {
            let inbox = FakeReceiveQueue::new();
            let bodies: Vec<String> = (0..50).map(|n| n.to_string()).collect();
            assert!(inbox.send(&bodies, Instant::now()).await.is_empty());
            inbox.receive(Duration::from_mins(1), Instant::now()).await.unwrap()
        };
        assert_eq!(received().await, received().await);
    }
}
