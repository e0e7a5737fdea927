//! The archive's bucket, as the stages use it: they put objects, and read the tombstones, of which there are none. The simulation of the
//! [archive](super::archive) has the whole model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use pulsegate_pipeline::archive::object;
use pulsegate_pipeline::archive::row::Row;
use pulsegate_pipeline::archive::store::{Condition, ETag, Get, Got, ObjectStore, Page, Put, StoreError};
use pulsegate_pipeline::ports::Refused;
use pulsegate_pipeline::tombstones::ERASED;
use tokio::time::{Instant, timeout_at};

use super::faults::Fault;
use super::lambda;
use super::planted::Bug;
use super::table::Key;
use super::wire::{Wire, WireFaults};
use super::world::{World, lock};

const FAULTS: WireFaults = WireFaults {
    refused: Fault::ObjectPutThrottled,
    unanswered: Fault::ObjectPutUnanswered,
    late: Fault::ObjectPutLate,
    down: Fault::BucketDown,
};

/// Attempts of the SDK, whose standard this is. (`pulsegate_aws::objects`)
const ATTEMPTS: usize = 3;

/// Rows of uplinks, by device, and natural key with kind. More than one row for a key is wrong.
pub type Rows = BTreeMap<Key, BTreeSet<Row>>;

/// A bucket behind an adapter that may have a bug.
#[derive(Debug, Clone)]
pub struct RawObjects {
    inner: Arc<Inner>,
    bug: Option<Bug>,
}

#[derive(Debug)]
struct Inner {
    world: Arc<World>,
    wire: Wire,
    objects: Mutex<BTreeMap<String, Bytes>>,
}

impl RawObjects {
    /// Creates an empty bucket.
    pub fn new(world: &Arc<World>, bug: Option<Bug>) -> Self {
        let (world, wire) = (Arc::clone(world), Wire::new(world, FAULTS));
        Self { inner: Arc::new(Inner { world, wire, objects: Mutex::default() }), bug }
    }

    /// Returns the rows of all objects.
    pub fn rows(&self) -> Rows {
        let mut rows = Rows::new();
        for (key, content) in lock(&self.inner.objects).iter() {
            for uplink in object::decode(key, content).unwrap_or_else(|e| panic!("{key}: {e}")) {
                let key = (uplink.device.to_string(), format!("{}#{}", uplink.key(), uplink.kind));
                rows.entry(key).or_default().insert(Row::from(&uplink));
            }
        }
        rows
    }

    async fn attempts(&self, key: &str, content: &Bytes) -> Option<()> {
        for _ in 0..ATTEMPTS {
            let (inner, key, content) = (Arc::clone(&self.inner), key.to_owned(), content.clone());
            let effect = move || {
                inner.world.happened(&key, content.len());
                lock(&inner.objects).insert(key, content);
            };
            if self.inner.wire.carry(effect).await.is_some() {
                return Some(());
            }
        }
        None
    }

    /// Puts after the answer. A kill of the sandbox, as frequent as other kills, loses the object.
    fn later(&self, key: &str, content: Bytes) {
        let (this, world, key) = (self.clone(), Arc::clone(&self.inner.world), key.to_owned());
        self.inner.world.spawn(async move {
            let _busy = world.busy();
            let awaits = if world.is_due(Fault::InvocationKilled) { lambda::awaits(&world) } else { u32::MAX };
            lambda::killed(this.attempts(&key, &content), awaits).await;
        });
    }
}

impl ObjectStore for RawObjects {
    async fn put(&self, key: &str, content: Bytes, _: Condition<'_>, deadline: Instant) -> Result<Put, StoreError> {
        let done = Ok(Put::Done(ETag(String::new())));
        if self.bug == Some(Bug::AnswersBeforeTheWrite) {
            self.later(key, content);
            return done;
        }
        match timeout_at(deadline, self.attempts(key, &content)).await {
            Ok(Some(())) => done,
            Ok(None) | Err(_) => Err(StoreError { what: format!("put {key}"), source: "no answer".into() }),
        }
    }

    async fn list(&self, _: &str, _: Option<&str>, _: Instant) -> Result<Page, StoreError> {
        panic!("the raw stage lists nothing")
    }

    async fn get(&self, request: Get<'_>, _: Instant) -> Result<Got, StoreError> {
        assert_eq!(request.key, ERASED, "the stages read nothing else");
        Ok(Got::Absent)
    }

    async fn delete(&self, keys: &[String], _: Instant) -> Refused {
        panic!("the raw stage does not delete {keys:?}")
    }
}
