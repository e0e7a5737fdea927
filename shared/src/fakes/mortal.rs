//! Whoever uses a port may be killed at any moment: before a call takes effect, or after it did and before the answer is
//! there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::ports::{
    Found, Inbox, Item, Key, Lookup, Page, Pages, Part, Queue, ReadError, Received, Refused, Stream, StreamRecord,
    Table,
};

/// How many moments there are left. Clones share them.
#[derive(Debug, Clone)]
pub struct Life(Arc<AtomicUsize>);

/// A port that never answers once its user's life is over, and from then on does nothing.
#[derive(Debug)]
pub struct Mortal<'a, P> {
    port: &'a P,
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
    async fn call<T>(&self, effect: impl Future<Output = T> + Send) -> T {
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

impl<P: Table + Sync> Table for Mortal<'_, P> {
    async fn put(&self, items: &[Item], deadline: Instant) -> Refused {
        self.call(self.port.put(items, deadline)).await
    }
}

impl<P: Stream + Sync> Stream for Mortal<'_, P> {
    async fn put(&self, records: &[&StreamRecord], deadline: Instant) -> Refused {
        self.call(self.port.put(records, deadline)).await
    }
}

impl<P: Inbox + Sync> Inbox for Mortal<'_, P> {
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

impl<P: Pages + Sync> Pages for Mortal<'_, P> {
    async fn page(&self, part: &Part, after: Option<&Key>, limit: usize, deadline: Instant) -> Result<Page, ReadError> {
        self.call(self.port.page(part, after, limit, deadline)).await
    }
}

impl<P: Lookup + Sync> Lookup for Mortal<'_, P> {
    async fn get(&self, keys: &[Key], deadline: Instant) -> Result<Found, ReadError> {
        self.call(self.port.get(keys, deadline)).await
    }
}
