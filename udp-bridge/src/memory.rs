//! Memory budget for uplinks that are not durable yet.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes in packs that are being put, and their limit. It counts the received bytes; a request takes about three times
/// as much while it is built and sent.
#[derive(Debug)]
pub struct MemoryBudget {
    bytes: AtomicUsize,
    highest: AtomicUsize,
    limit: usize,
}

impl MemoryBudget {
    /// An unused budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), highest: AtomicUsize::new(0), limit }
    }

    /// True if the limit is reached.
    pub fn is_full(&self) -> bool {
        self.bytes() >= self.limit
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Adds the bytes of a pack.
    pub fn take(&self, bytes: usize) {
        let held = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.highest.fetch_max(held, Ordering::Relaxed);
    }

    /// Subtracts the bytes of a pack.
    pub fn give(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Highest use since the last call, in percent of the limit.
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
