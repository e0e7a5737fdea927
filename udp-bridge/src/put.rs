//! Puts packs to the stream, and acknowledges their uplinks only after that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pulsegate_model::aggregate;
use pulsegate_model::aggregate::StreamRecord;
use pulsegate_pipeline::ports::{MAX_STREAM_BYTES, MAX_STREAM_RECORDS, Refused, Stream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, timeout_at};

use crate::answer;
use crate::config::Pace;
use crate::counters::Counters;
use crate::http::Health;
use crate::memory::MemoryBudget;
use crate::pack::Pack;
use crate::separate::Separate;

/// Maximum number of requests in flight. At the maximum, packs wait and fill the next requests.
const MAX_IN_FLIGHT: usize = 16;

/// Smallest limit of a request, in bytes: a shard's capacity per second.
const MIN_REQUEST_BYTES: usize = 1024 * 1024;

const FIRST_RETRY_INTERVAL: Duration = Duration::from_millis(25);
const MAX_RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// Puts packs to a stream, and reports the results.
#[derive(Debug)]
pub struct Putter<S> {
    /// The stream.
    pub stream: S,
    /// How long a datagram waits for others, and how long a put is retried.
    pub pace: Pace,
    /// Records every put.
    pub health: Arc<Health>,
    /// Counts every pack.
    pub counters: Arc<Counters>,
    /// Budget to release packs from.
    pub hold: Arc<MemoryBudget>,
    /// Sends late CoAP answers.
    pub separate: Arc<Separate>,
    /// Current size limit of a request, in bytes. A stream that throttles accepts only part of a large request, and the
    /// rest has to be sent again. So each rejection halves the limit, and each success doubles it.
    pub limit: AtomicUsize,
}

/// Runs until the channel is closed and every pack is durable or given back.
pub async fn run<S: Stream + Send + Sync + 'static>(mut packs: UnboundedReceiver<Pack>, putter: Putter<S>) {
    let putter = Arc::new(putter);
    let mut puts = JoinSet::new();
    loop {
        // Wait for a free slot before collecting a request: packs that arrive meanwhile share the next request.
        while puts.len() >= MAX_IN_FLIGHT {
            puts.join_next().await;
        }
        let Some(request) = putter.next_request(&mut packs).await else { break };
        let putter = Arc::clone(&putter);
        puts.spawn(async move { putter.put(request).await });
        while puts.try_join_next().is_some() {}
    }
    while puts.join_next().await.is_some() {}
}

impl<S: Stream> Putter<S> {
    /// Collects packs for one request, until it is full or the first pack is as old as `linger`. Returns `None` if the
    /// channel is closed.
    async fn next_request(&self, packs: &mut UnboundedReceiver<Pack>) -> Option<Vec<Pack>> {
        /// The longest record with its key, in bytes.
        const LONGEST: usize = aggregate::MAX_BYTES + 256;
        let first = packs.recv().await?;
        let until = first.since + self.pace.linger;
        let limit = self.limit.load(Ordering::Relaxed);
        let mut bytes = LONGEST;
        let mut request = vec![first];
        while request.len() < MAX_STREAM_RECORDS && bytes + LONGEST <= limit {
            let Some(pack) = next_pack(packs, until).await else { break };
            bytes += pack.record.partition_key.len() + pack.record.data.len();
            request.push(pack);
        }
        Some(request)
    }

    /// Puts a request until all of it is accepted or the time is over. It acknowledges accepted packs at once, and puts
    /// only rejected packs again.
    async fn put(&self, mut packs: Vec<Pack>) {
        let give_up = Instant::now() + self.pace.put_timeout;
        let mut pause = FIRST_RETRY_INTERVAL;
        let mut answers = Vec::new();
        loop {
            let refused = self.request(&packs, give_up).await;
            let (accepted, left) = split(packs, &refused);
            answers.extend(self.finish(accepted, true));
            packs = left;
            if packs.is_empty() || Instant::now() + pause >= give_up {
                break;
            }
            // Full jitter: requests that were rejected together must not be retried together. The request keeps its
            // slot among those in flight, so a stream that throttles gets fewer requests.
            sleep(pause.mul_f64(fastrand::f64())).await;
            pause = (pause * 2).min(MAX_RETRY_INTERVAL);
        }
        answers.extend(self.finish(packs, false));
        for answer in answers {
            let _ = answer.await; // fails only after a panic, which is in the log
        }
    }

    /// Makes one request, and records its result.
    async fn request(&self, packs: &[Pack], give_up: Instant) -> Refused {
        let began = Instant::now();
        let records: Vec<&StreamRecord> = packs.iter().map(|pack| &pack.record).collect();
        let refused = self.stream.put(&records, give_up).await;
        self.health.put(refused.len() < packs.len());
        self.adjust_limit(refused.is_empty());
        self.counters.put(began.elapsed(), &records, refused.len());
        refused
    }

    fn adjust_limit(&self, all_accepted: bool) {
        let limit = self.limit.load(Ordering::Relaxed);
        let limit = if all_accepted { limit * 2 } else { limit / 2 };
        self.limit.store(limit.clamp(MIN_REQUEST_BYTES, MAX_STREAM_BYTES), Ordering::Relaxed);
    }

    /// Counts the packs, and answers their senders in a blocking task, because an answer may wait for space in the
    /// kernel's buffer.
    fn finish(&self, packs: Vec<Pack>, durable: bool) -> Option<JoinHandle<()>> {
        self.counters.finish(&packs, durable);
        let any = !packs.is_empty();
        let (counters, hold, separate) =
            (Arc::clone(&self.counters), Arc::clone(&self.hold), Arc::clone(&self.separate));
        let answer = move || {
            for mut pack in packs {
                hold.give(pack.weight());
                counters.in_flight.dec_by(pack.uplinks.try_into().unwrap_or(i64::MAX));
                counters.acknowledged.inc_by(answer::send(&mut pack, durable, &separate) as u64);
            }
        };
        any.then(|| spawn_blocking(answer))
    }
}

/// Returns a waiting pack at once, otherwise the next one that arrives before `until`.
async fn next_pack(packs: &mut UnboundedReceiver<Pack>, until: Instant) -> Option<Pack> {
    match packs.try_recv() {
        Ok(pack) => Some(pack),
        Err(_) => timeout_at(until, packs.recv()).await.ok().flatten(),
    }
}

/// Splits packs into accepted and rejected ones.
fn split(packs: Vec<Pack>, refused: &Refused) -> (Vec<Pack>, Vec<Pack>) {
    let (left, accepted): (Vec<_>, Vec<_>) =
        packs.into_iter().enumerate().partition(|(position, _)| refused.contains(position));
    let plain = |packs: Vec<(usize, Pack)>| packs.into_iter().map(|(_, pack)| pack).collect();
    (plain(accepted), plain(left))
}
