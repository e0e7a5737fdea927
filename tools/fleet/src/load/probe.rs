//! Probe: measures the time from a meter to the pulses table, by looking up sampled messages until they are found.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pulsegate_aws::{Key, Lookup, MAX_KEYS};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::time::{Instant, sleep};

use super::counters::Probed;
use super::sigfox::lock;
use super::timers::micros;

/// Pause between two lookups.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a sample is looked up: longer than all repetitions of a modem.
const SAMPLE_TIMEOUT: Duration = Duration::from_mins(5);

/// How long samples are looked up after the run. Those not found were lost or are late; the audit shows which.
const FINAL_TIMEOUT: Duration = Duration::from_mins(1);

/// Time-out of one lookup.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// A message to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    /// Its key in the pulses table.
    pub(super) key: Key,
    /// Time of transmission.
    pub(super) sent: Instant,
}

/// Looks up samples until the channel is closed and all are found or timed out. At most `MAX_KEYS` samples
/// are outstanding; further ones are dropped, since waiting for room would count as the pipeline's
/// time.
pub(super) async fn run(table: impl Lookup, mut samples: UnboundedReceiver<Sample>, probed: Arc<Mutex<Probed>>) {
    let mut waiting: HashMap<Key, Instant> = HashMap::new();
    let mut closed: Option<Instant> = None;
    while closed.is_none_or(|at| !waiting.is_empty() && at.elapsed() < FINAL_TIMEOUT) {
        while closed.is_none() {
            match samples.try_recv() {
                Ok(Sample { key, sent }) if waiting.len() < MAX_KEYS => {
                    waiting.insert(key, sent);
                }
                Ok(_) => {}
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
    // A failed lookup is repeated with the next one; its samples then count as found later.
    let found = table.get(&keys, Instant::now() + LOOKUP_TIMEOUT).await.unwrap_or_default();
    let mut probed = lock(probed);
    for key in found.items.iter().filter_map(Key::of) {
        if let Some(sent) = waiting.remove(&key) {
            probed.latency.record(micros(sent.elapsed()));
        }
    }
    let before = waiting.len();
    waiting.retain(|_, sent| sent.elapsed() < SAMPLE_TIMEOUT);
    probed.missed += (before - waiting.len()) as u64;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use pulsegate_aws::Found;
    use pulsegate_pipeline::ports::ReadError;
    use serde_json::json;
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    /// Returns one item from the third lookup on, and another one never.
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

    fn sample(device: &str, sequence: usize) -> Sample {
        let uplink = format!("2026-11-20T12:00:00Z#{sequence:05}");
        Sample { key: Key { device: device.to_owned(), uplink }, sent: Instant::now() }
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_until_an_item_is_there_is_measured_and_one_that_never_comes_is_missed() {
        let (samples, receiver) = unbounded_channel();
        for device in ["sigfox:1", "sigfox:2"] {
            samples.send(sample(device, 1)).unwrap();
        }
        drop(samples);
        let probed = Arc::default();
        run(Table::default(), receiver, Arc::clone(&probed)).await;
        let probed = lock(&probed);
        assert_eq!((probed.latency.count(), probed.missed), (1, 1));
        let [median, ..] = probed.latency.quantiles().unwrap();
        assert!((199.0..203.0).contains(&median), "{median} ms: two pauses");
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_while_there_is_no_room_is_no_sample() {
        let (samples, receiver) = unbounded_channel();
        for sequence in 0..2 * MAX_KEYS {
            samples.send(sample("sigfox:1", sequence)).unwrap();
        }
        drop(samples);
        let probed = Arc::default();
        run(Table::default(), receiver, Arc::clone(&probed)).await;
        let probed = lock(&probed);
        assert_eq!((probed.latency.count(), probed.missed), (MAX_KEYS as u64, 0));
        let [.., longest] = probed.latency.quantiles().unwrap();
        assert!(longest < 203.0, "{longest} ms: nobody has waited for room");
    }
}
