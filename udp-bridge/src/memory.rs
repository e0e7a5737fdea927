//! How much the bridge holds that is not durable yet, and how much it may.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes in packs that are on their way. What counts is what came in; a request that carries it takes some three times as
/// much while it is made and sent.
#[derive(Debug)]
pub struct MemoryBudget {
    bytes: AtomicUsize,
    highest: AtomicUsize,
    limit: usize,
}

impl MemoryBudget {
    /// Nothing held, and at most so many bytes to come.
    pub fn new(limit: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), highest: AtomicUsize::new(0), limit }
    }

    /// Whether no more should be taken.
    pub fn is_full(&self) -> bool {
        self.bytes() >= self.limit
    }

    /// What is held.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Takes note of a pack that is held.
    pub fn take(&self, bytes: usize) {
        let held = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.highest.fetch_max(held, Ordering::Relaxed);
    }

    /// Takes note that it no longer is.
    pub fn give(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The most that was held since this was asked last, in percent of what may be.
    pub fn highest_percent(&self) -> usize {
        self.highest.swap(self.bytes(), Ordering::Relaxed) * 100 / self.limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_at_its_limit_and_tells_the_most_it_held() {
        let hold = MemoryBudget::new(1000);
        hold.take(600);
        assert!(!hold.is_full());
        hold.take(400);
        assert!(hold.is_full());
        hold.give(900);
        assert_eq!((hold.is_full(), hold.bytes()), (false, 100));
        assert_eq!((hold.highest_percent(), hold.highest_percent()), (100, 10));
    }
}
