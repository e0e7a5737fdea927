//! Lambda: runs a handler once, or starts to.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::faults::Fault;
use super::world::World;

/// Left by `pulsegate_pipeline::deadline` for what comes after the last write.
const MARGIN: Duration = Duration::from_millis(500);

/// The most awaits that a handler is let come to before it is killed.
const AWAITS: u32 = 16;

/// The longest, in milliseconds, that a handler is given which is to run out of time half-way.
const HALF_WAY: u64 = 150;

/// Invokes a function that may take so long, and says how it answers; `None` if it fails, or its answer is not heard of.
pub async fn invoke<F: Future>(
    world: &Arc<World>,
    limit: Duration,
    work: impl FnOnce(Instant) -> F,
) -> Option<F::Output> {
    if world.strikes(Fault::InvocationThrottled) {
        return None;
    }
    let _busy = world.busy();
    let work = world.watched(work(Instant::now() + limit.saturating_sub(MARGIN)));
    let (ended, fault) = if world.threatens(Fault::InvocationKilled) {
        (killed(work, awaits(world)).await, Some(Fault::InvocationKilled))
    } else if world.threatens(Fault::InvocationTimedOut) {
        let limit = world.span(1..=HALF_WAY);
        (timeout(limit, work).await.ok(), Some(Fault::InvocationTimedOut))
    } else {
        (timeout(limit, work).await.ok(), None)
    };
    // Most handlers have come to an end before.
    if let (None, Some(fault)) = (&ended, fault) {
        world.faults.happened(fault, 1);
    }
    ended.flatten().filter(|_| !world.strikes(Fault::InvocationUnanswered))
}

/// How many awaits something comes to that is to be killed.
pub fn awaits(world: &World) -> u32 {
    world.draw(|rng| rng.u32(..=AWAITS))
}

/// Runs something, and kills it when it has waited so many times and is to go on. That is anywhere: before a request
/// leaves, before it has its effect, between that and its answer.
pub async fn killed<F: Future>(work: F, awaits: u32) -> Option<F::Output> {
    Killed { work: Box::pin(work), awaits }.await
}

struct Killed<F> {
    work: Pin<Box<F>>,
    awaits: u32,
}

impl<F: Future> Future for Killed<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(left) = self.awaits.checked_sub(1) else { return Poll::Ready(None) };
        self.awaits = left;
        self.work.as_mut().poll(context).map(Some)
    }
}
