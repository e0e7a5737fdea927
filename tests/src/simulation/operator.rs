//! The operator: fixes the cause of crashes, sends dead letters back, puts back records from the bucket, recovers
//! callbacks that Sigfox gave up.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::faults::{Fault, STORM};
use super::pipeline::Pipeline;
use super::poison::Poison;
use super::queue::QueueModel;
use super::world::lock;

/// Interval of the operator's checks.
const CHECK_INTERVAL: Duration = Duration::from_mins(1);

/// If messages are left after this time, they stay for ever: records become too old for the stream after 22 hours.
const OPERATOR_TIMEOUT: Duration = Duration::from_hours(60);

/// Waits until the faults have ended and all messages are processed. Returns `false` if some are left at the time-out.
pub async fn work(pipeline: &Arc<Pipeline>) -> bool {
    let Pipeline { world, .. } = &**pipeline;
    while world.elapsed() < OPERATOR_TIMEOUT {
        sleep(CHECK_INTERVAL).await;
        if world.faults.stormy() && world.elapsed() < STORM {
            continue;
        }
        world.faults.end();
        check(pipeline);
        if pipeline.is_quiet() {
            return true;
        }
    }
    false
}

fn check(pipeline: &Arc<Pipeline>) {
    fetch_back(pipeline);
    match pipeline.poison.as_ref().filter(|poison| poison.is_active()) {
        Some(poison) => mend(pipeline, poison),
        None => send_back(pipeline),
    }
}

fn fetch_back(pipeline: &Arc<Pipeline>) {
    for callback in std::mem::take(&mut *lock(&pipeline.sigfox.given_up)) {
        // Busy from now on, not only once the task runs.
        let (sigfox, busy) = (pipeline.sigfox.clone(), pipeline.world.busy());
        pipeline.world.spawn(async move {
            sigfox.recover(callback).await;
            drop(busy);
        });
    }
}

/// Fixes the cause of the crashes once a dead letter or an undelivered record shows them.
fn mend(pipeline: &Arc<Pipeline>, poison: &Poison) {
    let dead_letters = |queue: &QueueModel| queue.dead_letters().is_some_and(|letters| !letters.is_empty());
    if pipeline.queues().into_iter().any(dead_letters) || !lock(&pipeline.bucket).is_empty() {
        poison.mend();
    }
}

fn send_back(pipeline: &Arc<Pipeline>) {
    let faults = &pipeline.world.faults;
    for queue in pipeline.queues() {
        for letter in queue.dead_letters().map(QueueModel::take_all).unwrap_or_default() {
            faults.happened(Fault::Redriven, 1);
            queue.add(letter);
        }
    }
    for record in std::mem::take(&mut *lock(&pipeline.bucket)) {
        faults.happened(Fault::PutBack, 1);
        pipeline.stream.add(record);
    }
}
