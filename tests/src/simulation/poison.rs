//! A message that kills the function, whenever it is in a batch, until somebody mends that: how messages come to the dead
//! letters and to the bucket, of which the first takes three hours and the other a day.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lambda_events::event::kinesis::KinesisEvent;
use aws_lambda_events::event::sqs::SqsEvent;
use fastrand::Rng;

use super::fleet::{Fleet, Listener};
use super::table::Key;
use super::world::World;

/// Where it kills, and what.
#[derive(Debug)]
pub struct Poison {
    /// A queue's name, or the stream's.
    at: &'static str,
    what: Vec<u8>,
    active: AtomicBool,
}

impl Poison {
    /// One in some runs.
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
            let uplinks: Vec<_> = fleet.expected.tables[0].keys().filter(data).collect();
            let (device, key) = rng.choice(uplinks)?;
            let at = key.split('#').next().unwrap_or_default();
            format!(r#""{device}","kind":"data","at":"{at}""#).into_bytes()
        };
        Some(Self { at, what, active: AtomicBool::new(true) })
    }

    /// Whether it still kills.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Somebody has mended it.
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
