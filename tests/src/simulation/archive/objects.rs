//! A model of S3: each request takes effect at once and as a whole, which is what S3 calls strongly consistent.
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel>)

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use pulsegate_pipeline::archive::store::{
    Condition, ETag, Get, Got, Listed, MAX_LISTED, Object, ObjectStore, Page, Part, Put, StoreError,
};
use pulsegate_pipeline::archive::versions::{ListedVersion, Version, VersionPage, VersionedStore};
use pulsegate_pipeline::ports::Refused;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};

use super::faults::ArchiveFault as Fault;
use crate::simulation::wire::{Wire, WireFaults};
use crate::simulation::world::{World, lock};

const READS: WireFaults<Fault> = WireFaults {
    refused: Fault::ReadThrottled,
    unanswered: Fault::ReadUnanswered,
    late: Fault::ReadUnanswered,
    down: Fault::ReadWhileDown,
};

const WRITES: WireFaults<Fault> = WireFaults {
    refused: Fault::WriteThrottled,
    unanswered: Fault::WriteUnanswered,
    late: Fault::WriteLate,
    down: Fault::WriteWhileDown,
};

/// The storm lasts about this long, in seconds: an outage begins within it.
const STORM: u64 = 60;

/// Attempts of the SDK, whose standard this is. (`pulsegate_aws::objects`)
const ATTEMPTS: usize = 3;

/// A bucket.
#[derive(Debug, Clone)]
pub struct ObjectsModel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    world: Arc<World<Fault>>,
    reads: Wire<Fault>,
    writes: Wire<Fault>,
    page: usize,
    /// False: each put has an `ETag` of its own, as for objects that S3 encrypts with a key of KMS.
    etag_of_content: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, (Bytes, ETag)>,
    /// The content of replaced objects before.
    replaced: BTreeMap<String, Bytes>,
    /// All versions, by key and number. One without content marks a deletion.
    versions: BTreeMap<Version, Option<Bytes>>,
    writes: usize,
    puts: usize,
}

impl ObjectsModel {
    /// Creates an empty bucket, which lists pages of a few keys.
    pub fn new(world: &Arc<World<Fault>>) -> Self {
        Self(Arc::new(Inner {
            world: Arc::clone(world),
            reads: Wire::with_outage(world, READS, STORM),
            writes: Wire::with_outage(world, WRITES, STORM),
            page: world.draw(|rng| rng.usize(1..=6)),
            etag_of_content: world.coin(),
            state: Mutex::default(),
        }))
    }

    /// Returns all objects.
    pub fn all(&self) -> BTreeMap<String, Bytes> {
        let objects = &lock(&self.0.state).objects;
        objects.iter().map(|(key, (content, _))| (key.clone(), content.clone())).collect()
    }

    /// Returns the `ETag` of each object.
    pub fn etags(&self) -> BTreeMap<String, ETag> {
        let objects = &lock(&self.0.state).objects;
        objects.iter().map(|(key, (_, etag))| (key.clone(), etag.clone())).collect()
    }

    /// Returns the content that an object had before it was replaced.
    pub(super) fn replaced(&self, key: &str) -> Option<Bytes> {
        lock(&self.0.state).replaced.get(key).cloned()
    }

    /// Returns the contents of all versions of all objects, with their keys.
    pub fn all_versions(&self) -> Vec<(String, Bytes)> {
        let versions = &lock(&self.0.state).versions;
        versions.iter().filter_map(|(version, content)| Some((version.key.clone(), content.clone()?))).collect()
    }

    /// Makes a request as the adapter does, whose SDK repeats it.
    async fn request<T>(
        &self,
        wire: &Wire<Fault>,
        what: String,
        deadline: Instant,
        effect: impl Fn(&Inner) -> T + Clone + Send + 'static,
    ) -> Result<T, StoreError> {
        let attempts = async {
            for _ in 0..ATTEMPTS {
                let (inner, effect) = (Arc::clone(&self.0), effect.clone());
                if let Some(answer) = wire.carry(move || effect(&inner)).await {
                    return Some(answer);
                }
            }
            None
        };
        let answer = timeout_at(deadline, attempts).await.ok().flatten();
        answer.ok_or_else(|| StoreError { what, source: "no answer".into() })
    }
}

