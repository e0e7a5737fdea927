//! A request to a service: it may be rejected, slow, unanswered, or executed after its time-out.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::faults::{self, Fault, FaultKind};
use super::world::World;

/// Time-out of the adapters' requests. (`pulsegate_aws`)
const ATTEMPT: Duration = Duration::from_secs(3);

/// Time, in milliseconds, until a request takes effect whose sender has timed out.
const LATE: RangeInclusive<u64> = 3_001..=60_000;

/// The connection to a service.
#[derive(Debug)]
pub struct Wire<F = Fault> {
    world: Arc<World<F>>,
    faults: WireFaults<F>,
    down: Range<Duration>,
}

/// Faults of a request.
#[derive(Debug, Clone, Copy)]
pub struct WireFaults<F = Fault> {
    /// It is rejected as a whole.
    pub refused: F,
    /// It takes effect, but its answer is lost.
    pub unanswered: F,
    /// It takes effect later, without an answer.
    pub late: F,
    /// The service is down.
    pub down: F,
}

impl<F: FaultKind> Wire<F> {
    /// Creates a connection, with a random outage, which begins in the first eight minutes.
    pub fn new(world: &Arc<World<F>>, faults: WireFaults<F>) -> Self {
        Self::with_outage(world, faults, 480)
    }

    /// Creates a connection, with a random outage, which begins in the first so many seconds.
    pub fn with_outage(world: &Arc<World<F>>, faults: WireFaults<F>, within: u64) -> Self {
        let down = world.draw(|rng| faults::outage(rng, world.faults.are_active(), within));
        Self { world: Arc::clone(world), faults, down }
    }

    /// Makes a request and returns its answer. `None`: it failed as a whole, but it may have had its effect.
    pub async fn carry<A>(&self, effect: impl FnOnce() -> A + Send + 'static) -> Option<A> {
        let Self { world, faults, down } = self;
        if !world.faults.are_active() {
            return Some(effect());
        }
        let mut leg = Leg { world, on: Some(F::CALLER_GONE_BEFORE) };
        sleep(world.span(1..=40)).await;
        if down.contains(&world.elapsed()) {
            world.faults.happened(faults.down, 1);
            leg.on = None;
            return None;
        }
        if world.occurs(faults.refused) {
            leg.on = None;
            return None;
        }
        if world.is_due(faults.late) {
            leg.on = None;
            let (delay, busy, under_way, late) = (world.span(LATE), world.busy(), Arc::clone(world), faults.late);
            tokio::spawn(world.watched(async move {
                sleep(delay).await;
                effect();
                under_way.faults.happened(late, 1);
                drop(busy);
            }));
            sleep(ATTEMPT).await;
            return None;
        }
        let answer = effect();
        leg.on = Some(F::CALLER_GONE_BETWEEN);
        if world.occurs(faults.unanswered) {
            sleep(ATTEMPT).await;
            leg.on = None;
            return None;
        }
        sleep(world.span(1..=40)).await;
        leg.on = None;
        Some(answer)
    }
}

/// Phase of a request, to count the fault if its sender ends now.
struct Leg<'a, F: FaultKind> {
    world: &'a World<F>,
    on: Option<F>,
}

impl<F: FaultKind> Drop for Leg<'_, F> {
    fn drop(&mut self) {
        if let Some(fault) = self.on {
            self.world.faults.happened(fault, 1);
        }
    }
}
