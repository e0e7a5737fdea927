//! Whoever uses a port may be killed at any moment: before a call takes effect, or after it did and before the answer is
//! there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pulsegate_model::aggregate::StreamRecord;
use pulsegate_model::event::DeviceEvent;
use pulsegate_model::pulse::PulseItem;
use pulsegate_model::uplink::Uplink;
use tokio::time::Instant;

use crate::ports::{EventStore, PulseStore, Queue, RawStore, ReadError, ReceiveQueue, Received, Refused, Stream};

/// How many moments there are left. Clones share them.
#[derive(Debug, Clone)]
pub struct Life(Arc<AtomicUsize>);

/// A port that never answers once its user's life is over, and from then on does nothing.
#[derive(Debug)]
pub struct Mortal<'a, P> {
    /// The port.
    pub port: &'a P,
    life: Life,
}

impl Life {
    /// One of so many moments. Each call has two.
    pub fn of(moments: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(moments)))
    }

    /// The port, as one who has this life uses it.
    pub fn with<'a, P>(&self, port: &'a P) -> Mortal<'a, P> {
        Mortal { port, life: self.clone() }
    }

    async fn moment(&self) {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl<P> Mortal<'_, P> {
    /// Makes a call to the port, with a moment before it takes effect and one before its answer is there.
    pub async fn call<T>(&self, effect: impl Future<Output = T> + Send) -> T {
        self.life.moment().await;
        let answer = effect.await;
        self.life.moment().await;
        answer
    }
}

impl<P: Queue + Sync> Queue for Mortal<'_, P> {
    async fn send(&self, bodies: &[String], deadline: Instant) -> Refused {
        self.call(self.port.send(bodies, deadline)).await
    }
}

impl<P: RawStore + Sync> RawStore for Mortal<'_, P> {
    async fn put(&self, uplinks: &[Uplink], deadline: Instant) -> Refused {
        self.call(self.port.put(uplinks, deadline)).await
    }
}

impl<P: PulseStore + Sync> PulseStore for Mortal<'_, P> {
    async fn put(&self, items: &[PulseItem], deadline: Instant) -> Refused {
        self.call(self.port.put(items, deadline)).await
    }
}

impl<P: EventStore + Sync> EventStore for Mortal<'_, P> {
    async fn put(&self, events: &[DeviceEvent], deadline: Instant) -> Refused {
        self.call(self.port.put(events, deadline)).await
    }
}

impl<P: Stream + Sync> Stream for Mortal<'_, P> {
    async fn put(&self, records: &[&StreamRecord], deadline: Instant) -> Refused {
        self.call(self.port.put(records, deadline)).await
    }
}

impl<P: ReceiveQueue + Sync> ReceiveQueue for Mortal<'_, P> {
    async fn receive(&self, hold: Duration, deadline: Instant) -> Result<Vec<Received>, ReadError> {
        self.call(self.port.receive(hold, deadline)).await
    }

    async fn give_back(&self, handles: &[String], deadline: Instant) -> Refused {
        self.call(self.port.give_back(handles, deadline)).await
    }

    async fn delete(&self, handles: &[String], deadline: Instant) -> Refused {
        self.call(self.port.delete(handles, deadline)).await
    }
}
