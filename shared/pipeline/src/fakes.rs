//! In-memory ports for tests, which can be set to fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pulsegate_model::aggregate::StreamRecord;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::ports::{Queue, Refused, Secret, SecretError, Stream, Watermark, WatermarkError, Watermarks};

mod downlinks;
mod mortal;
mod objects;
mod queue_ends;
mod store;
pub mod tally;

pub use downlinks::FakeDownlinks;
pub use mortal::{Life, Mortal};
pub use objects::FakeObjects;
pub use queue_ends::FakeReceiveQueue;
pub use store::FakeStore;

/// A queue that keeps sent messages, or is down.
#[derive(Debug, Default)]
pub struct FakeQueue {
    sent: Mutex<Vec<String>>,
    down: bool,
}

/// A secret with given versions, or one that cannot be read.
#[derive(Debug, Default)]
pub struct FakeSecret {
    texts: Mutex<Option<Vec<String>>>,
    reads: Mutex<usize>,
}

/// A stream that keeps its records, refuses all of them, or blocks its callers.
#[derive(Debug, Default)]
pub struct FakeStream {
    records: Mutex<Vec<StreamRecord>>,
    state: watch::Sender<StreamState>,
}

/// Watermarks that are kept, are unavailable, or accept a limited number of writes.
#[derive(Debug, Default)]
pub struct FakeWatermarks {
    kept: Mutex<BTreeMap<String, Watermark>>,
    sets_left: Option<Mutex<usize>>,
    down: bool,
}

#[derive(Debug, Default)]
struct StreamState {
    down: bool,
    held: bool,
    calls: usize,
}

impl FakeQueue {
    /// Refuses everything.
    pub fn down() -> Self {
        Self { down: true, ..Self::default() }
    }

    /// The sent messages, in order.
    pub fn sent(&self) -> Vec<String> {
        lock(&self.sent).clone()
    }
}

impl Queue for FakeQueue {
    async fn send(&self, bodies: &[String], deadline: Instant) -> Refused {
        if self.down || Instant::now() >= deadline {
            return (0..bodies.len()).collect();
        }
        let refused: Refused = (0..bodies.len()).filter(|&position| !queue_takes(&bodies[position])).collect();
        lock(&self.sent).extend(bodies.iter().filter(|body| queue_takes(body)).cloned());
        refused
    }
}

impl FakeSecret {
    /// A secret with these versions, the current one first.
    pub fn of(texts: &[&str]) -> Self {
        let this = Self::default();
        this.set(Some(texts));
        this
    }

    /// Replaces the versions; with `None` the secret cannot be read.
    pub fn set(&self, texts: Option<&[&str]>) {
        *lock(&self.texts) = texts.map(|texts| texts.iter().map(|&text| text.to_owned()).collect());
    }

    /// Rotates the secret: `text` becomes current, the current version becomes the previous one.
    pub fn put(&self, text: &str) {
        let mut texts = lock(&self.texts);
        let previous = texts.take().and_then(|texts| texts.into_iter().next());
        *texts = Some(std::iter::once(text.to_owned()).chain(previous).collect());
    }

    /// Removes the previous version.
    pub fn forget(&self) {
        lock(&self.texts).iter_mut().for_each(|texts| texts.truncate(1));
    }

    /// The number of reads.
    pub fn reads(&self) -> usize {
        *lock(&self.reads)
    }
}

impl Secret for &FakeSecret {
    async fn versions(&self) -> Result<Vec<String>, SecretError> {
        *lock(&self.reads) += 1;
        lock(&self.texts).clone().ok_or_else(|| SecretError { id: "fake".to_owned(), source: "it is down".into() })
    }
}

impl FakeStream {
    /// Refuses everything while `down`.
    pub fn set_down(&self, down: bool) {
        self.state.send_modify(|state| state.down = down);
    }

    /// Blocks all calls while `held`.
    pub fn set_held(&self, held: bool) {
        self.state.send_modify(|state| state.held = held);
    }

    /// Waits until so many calls have started.
    pub async fn calls(&self, calls: usize) {
        self.until(|state| state.calls >= calls).await;
    }

    /// The number of calls that have started.
    pub fn calls_so_far(&self) -> usize {
        self.state.borrow().calls
    }

    /// The put records, in order.
    pub fn records(&self) -> Vec<StreamRecord> {
        lock(&self.records).clone()
    }

    async fn until(&self, condition: impl FnMut(&StreamState) -> bool) {
        // Cannot fail: `self` holds the sender.
        let _ = self.state.subscribe().wait_for(condition).await;
    }
}

impl Stream for Arc<FakeStream> {
    async fn put(&self, records: &[&StreamRecord], _: Instant) -> Refused {
        self.state.send_modify(|state| state.calls += 1);
        self.until(|state| !state.held).await;
        if self.state.borrow().down {
            return (0..records.len()).collect();
        }
        lock(&self.records).extend(records.iter().copied().cloned());
        Refused::new()
    }
}

impl FakeWatermarks {
    /// Every call fails.
    pub fn down() -> Self {
        Self { down: true, ..Self::default() }
    }

    /// Accepts so many writes; later ones fail.
    pub fn set_at_most(times: usize) -> Self {
        Self { sets_left: Some(Mutex::new(times)), ..Self::default() }
    }

    /// The watermark of that name.
    pub fn of(&self, name: &str) -> Option<Watermark> {
        lock(&self.kept).get(name).copied()
    }

    /// Sets a watermark directly, as another process would.
    pub fn put(&self, name: &str, watermark: Watermark) {
        lock(&self.kept).insert(name.to_owned(), watermark);
    }

    fn may_set(&self) -> bool {
        let Some(left) = &self.sets_left else { return !self.down };
        let mut left = lock(left);
        let may = *left > 0;
        *left = left.saturating_sub(1);
        may
    }
}

impl Watermarks for FakeWatermarks {
    async fn get(&self, name: &str, _: Instant) -> Result<Option<Watermark>, WatermarkError> {
        if self.down { Err(WatermarkError("down on purpose".into())) } else { Ok(self.of(name)) }
    }

    async fn set(&self, name: &str, watermark: &Watermark, _: Instant) -> Result<(), WatermarkError> {
        if !self.may_set() {
            return Err(WatermarkError("down on purpose".into()));
        }
        self.put(name, *watermark);
        Ok(())
    }
}

/// Returns `true` if SQS accepts the body:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>.
pub fn queue_takes(body: &str) -> bool {
    let taken = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
    !body.is_empty() && body.len() <= 1024 * 1024 && body.chars().all(taken)
}

/// Locks a mutex, even a poisoned one: a fake's state is always consistent.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
