//! A request to a service: it may be refused, take its time, lose its answer, or take effect when nobody waits any more.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::faults::{self, Fault};
use super::world::World;

/// When the adapters give a request up. (`pulsegate_aws`)
const ATTEMPT: Duration = Duration::from_secs(3);

/// When a request takes effect that its sender has given up, in milliseconds.
const LATE: RangeInclusive<u64> = 3_001..=60_000;

/// The way to a service.
#[derive(Debug)]
pub struct Wire {
    world: Arc<World>,
    faults: WireFaults,
    down: Range<Duration>,
}

/// What can happen to a request on the way.
#[derive(Debug, Clone, Copy)]
pub struct WireFaults {
    /// It is refused as a whole.
    pub refused: Fault,
    /// It takes effect, and nobody is told.
    pub unanswered: Fault,
    /// It takes effect later, and nobody is told.
    pub late: Fault,
    /// The service is down.
    pub down: Fault,
}

impl Wire {
    /// A way, which is closed for a while by chance.
    pub fn new(world: &Arc<World>, faults: WireFaults) -> Self {
        let down = world.draw(|rng| faults::outage(rng, world.faults.rage()));
        Self { world: Arc::clone(world), faults, down }
    }

    /// Makes a request and says what it comes to; `None` if it fails as a whole, which does not say that it had no effect.
    pub async fn carry<A>(&self, effect: impl FnOnce() -> A + Send + 'static) -> Option<A> {
        let Self { world, faults, down } = self;
        if !world.faults.rage() {
            return Some(effect());
        }
        let mut leg = Leg { world, on: Some(Fault::CallerGoneBefore) };
        sleep(world.span(1..=40)).await;
        if down.contains(&world.elapsed()) {
            world.faults.happened(faults.down, 1);
            leg.on = None;
            return None;
        }
        if world.strikes(faults.refused) {
            leg.on = None;
            return None;
        }
        if world.threatens(faults.late) {
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
        leg.on = Some(Fault::CallerGoneBetween);
        if world.strikes(faults.unanswered) {
            sleep(ATTEMPT).await;
            leg.on = None;
            return None;
        }
        sleep(world.span(1..=40)).await;
        leg.on = None;
        Some(answer)
    }
}

/// Where on its way a request is, should its sender go.
struct Leg<'a> {
    world: &'a World,
    on: Option<Fault>,
}

impl Drop for Leg<'_> {
    fn drop(&mut self) {
        if let Some(fault) = self.on {
            self.world.faults.happened(fault, 1);
        }
    }
}
