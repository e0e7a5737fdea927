//! Simulates a process that is killed at any point of a port call: before the call takes effect, or after its effect
//! and before its result.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use pulsegate_model::aggregate::StreamRecord;
use pulsegate_model::event::DeviceEvent;
use pulsegate_model::pulse::PulseItem;
use pulsegate_model::uplink::Uplink;
use tokio::time::Instant;

use crate::archive::store::{Condition, Get, Got, ObjectStore, Page, Put, StoreError};
use crate::ports::{
    Arrived, EventStore, PulseStore, Queue, RawStore, ReadError, ReceiveQueue, Received, Refused, Stream,
};
use crate::tombstones::Tombstones;

/// The number of steps until the process is killed. Clones share it.
#[derive(Debug, Clone)]
pub struct Life(Arc<AtomicUsize>);

/// A port that never returns, and has no effect, once the life of its user has ended.
#[derive(Debug)]
pub struct Mortal<'a, P> {
    /// The port.
    pub port: &'a P,
    life: Life,
}

impl Life {
    /// A life of so many steps. Each call has two.
    pub fn of(moments: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(moments)))
    }

    /// Wraps a port so that its calls use up this life.
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
    /// Calls the port, with one step before the effect and one before the result.
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

    async fn erased(&self, deadline: Instant) -> Result<Tombstones, ReadError> {
        self.call(self.port.erased(deadline)).await
    }
}

impl<P: PulseStore + Sync> PulseStore for Mortal<'_, P> {
    async fn put(&self, items: &[Arrived<PulseItem>], deadline: Instant) -> Refused {
        self.call(self.port.put(items, deadline)).await
    }
}

impl<P: EventStore + Sync> EventStore for Mortal<'_, P> {
    async fn put(&self, events: &[Arrived<DeviceEvent>], deadline: Instant) -> Refused {
        self.call(self.port.put(events, deadline)).await
    }
}

impl<S: ObjectStore + Sync> ObjectStore for Mortal<'_, S> {
    async fn list(&self, prefix: &str, after: Option<&str>, deadline: Instant) -> Result<Page, StoreError> {
        self.call(self.port.list(prefix, after, deadline)).await
    }

    async fn get(&self, request: Get<'_>, deadline: Instant) -> Result<Got, StoreError> {
        self.call(self.port.get(request, deadline)).await
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Condition<'_>,
        deadline: Instant,
    ) -> Result<Put, StoreError> {
        self.call(self.port.put(key, content, condition, deadline)).await
    }

    async fn delete(&self, keys: &[String], deadline: Instant) -> Refused {
        self.call(self.port.delete(keys, deadline)).await
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