impl ObjectStore for ObjectsModel {
    async fn list(&self, prefix: &str, after: Option<&str>, deadline: Instant) -> Result<Page, StoreError> {
        let (of, after) = (prefix.to_owned(), after.map(ToOwned::to_owned));
        let effect = move |inner: &Inner| inner.list(&of, after.as_deref());
        self.request(&self.0.reads, format!("list {prefix}"), deadline, effect).await
    }

    async fn get(&self, request: Get<'_>, deadline: Instant) -> Result<Got, StoreError> {
        let Get { key, part, version } = request;
        let (of, version) = (key.to_owned(), version.cloned());
        let effect = move |inner: &Inner| inner.get(&of, &part, version.as_ref());
        self.request(&self.0.reads, format!("get {key}"), deadline, effect).await
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Condition<'_>,
        deadline: Instant,
    ) -> Result<Put, StoreError> {
        let of = key.to_owned();
        let (absent, version) = match condition {
            Condition::Always => (false, None),
            Condition::Absent => (true, None),
            Condition::Version(version) => (false, Some(version.clone())),
        };
        let effect = move |inner: &Inner| inner.put(&of, &content, absent, version.as_ref());
        self.request(&self.0.writes, format!("put {key}"), deadline, effect).await
    }

    async fn delete(&self, keys: &[String], deadline: Instant) -> Refused {
        assert!(keys.len() <= MAX_LISTED, "S3 rejects such a deletion");
        if keys.is_empty() {
            return Refused::new();
        }
        let of = keys.to_vec();
        let deleted =
            self.request(&self.0.writes, "delete".to_owned(), deadline, move |inner: &Inner| inner.delete(&of));
        deleted.await.unwrap_or_else(|_| (0..keys.len()).collect())
    }
}

impl VersionedStore for ObjectsModel {
    async fn versions(
        &self,
        prefix: &str,
        after: Option<&Version>,
        deadline: Instant,
    ) -> Result<VersionPage, StoreError> {
        let (of, after) = (prefix.to_owned(), after.cloned());
        let effect = move |inner: &Inner| inner.list_versions(&of, after.as_ref());
        self.request(&self.0.reads, format!("versions {prefix}"), deadline, effect).await
    }

    async fn version(&self, version: &Version, part: Part, deadline: Instant) -> Result<Got, StoreError> {
        let of = version.clone();
        let effect = move |inner: &Inner| match lock(&inner.state).versions.get(&of) {
            Some(Some(content)) => Got::Object(part_of(content, &ETag(of.id.clone()), &part)),
            Some(None) | None => Got::Absent,
        };
        self.request(&self.0.reads, format!("version {}", version.key), deadline, effect).await
    }

    async fn delete_versions(&self, versions: &[Version], deadline: Instant) -> Refused {
        let of = versions.to_vec();
        let effect = move |inner: &Inner| inner.delete_versions(&of);
        let deleted = self.request(&self.0.writes, "delete versions".to_owned(), deadline, effect);
        deleted.await.unwrap_or_else(|_| (0..versions.len()).collect())
    }
}

impl Inner {
    fn list_versions(&self, prefix: &str, after: Option<&Version>) -> VersionPage {
        let versions = &lock(&self.state).versions;
        let mut found = versions
            .iter()
            .filter(|(version, _)| version.key.starts_with(prefix) && after.is_none_or(|after| *version > after));
        let newest = |key: &str| versions.keys().filter(|version| version.key == key).max();
        let listed = |(version, content): (&Version, &Option<Bytes>)| ListedVersion {
            version: version.clone(),
            is_latest: newest(&version.key) == Some(version),
            is_marker: content.is_none(),
        };
        let listed: Vec<ListedVersion> = found.by_ref().take(self.page).map(listed).collect();
        let next = found.next().and_then(|_| Some(listed.last()?.version.clone()));
        VersionPage { versions: listed, next }
    }

