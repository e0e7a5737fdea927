//! Limits the units a second, so that live traffic has the rest of the capacity.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pulsegate_aws::items::{Item, item_size};
use tokio::time::{Instant, sleep_until};

/// Bytes of a write unit.
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>)
const WRITE_UNIT: usize = 1024;

/// A limit in units a second, for all tasks that share it.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    paid_until: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(units_a_second: u32) -> Self {
        Self { per_second: f64::from(units_a_second), paid_until: Mutex::new(Instant::now()) }
    }

    /// Waits for the time that these units are worth, after the units of other tasks.
    pub(super) async fn pay(&self, units: f64) {
        let until = {
            let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
            let worth = Duration::try_from_secs_f64(units / self.per_second).unwrap_or_default();
            *paid_until = (*paid_until).max(Instant::now()) + worth;
            *paid_until
        };
        sleep_until(until).await;
    }
}

/// Read units of a lookup of this many items, each of at most 4,096 bytes, as pulse items are, for tables that do not
/// report them. An eventually consistent read costs half a unit.
pub(super) fn lookup_units(keys: usize) -> f64 {
    f64::from(u32::try_from(keys).unwrap_or(u32::MAX)) / 2.0
}

/// Write units of an item.
pub(super) fn write_units(item: &Item) -> f64 {
    f64::from(u32::try_from(item_size(item).div_ceil(WRITE_UNIT)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_who_share_it_wait_for_each_other() {
        let (pace, began) = (Pace::new(100), Instant::now());
        tokio::join!(pace.pay(50.0), pace.pay(150.0));
        assert_eq!(began.elapsed(), Duration::from_secs(2));
        pace.pay(100.0).await;
        assert_eq!(began.elapsed(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_used_in_time_is_not_saved_up() {
        let (pace, began) = (Pace::new(100), Instant::now());
        tokio::time::sleep(Duration::from_mins(1)).await;
        pace.pay(100.0).await;
        assert_eq!(began.elapsed(), Duration::from_secs(61));
    }
}
