//! Ports of the function on the stream: an archive in memory, and a queue that drops its messages.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use pulsegate_pipeline::archive::object;
use pulsegate_pipeline::archive::store::{Condition, ETag, Get, Got, ObjectStore, Page, Put, StoreError};
use pulsegate_pipeline::ports::{Queue, Refused};
use tokio::time::{Instant, sleep_until};

use super::found_uplinks::FoundUplinks;
use crate::load::sigfox::lock;
use crate::meters::Fleet;

/// Time that a put takes: the middle of the 100 to 200 ms that S3 takes for a small object.
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html>)
pub(super) const PUT: Duration = Duration::from_millis(150);

/// An archive that keeps only the session of each uplink, so that millions fit into memory.
pub(super) struct MemoryArchive {
    fleet: Arc<Fleet>,
    contents: Arc<ArchiveContents>,
}

/// Content of the archive.
#[derive(Debug)]
pub(super) struct ArchiveContents {
    /// Uplinks, by session.
    pub(super) uplinks: Mutex<FoundUplinks>,
    /// Number of rows in all objects, repetitions included.
    pub(super) rows: AtomicU64,
    /// Number of objects.
    pub(super) objects: AtomicU64,
    /// Their bytes.
    pub(super) bytes: AtomicU64,
}

impl ArchiveContents {
    /// Empty.
    pub(super) fn none(fleet: &Fleet) -> Self {
        let none = || AtomicU64::new(0);
        Self { uplinks: Mutex::new(FoundUplinks::none(fleet)), rows: none(), objects: none(), bytes: none() }
    }
}

impl MemoryArchive {
    /// An empty archive.
    pub(super) fn new(fleet: Arc<Fleet>, contents: Arc<ArchiveContents>) -> Self {
        Self { fleet, contents }
    }
}

impl ObjectStore for MemoryArchive {
    /// Reads the uplinks of an object of `new/`, as `settle` does.
    async fn put(&self, key: &str, content: Bytes, _: Condition<'_>, deadline: Instant) -> Result<Put, StoreError> {
        let done = Instant::now() + PUT;
        sleep_until(done.min(deadline)).await;
        if done > deadline {
            return Err(StoreError { what: format!("put {key}"), source: "no time is left".into() });
        }
        let decoded = object::decode(key, &content);
        let mut found = lock(&self.contents.uplinks);
        match decoded {
            Ok(uplinks) => {
                for uplink in &uplinks {
                    found.take(uplink, &self.fleet);
                }
                self.contents.rows.fetch_add(uplinks.len() as u64, Ordering::Relaxed);
            }
            Err(_) => found.unreadable += 1,
        }
        self.contents.objects.fetch_add(1, Ordering::Relaxed);
        self.contents.bytes.fetch_add(content.len() as u64, Ordering::Relaxed);
        Ok(Put::Done(ETag(String::new())))
    }

    async fn list(&self, _: &str, _: Option<&str>, _: Instant) -> Result<Page, StoreError> {
        Err(StoreError { what: "list".to_owned(), source: "the archive in memory has no list".into() })
    }

    /// The function reads only the list of erased devices. There are none.
    async fn get(&self, _: Get<'_>, _: Instant) -> Result<Got, StoreError> {
        Ok(Got::Absent)
    }

    async fn delete(&self, keys: &[String], _: Instant) -> Refused {
        (0..keys.len()).collect()
    }
}

/// A queue that drops its messages.
pub(super) struct NullQueue;

impl Queue for NullQueue {
    async fn send(&self, _: &[String], _: Instant) -> Refused {
        Refused::new()
    }
}
