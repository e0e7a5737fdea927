//! A message that crashes its function whenever it is in a batch, until the operator fixes the cause. This is how
//! messages reach the dead letters (after three hours) and the bucket (after a day).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lambda_events::event::kinesis::KinesisEvent;
use aws_lambda_events::event::sqs::SqsEvent;
use fastrand::Rng;

use super::fleet::{Fleet, Listener};
use super::table::Key;
use super::world::World;

/// The message, and the function that it crashes.
#[derive(Debug)]
pub struct Poison {
    /// Name of a queue, or `stream`.
    at: &'static str,
    what: Vec<u8>,
    active: AtomicBool,
}

impl Poison {
    /// Draws a poison for some runs.
    pub(super) fn chosen(world: &Arc<World>, fleet: &Fleet) -> Option<Arc<Self>> {
        if !world.faults.stormy() {
            return None;
        }
        world.draw(|rng| Self::drawn(rng, fleet)).map(Arc::new)
    }

    fn drawn(rng: &mut Rng, fleet: &Fleet) -> Option<Self> {
        let at = *["raw", "pulse-sigfox", "pulse-nbiot", "stream"].get(rng.usize(..32))?;
        let network = if at == "pulse-nbiot" { "nbiot:" } else { "sigfox:" };
        let what = if at == "stream" {
            let clear: Vec<_> = fleet.datagrams.iter().filter(|d| d.known && d.listener != Listener::Sealed).collect();
            rng.choice(clear)?.bytes.to_vec()
        } else {
            let data = |(device, key): &&Key| device.starts_with(network) && key.ends_with("#data");
            let uplinks: Vec<_> = fleet.expected.raw.keys().filter(data).collect();
            let (device, key) = rng.choice(uplinks)?;
            let at = key.split('#').next().unwrap_or_default();
            format!(r#""{device}","kind":"data","at":"{at}""#).into_bytes()
        };
        Some(Self { at, what, active: AtomicBool::new(true) })
    }

    /// Returns whether it still crashes its function.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Fixes the cause.
    pub fn mend(&self) {
        self.active.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_in_messages(&self, queue: &str, event: &SqsEvent) -> bool {
        let mut bodies = event.records.iter().filter_map(|record| record.body.as_deref());
        queue == self.at && self.is_active() && bodies.any(|body| self.is_in(body.as_bytes()))
    }

    pub(super) fn is_in_records(&self, event: &KinesisEvent) -> bool {
        let mut records = event.records.iter();
        self.at == "stream" && self.is_active() && records.any(|record| self.is_in(&record.kinesis.data.0))
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        bytes.windows(self.what.len()).any(|window| window == self.what)
    }
}
