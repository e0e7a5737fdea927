//! A model of Lambda: invokes a handler once, and may kill it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::faults::Fault;
use super::world::World;

/// Time that `pulsegate_pipeline::deadline` reserves for the work after the last write.
const MARGIN: Duration = Duration::from_millis(500);

/// Maximum number of awaits before a handler is killed.
const AWAITS: u32 = 16;

/// Maximum time, in milliseconds, of a handler that is to time out half-way.
const HALF_WAY: u64 = 150;

/// Invokes a function with a time limit. Returns its answer, or `None` if it fails or its answer is lost.
pub async fn invoke<F: Future>(
    world: &Arc<World>,
    limit: Duration,
    work: impl FnOnce(Instant) -> F,
) -> Option<F::Output> {
    if world.occurs(Fault::InvocationThrottled) {
        return None;
    }
    let _busy = world.busy();
    let work = world.watched(work(Instant::now() + limit.saturating_sub(MARGIN)));
    let (ended, fault) = if world.is_due(Fault::InvocationKilled) {
        (killed(work, awaits(world)).await, Some(Fault::InvocationKilled))
    } else if world.is_due(Fault::InvocationTimedOut) {
        let limit = world.span(1..=HALF_WAY);
        (timeout(limit, work).await.ok(), Some(Fault::InvocationTimedOut))
    } else {
        (timeout(limit, work).await.ok(), None)
    };
    // Most handlers end before they are killed; those faults do not count.
    if let (None, Some(fault)) = (&ended, fault) {
        world.faults.happened(fault, 1);
    }
    ended.flatten().filter(|_| !world.occurs(Fault::InvocationUnanswered))
}

/// Draws the number of awaits before a kill.
pub fn awaits(world: &World) -> u32 {
    world.draw(|rng| rng.u32(..=AWAITS))
}

/// Runs some work, and kills it when it is polled after this many awaits. That can be anywhere: before a request is
/// sent, before its effect, between effect and answer.
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
