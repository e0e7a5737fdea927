//! What everything in a run shares: chance, faults, the clock, and what happened.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use futures_util::FutureExt as _;
use tokio::task::spawn_local;
use tokio::time::Instant;

use super::faults::{Fault, Faults};

/// A run. The clock is the runtime's, which is paused: it moves when there is nothing left to do, to when there is.
#[derive(Debug)]
pub struct World {
    rng: Mutex<Rng>,
    /// What goes wrong, and how often it did.
    pub faults: Faults,
    began: Instant,
    digest: AtomicU64,
    busy: AtomicUsize,
    panics: Mutex<Vec<String>>,
}

/// Something under way that may still have an effect.
#[derive(Debug)]
pub struct Busy(Arc<World>);

impl World {
    /// One in which everything works, or, if it is `stormy`, one in which things go wrong. All that is left to chance comes
    /// from the seed.
    pub fn new(seed: u64, stormy: bool) -> Arc<Self> {
        let mut rng = Rng::with_seed(seed);
        let faults = Faults::drawn(&mut rng, stormy);
        Arc::new(Self {
            rng: Mutex::new(rng),
            faults,
            began: Instant::now(),
            digest: AtomicU64::new(0xCBF2_9CE4_8422_2325),
            busy: AtomicUsize::new(0),
            panics: Mutex::default(),
        })
    }

    /// What is left to chance.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut lock(&self.rng))
    }

    /// Yes or no, by chance.
    pub fn coin(&self) -> bool {
        self.draw(Rng::bool)
    }

    /// Whether a fault happens now. If so, it is counted.
    pub fn strikes(&self, fault: Fault) -> bool {
        let strikes = self.threatens(fault);
        if strikes {
            self.faults.happened(fault, 1);
        }
        strikes
    }

    /// Whether a fault is to happen. Whoever asks counts it once it has an effect.
    pub fn threatens(&self, fault: Fault) -> bool {
        self.draw(|rng| self.faults.threatens(fault, rng))
    }

    /// A time by chance, in milliseconds.
    pub fn span(&self, millis: std::ops::RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.draw(|rng| rng.u64(millis)))
    }

    /// How long the run has been going on.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Takes note of something that had an effect. Two runs in which the same happened at the same times have the same
    /// [`Self::digest`].
    pub fn happened(&self, what: &str, number: usize) {
        let mut digest = self.digest.load(Ordering::Relaxed);
        let millis = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
        let numbers = [millis, number as u64].map(u64::to_le_bytes);
        for byte in what.bytes().chain(numbers.into_iter().flatten()) {
            digest = (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        self.digest.store(digest, Ordering::Relaxed);
    }

    /// See [`Self::happened`].
    pub fn digest(&self) -> u64 {
        self.digest.load(Ordering::Relaxed)
    }

    /// Takes note of something under way, until that is dropped.
    pub fn busy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Starts something. Nobody waits for it, so a panic in it is noted.
    pub fn spawn(self: &Arc<Self>, work: impl Future + 'static) {
        spawn_local(self.watched(work));
    }

    /// The same work; but a panic in it is noted and makes it come to nothing. To whoever has called a function, one that panicked looks like
    /// one that was killed: what it had in hand comes again, and all would seem well.
    pub fn watched<F: Future>(self: &Arc<Self>, work: F) -> impl Future<Output = Option<F::Output>> + use<F> {
        let world = Arc::clone(self);
        async move {
            let ended = AssertUnwindSafe(work).catch_unwind().await;
            ended.map_err(|panic| lock(&world.panics).push(said(&*panic))).ok()
        }
    }

    /// What panicked.
    pub fn panics(&self) -> Vec<String> {
        lock(&self.panics).clone()
    }

    /// Whether nothing is under way.
    pub fn is_quiet(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a panic says.
pub(super) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("something without a text").to_owned()
}

/// A run has one thread, so nobody else can have left anything half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
