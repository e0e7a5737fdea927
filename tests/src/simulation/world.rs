//! Shared state of a run: random numbers, faults, the clock, and a digest of its effects.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use futures_util::FutureExt as _;
use tokio::task::spawn_local;
use tokio::time::Instant;

use super::faults::{Fault, FaultKind, Faults};

/// The time at which a run begins, since 1970: 2027-06-08T12:00:00Z. Every message of the fleet is dated at
/// least some days before, so that an item retained from its message's time expires too early.
const START: Duration = Duration::from_hours(503_460);

/// A run. The clock is the runtime's, which is paused: when no task can run, it advances to the next timer.
#[derive(Debug)]
pub struct World<F = Fault> {
    rng: Mutex<Rng>,
    /// The faults, and how often each occurred.
    pub faults: Faults<F>,
    began: Instant,
    digest: AtomicU64,
    busy: Arc<AtomicUsize>,
    panics: Mutex<Vec<String>>,
}

/// Guard of a task that may still have an effect.
#[derive(Debug)]
pub struct Busy(Arc<AtomicUsize>);

impl<F: FaultKind> World<F> {
    /// Creates a run: with faults if it is `stormy`, else without. All random choices come from the seed.
    pub fn new(seed: u64, stormy: bool) -> Arc<Self> {
        let mut rng = Rng::with_seed(seed);
        let faults = Faults::drawn(&mut rng, stormy);
        Arc::new(Self {
            rng: Mutex::new(rng),
            faults,
            began: Instant::now(),
            digest: AtomicU64::new(0xCBF2_9CE4_8422_2325),
            busy: Arc::default(),
            panics: Mutex::default(),
        })
    }

    /// Draws from the random numbers.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut lock(&self.rng))
    }

    /// Draws a boolean.
    pub fn coin(&self) -> bool {
        self.draw(Rng::bool)
    }

    /// Draws whether a fault occurs now, and counts it if it does.
    pub fn occurs(&self, fault: F) -> bool {
        let occurs = self.is_due(fault);
        if occurs {
            self.faults.happened(fault, 1);
        }
        occurs
    }

    /// Draws whether a fault is to occur. The caller counts it once it has an effect.
    pub fn is_due(&self, fault: F) -> bool {
        self.draw(|rng| self.faults.is_due(fault, rng))
    }

    /// Draws a duration, in milliseconds.
    pub fn span(&self, millis: std::ops::RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.draw(|rng| rng.u64(millis)))
    }

    /// Returns the time since the start of the run.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Returns an instant of the run as the time since 1970, which services put on messages and records.
    pub fn time_of(&self, instant: Instant) -> Duration {
        START + instant.duration_since(self.began)
    }

    /// Adds an effect to the digest. Two runs with the same effects at the same times have the same [`Self::digest`].
    pub fn happened(&self, what: &str, number: usize) {
        let mut digest = self.digest.load(Ordering::Relaxed);
        let millis = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
        let numbers = [millis, number as u64].map(u64::to_le_bytes);
        for byte in what.bytes().chain(numbers.into_iter().flatten()) {
            digest = (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        self.digest.store(digest, Ordering::Relaxed);
    }

    /// Returns the digest of the effects so far.
    pub fn digest(&self) -> u64 {
        self.digest.load(Ordering::Relaxed)
    }

    /// Marks the run as busy until the guard is dropped.
    pub fn busy(&self) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(&self.busy))
    }

    /// Spawns a task. Nothing awaits it, so a panic in it is recorded.
    pub fn spawn(self: &Arc<Self>, work: impl Future + 'static) {
        spawn_local(self.watched(work));
    }

    /// Wraps work so that a panic in it is recorded and ends it with `None`. For a caller, a function that panics looks
    /// like one that is killed: its messages are delivered again, and the panic would be hidden.
    pub fn watched<W: Future>(self: &Arc<Self>, work: W) -> impl Future<Output = Option<W::Output>> + use<F, W> {
        let world = Arc::clone(self);
        async move {
            let ended = AssertUnwindSafe(work).catch_unwind().await;
            ended.map_err(|panic| lock(&world.panics).push(panic_text(&*panic))).ok()
        }
    }

    /// Returns the recorded panics.
    pub fn panics(&self) -> Vec<String> {
        lock(&self.panics).clone()
    }

    /// Returns whether nothing is under way.
    pub fn is_quiet(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns the message of a panic.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message").to_owned()
}

/// Locks a mutex, even a poisoned one. A run has one thread, so no other one can have left the value half changed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
