//! Puts packs to the stream, and then, only then, acknowledges.

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

/// Requests in flight at once. While all are, packs wait, and fill the requests to come.
const MAX_IN_FLIGHT: usize = 16;

/// What a shard takes in a second.
const SMALLEST_REQUEST: usize = 1024 * 1024;

const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Where packs go and who is told.
#[derive(Debug)]
pub struct Putter<S> {
    /// The stream.
    pub stream: S,
    /// How long a datagram waits for others, and is tried.
    pub pace: Pace,
    /// Told of every put.
    pub health: Arc<Health>,
    /// Told of every pack.
    pub counters: Arc<Counters>,
    /// Told of what is no longer held.
    pub hold: Arc<MemoryBudget>,
    /// For CoAP answers that come late.
    pub separate: Arc<Separate>,
    /// How large a request may be now, in bytes. A stream that throttles takes a part of a large one and has the rest of it
    /// sent again, so requests get smaller until it no longer does.
    pub limit: AtomicUsize,
}

/// Works until no more packs can come and everything that was in them is durable or given back.
pub async fn run<S: Stream + Send + Sync + 'static>(mut packs: UnboundedReceiver<Pack>, putter: Putter<S>) {
    let putter = Arc::new(putter);
    let mut puts = JoinSet::new();
    loop {
        // First of all there has to be a place: what waits for one waits together.
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
    /// Packs for one request: as many as it takes, or those that have come when the first is as old as `linger`. `None` when
    /// no more can come.
    async fn next_request(&self, packs: &mut UnboundedReceiver<Pack>) -> Option<Vec<Pack>> {
        /// The longest record with its key.
        const LONGEST: usize = aggregate::MAX_BYTES + 256;
        let first = packs.recv().await?;
        let until = first.since + self.pace.linger;
        let limit = self.limit.load(Ordering::Relaxed);
        let mut bytes = LONGEST;
        let mut request = vec![first];
        while request.len() < MAX_STREAM_RECORDS && bytes + LONGEST <= limit {
            let pack = match packs.try_recv() {
                Ok(pack) => pack,
                Err(_) => match timeout_at(until, packs.recv()).await {
                    Ok(Some(pack)) => pack,
                    _ => break,
                },
            };
            bytes += pack.record.partition_key.len() + pack.record.data.len();
            request.push(pack);
        }
        Some(request)
    }

    /// Puts a request until all of it is accepted or patience is over. What is accepted is acknowledged at once, and only
    /// what is not is put again.
    async fn put(&self, mut packs: Vec<Pack>) {
        let give_up = Instant::now() + self.pace.put_timeout;
        let mut pause = FIRST_PAUSE;
        let mut answers = Vec::new();
        loop {
            let refused = self.request(&packs, give_up).await;
            let (accepted, left) = split(packs, &refused);
            answers.extend(self.end(accepted, true));
            packs = left;
            if packs.is_empty() || Instant::now() + pause >= give_up {
                break;
            }
            // Full jitter: what was refused together must not come back together. The request keeps its place among
            // those in flight, so a stream that throttles is asked less often.
            sleep(pause.mul_f64(fastrand::f64())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        answers.extend(self.end(packs, false));
        for answer in answers {
            let _ = answer.await; // fails only if it panicked, which the log tells
        }
    }

    async fn request(&self, packs: &[Pack], give_up: Instant) -> Refused {
        let began = Instant::now();
        let records: Vec<&StreamRecord> = packs.iter().map(|pack| &pack.record).collect();
        let refused = self.stream.put(&records, give_up).await;
        self.health.put(refused.len() < packs.len());
        let limit = self.limit.load(Ordering::Relaxed);
        let limit = if refused.is_empty() { limit * 2 } else { limit / 2 };
        self.limit.store(limit.clamp(SMALLEST_REQUEST, MAX_STREAM_BYTES), Ordering::Relaxed);
        self.counters.put(began.elapsed(), &records, refused.len());
        refused
    }

    /// Counts what became of packs and tells their senders: off the runtime, since an answer may wait for room.
    fn end(&self, packs: Vec<Pack>, durable: bool) -> Option<JoinHandle<()>> {
        let datagrams: usize = packs.iter().map(Pack::datagrams).sum();
        let counter = if durable { &self.counters.durable } else { &self.counters.given_back };
        counter.inc_by(datagrams as u64);
        let (counters, hold, separate) =
            (Arc::clone(&self.counters), Arc::clone(&self.hold), Arc::clone(&self.separate));
        let tell = move || {
            for mut pack in packs {
                hold.give(pack.weight());
                counters.in_flight.dec_by(pack.datagrams().try_into().unwrap_or(i64::MAX));
                counters.acknowledged.inc_by(answer::send(&mut pack, durable, &separate) as u64);
            }
        };
        (datagrams > 0).then(|| spawn_blocking(tell))
    }
}

/// The accepted ones and the refused ones.
fn split(packs: Vec<Pack>, refused: &Refused) -> (Vec<Pack>, Vec<Pack>) {
    let (left, accepted): (Vec<_>, Vec<_>) =
        packs.into_iter().enumerate().partition(|(position, _)| refused.contains(position));
    let plain = |packs: Vec<(usize, Pack)>| packs.into_iter().map(|(_, pack)| pack).collect();
    (plain(accepted), plain(left))
}