    fn delete_versions(&self, versions: &[Version]) -> Refused {
        let partly = self.world.is_due(Fault::DeletionRefused);
        let refused: Refused = (0..versions.len()).filter(|_| partly && self.world.coin()).collect();
        let mut state = lock(&self.state);
        for (_, version) in versions.iter().enumerate().filter(|(position, _)| !refused.contains(position)) {
            self.world.happened(&version.key, 0);
            state.versions.remove(version);
            let left = state.versions.iter().rfind(|(left, _)| left.key == version.key);
            match left.and_then(|(left, content)| Some((content.clone()?, ETag(left.id.clone())))) {
                // The newest of the others is the object now. Its content is what it was, so a swap may see it.
                Some(object) if !state.objects.contains_key(&version.key) => {
                    state.objects.insert(version.key.clone(), object);
                }
                Some(_) => {}
                None => drop(state.objects.remove(&version.key)),
            }
        }
        refused
    }

    fn list(&self, prefix: &str, after: Option<&str>) -> Page {
        let state = lock(&self.state);
        let mut found = state
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after));
        let listed = |(key, (content, etag)): (&String, &(Bytes, ETag))| Listed {
            key: key.clone(),
            size: content.len() as u64,
            etag: etag.clone(),
            modified: 0,
        };
        let objects = found.by_ref().take(self.page).map(listed).collect();
        let truncated = found.next().is_some();
        if truncated {
            self.world.faults.happened(Fault::ListTruncated, 1);
        }
        Page { objects, truncated }
    }

    fn get(&self, key: &str, part: &Part, version: Option<&ETag>) -> Got {
        let state = lock(&self.state);
        match state.objects.get(key) {
            None => Got::Absent,
            Some((_, etag)) if version.is_some_and(|version| version != etag) => Got::Changed,
            Some((content, etag)) => Got::Object(part_of(content, etag, part)),
        }
    }

    fn put(&self, key: &str, content: &Bytes, absent: bool, version: Option<&ETag>) -> Put {
        let conditional = absent || version.is_some();
        if conditional && self.world.occurs(Fault::SwapInterfered) {
            return Put::Conflict;
        }
        let mut state = lock(&self.state);
        let now = state.objects.get(key);
        if (absent && now.is_some()) || (version.is_some() && now.map(|(_, etag)| etag) != version) {
            let is_done = now.is_some_and(|(now, _)| now == content);
            self.world.faults.happened(if is_done { Fault::SwapRepeated } else { Fault::SwapRefused }, 1);
            return Put::Conflict;
        }
        state.puts += 1;
        let etag = if self.etag_of_content { hex::encode(Sha256::digest(content)) } else { state.puts.to_string() };
        let etag = ETag(etag);
        self.world.happened(key, content.len());
        state.keep(key, Some(content.clone()));
        let before = state.objects.insert(key.to_owned(), (content.clone(), etag.clone()));
        state.replaced.extend(before.map(|(before, _)| (key.to_owned(), before)));
        Put::Done(etag)
    }

    fn delete(&self, keys: &[String]) -> Refused {
        let partly = self.world.is_due(Fault::DeletionRefused);
        let refused: Refused = (0..keys.len()).filter(|_| partly && self.world.coin()).collect();
        if !refused.is_empty() {
            self.world.faults.happened(Fault::DeletionRefused, 1);
        }
        let mut state = lock(&self.state);
        for (_, key) in keys.iter().enumerate().filter(|(position, _)| !refused.contains(position)) {
            self.world.happened(key, 0);
            state.keep(key, None);
            state.objects.remove(key);
        }
        refused
    }
}

impl State {
    fn keep(&mut self, key: &str, content: Option<Bytes>) {
        self.writes += 1;
        self.versions.insert(Version { key: key.to_owned(), id: format!("{:08}", self.writes) }, content);
    }
}

/// A part of an object.
pub(super) fn part_of(content: &Bytes, etag: &ETag, part: &Part) -> Object {
    Object { content: part.of(content), size: content.len() as u64, etag: etag.clone() }
}
