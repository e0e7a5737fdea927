//! An object store in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::lock;
use crate::archive::store::{
    Condition, ETag, Get, Got, Listed, MAX_LISTED, Object, ObjectStore, Page, Part, Put, StoreError,
};
use crate::ports::Refused;

/// A store that keeps objects, and lists pages of a chosen length.
#[derive(Debug)]
pub struct FakeObjects {
    objects: Mutex<BTreeMap<String, Bytes>>,
    page: usize,
}

impl Default for FakeObjects {
    fn default() -> Self {
        Self { objects: Mutex::default(), page: MAX_LISTED }
    }
}

impl FakeObjects {
    /// Lists pages of so many keys.
    pub fn of_pages(page: usize) -> Self {
        Self { page, ..Self::default() }
    }

    /// All objects.
    pub fn all(&self) -> BTreeMap<String, Bytes> {
        lock(&self.objects).clone()
    }

    /// The keys with this prefix.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        lock(&self.objects).keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// Puts an object, whatever was there.
    pub fn set(&self, key: &str, content: impl Into<Bytes>) {
        lock(&self.objects).insert(key.to_owned(), content.into());
    }
}

/// The version of this content, as in S3 the same for the same content.
fn etag(content: &[u8]) -> ETag {
    ETag(hex::encode(&Sha256::digest(content)[..16]))
}

impl ObjectStore for FakeObjects {
    async fn list(&self, prefix: &str, after: Option<&str>, _: Instant) -> Result<Page, StoreError> {
        let objects = lock(&self.objects);
        let mut found = objects.iter().filter(|(key, _)| key.starts_with(prefix));
        let after = |key: &String| after.is_none_or(|after| key.as_str() > after);
        let listed = |(key, content): (&String, &Bytes)| Listed {
            key: key.clone(),
            size: content.len() as u64,
            etag: etag(content),
            modified: 0,
        };
        let mut found = found.by_ref().filter(|(key, _)| after(key));
        let objects = found.by_ref().take(self.page).map(listed).collect();
        Ok(Page { objects, truncated: found.next().is_some() })
    }

    async fn get(&self, request: Get<'_>, _: Instant) -> Result<Got, StoreError> {
        let objects = lock(&self.objects);
        let Some(content) = objects.get(request.key) else { return Ok(Got::Absent) };
        let etag = etag(content);
        if request.version.is_some_and(|version| *version != etag) {
            return Ok(Got::Changed);
        }
        let size = content.len() as u64;
        let range = match request.part {
            Part::Whole => 0..size,
            Part::Range(range) => range.start.min(size)..range.end.min(size),
            Part::Last(last) => size.saturating_sub(last)..size,
        };
        let position = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let content = content.slice(position(range.start)..position(range.end));
        Ok(Got::Object(Object { content, size, etag }))
    }

    async fn put(&self, key: &str, content: Bytes, condition: Condition<'_>, _: Instant) -> Result<Put, StoreError> {
        let mut objects = lock(&self.objects);
        let now = objects.get(key).map(|content| etag(content));
        let holds = match condition {
            Condition::Always => true,
            Condition::Absent => now.is_none(),
            Condition::Version(version) => now.as_ref() == Some(version),
        };
        if !holds {
            return Ok(Put::Conflict);
        }
        let etag = etag(&content);
        objects.insert(key.to_owned(), content);
        Ok(Put::Done(etag))
    }

    async fn delete(&self, keys: &[String], _: Instant) -> Refused {
        let mut objects = lock(&self.objects);
        for key in keys {
            objects.remove(key);
        }
        Refused::new()
    }
}
