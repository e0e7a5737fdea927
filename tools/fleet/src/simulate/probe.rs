//! How long it takes from a meter to the table of pulses: messages of a sample are looked up there until they are found.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::ports::{Key, Lookup, MAX_KEYS};
use tokio::sync::mpsc::{UnboundedReceiver, error::TryRecvError};
use tokio::time::{Instant, sleep};

use super::sigfox::lock;
use super::tally::Probed;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Longer than all repetitions of a modem.
const PATIENCE: Duration = Duration::from_mins(5);

/// Once nobody brings any more. What is not there by then was missed, or is late; the audit tells which.
const LAST_LOOKS: Duration = Duration::from_mins(1);

/// For one look.
const DEADLINE: Duration = Duration::from_secs(10);

/// A message that is to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    /// Where it is to be found.
    pub(super) key: Key,
    /// When it was given to the network.
    pub(super) sent: Instant,
}

/// Looks samples up until nobody brings any more and all are found, or have been waited for long enough.
pub(super) async fn run(table: impl Lookup, mut samples: UnboundedReceiver<Sample>, probed: Arc<Mutex<Probed>>) {
    let mut waiting: HashMap<Key, Instant> = HashMap::new();
    let mut closed: Option<Instant> = None;
    while closed.is_none_or(|at| !waiting.is_empty() && at.elapsed() < LAST_LOOKS) {
        while closed.is_none() && waiting.len() < MAX_KEYS {
            match samples.try_recv() {
                Ok(Sample { key, sent }) => {
                    waiting.insert(key, sent);
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => closed = Some(Instant::now()),
            }
        }
        look(&table, &mut waiting, &probed).await;
        sleep(PAUSE).await;
    }
    lock(&probed).missed += waiting.len() as u64;
}

async fn look(table: &impl Lookup, waiting: &mut HashMap<Key, Instant>, probed: &Mutex<Probed>) {
    let keys: Vec<Key> = waiting.keys().cloned().collect();
    // A table that cannot be read just now is asked again; what is found late for that is found late.
    let found = table.get(&keys, Instant::now() + DEADLINE).await.unwrap_or_default();
    let mut probed = lock(probed);
    for key in found.items.iter().filter_map(Key::of) {
        if let Some(sent) = waiting.remove(&key) {
            probed.latency.record(u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
    }
    let before = waiting.len();
    waiting.retain(|_, sent| sent.elapsed() < PATIENCE);
    probed.missed += (before - waiting.len()) as u64;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;
    use shared::ports::{Found, ReadError};
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    /// Has an item from the third look on, and another one never.
    #[derive(Default)]
    struct Table(AtomicUsize);

    impl Lookup for Table {
        async fn get(&self, keys: &[Key], _: Instant) -> Result<Found, ReadError> {
            let there = self.0.fetch_add(1, Ordering::Relaxed) >= 2;
            let items = keys.iter().filter(|key| there && key.device == "sigfox:1");
            let items = items.filter_map(|key| serde_dynamo::to_item(json!(key)).ok()).collect();
            Ok(Found { items, units: None })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_until_an_item_is_there_is_measured_and_one_that_never_comes_is_missed() {
        let (samples, receiver) = unbounded_channel();
        for device in ["sigfox:1", "sigfox:2"] {
            let key = Key { device: device.to_owned(), uplink: "2026-11-20T12:00:00Z#00001".to_owned() };
            samples.send(Sample { key, sent: Instant::now() }).unwrap();
        }
        drop(samples);
        let probed = Arc::default();
        run(Table::default(), receiver, Arc::clone(&probed)).await;
        let probed = lock(&probed);
        assert_eq!((probed.latency.count(), probed.missed), (1, 1));
        let [median, ..] = probed.latency.quantiles().unwrap();
        assert!((199.0..203.0).contains(&median), "{median} ms: two pauses");
    }
}
