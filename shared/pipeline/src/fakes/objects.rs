//! An object store in memory, which keeps older versions.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::lock;
use crate::archive::store::{
    Condition, ETag, Get, Got, Listed, MAX_LISTED, Object, ObjectStore, Page, Part, Put, StoreError,
};
use crate::archive::versions::{ListedVersion, Version, VersionPage, VersionedStore};
use crate::ports::Refused;

/// A store that keeps objects, and lists pages of a chosen length.
#[derive(Debug)]
pub struct FakeObjects {
    objects: Mutex<BTreeMap<String, Bytes>>,
    versions: Mutex<Vec<Kept>>,
    page: usize,
}

/// A version. Without content it is a marker of a deletion.
#[derive(Debug)]
struct Kept {
    version: Version,
    content: Option<Bytes>,
}

impl Default for FakeObjects {
    fn default() -> Self {
        Self { objects: Mutex::default(), versions: Mutex::default(), page: MAX_LISTED }
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
        let content = content.into();
        self.keep(key, Some(content.clone()));
        lock(&self.objects).insert(key.to_owned(), content);
    }

    /// All contents of all objects, the older versions too, with their keys.
    pub fn ever(&self) -> Vec<(String, Bytes)> {
        let versions = lock(&self.versions);
        versions.iter().filter_map(|kept| Some((kept.version.key.clone(), kept.content.clone()?))).collect()
    }

    /// Adds a version.
    fn keep(&self, key: &str, content: Option<Bytes>) {
        let mut versions = lock(&self.versions);
        let last = versions.last().map_or(0, |kept| kept.version.id.parse().unwrap_or(0_u64));
        let version = Version { key: key.to_owned(), id: format!("{:08}", last + 1) };
        versions.push(Kept { version, content });
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
        Ok(Got::Object(part_of(content, &request.part)))
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
        self.keep(key, Some(content.clone()));
        objects.insert(key.to_owned(), content);
        Ok(Put::Done(etag))
    }

    async fn delete(&self, keys: &[String], _: Instant) -> Refused {
        let mut objects = lock(&self.objects);
        for key in keys {
            self.keep(key, None);
            objects.remove(key);
        }
        Refused::new()
    }
}

impl VersionedStore for FakeObjects {
    async fn versions(&self, prefix: &str, after: Option<&Version>, _: Instant) -> Result<VersionPage, StoreError> {
        let versions = lock(&self.versions);
        let mut sorted: Vec<&Kept> = versions.iter().filter(|kept| kept.version.key.starts_with(prefix)).collect();
        sorted.sort_by(|a, b| a.version.cmp(&b.version));
        let is_latest = |of: &Kept| versions.iter().rfind(|kept| kept.version.key == of.version.key);
        let listed = |kept: &Kept| ListedVersion {
            version: kept.version.clone(),
            is_latest: is_latest(kept).is_some_and(|latest| latest.version == kept.version),
            is_marker: kept.content.is_none(),
        };
        let after = sorted.into_iter().filter(|kept| after.is_none_or(|after| kept.version > *after));
        let mut found: Vec<ListedVersion> = after.take(self.page + 1).map(listed).collect();
        let more = found.len() > self.page;
        found.truncate(self.page);
        let next = found.last().filter(|_| more).map(|listed| listed.version.clone());
        Ok(VersionPage { versions: found, next })
    }

    async fn version(&self, version: &Version, part: Part, _: Instant) -> Result<Got, StoreError> {
        let versions = lock(&self.versions);
        let found = versions.iter().find(|kept| kept.version == *version);
        Ok(found
            .and_then(|kept| kept.content.as_ref())
            .map_or(Got::Absent, |content| Got::Object(part_of(content, &part))))
    }

    async fn delete_versions(&self, gone: &[Version], _: Instant) -> Refused {
        let (mut objects, mut versions) = (lock(&self.objects), lock(&self.versions));
        versions.retain(|kept| !gone.contains(&kept.version));
        for Version { key, .. } in gone {
            match versions.iter().rfind(|kept| kept.version.key == *key).and_then(|kept| kept.content.clone()) {
                Some(content) => objects.insert(key.clone(), content),
                None => objects.remove(key),
            };
        }
        Refused::new()
    }
}

fn part_of(content: &Bytes, part: &Part) -> Object {
    Object { content: part.of(content), size: content.len() as u64, etag: etag(content) }
}
