//! Collects records into batches, puts these to the stream, and then, only then, acknowledges.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use shared::aggregate::aggregate;
use shared::ports::{Stream, StreamRecord};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::health::Health;
use crate::intake::{Pending, Reply};
use crate::tally::Tally;

/// Datagrams that are put together, into aggregated records of 25 KB: so many are some 3 MB, which one request takes.
const MAX_BATCH: usize = 10_000;

/// Requests in flight at once. When all are, the queue fills, and what finds no room there is not acknowledged.
const MAX_IN_FLIGHT: usize = 16;

/// For how long a batch is tried. By then its meters have sent again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where batches go and who is told.
#[derive(Debug)]
pub struct Gatherer<S> {
    /// The stream.
    pub stream: S,
    /// How long a record waits for others.
    pub linger: Duration,
    /// Told of every put.
    pub health: Arc<Health>,
    /// Told of every record.
    pub tally: Arc<Tally>,
}

/// Works until the queue is closed and everything that was in it is durable or given back.
pub async fn run<S: Stream + Send + Sync + 'static>(mut queue: Receiver<Pending>, gatherer: Gatherer<S>) {
    let gatherer = Arc::new(gatherer);
    let in_flight = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
    let mut puts = JoinSet::new();
    while let Some(batch) = next_batch(&mut queue, gatherer.linger).await {
        // Never closed, so there is always a permit in the end.
        let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await else { break };
        let gatherer = Arc::clone(&gatherer);
        puts.spawn(async move {
            gatherer.put(batch).await;
            drop(permit);
        });
        while puts.try_join_next().is_some() {}
    }
    while puts.join_next().await.is_some() {}
}

/// The next batch: full, or as old as `linger`. `None` when the queue is closed and empty.
async fn next_batch(queue: &mut Receiver<Pending>, linger: Duration) -> Option<Vec<Pending>> {
    let mut batch = vec![queue.recv().await?];
    let until = Instant::now() + linger;
    while batch.len() < MAX_BATCH {
        let room = MAX_BATCH - batch.len();
        tokio::select! {
            biased;
            more = queue.recv_many(&mut batch, room) => if more == 0 { break },
            () = sleep_until(until) => break,
        }
    }
    Some(batch)
}

impl<S: Stream> Gatherer<S> {
    async fn put(&self, batch: Vec<Pending>) {
        let (records, replies): (Vec<StreamRecord>, Vec<Reply>) =
            batch.into_iter().map(|p| (p.record, p.reply)).unzip();
        let (records, members): (Vec<StreamRecord>, Vec<Range<usize>>) =
            aggregate(records).into_iter().map(|aggregated| (aggregated.record, aggregated.members)).unzip();
        let unaccepted = self.stream.put(&records, Instant::now() + PATIENCE).await;
        let refused: BTreeSet<usize> = unaccepted.iter().flat_map(|&record| members[record].clone()).collect();
        let durable = replies.len() - refused.len();
        self.health.put(durable > 0);
        self.tally.count(|counts| {
            counts.stored += durable;
            counts.given_back += refused.len();
        });
        for (position, reply) in replies.iter().enumerate() {
            if !refused.contains(&position) {
                reply.send().await;
            }
        }
    }
}
