//! The port of the object store: the part of S3's API that the archive needs.

use std::future::Future;
use std::ops::Range;

use bytes::Bytes;
use tokio::time::Instant;

use crate::ports::Refused;

/// The most keys of one page of a list, as in S3.
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>)
pub const MAX_LISTED: usize = 1_000;

/// A strongly consistent object store with conditional writes.
pub trait ObjectStore {
    /// Lists keys with this prefix, in order, after the key `after`: at most [`MAX_LISTED`].
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached before the deadline.
    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        deadline: Instant,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Reads an object or a part of it.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached before the deadline.
    fn get(&self, request: Get<'_>, deadline: Instant) -> impl Future<Output = Result<Got, StoreError>> + Send;

    /// Writes an object, if the condition holds. A write that is repeated because its answer was lost finds its own
    /// result and may report [`Put::Conflict`].
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached before the deadline; the object may have been written.
    fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Condition<'_>,
        deadline: Instant,
    ) -> impl Future<Output = Result<Put, StoreError>> + Send;

    /// Deletes objects. Returns the positions of those that may still exist. An absent object counts as deleted.
    fn delete(&self, keys: &[String], deadline: Instant) -> impl Future<Output = Refused> + Send;
}

/// The version of an object's content, as the store names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ETag(pub String);

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The objects, by key.
    pub objects: Vec<Listed>,
    /// True if there are more after the last one.
    pub truncated: bool,
}

/// An object in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its version.
    pub etag: ETag,
    /// The time at which it was last written, in seconds since 1970.
    pub modified: i64,
}

/// A request for an object.
#[derive(Debug, Clone)]
pub struct Get<'a> {
    /// The key.
    pub key: &'a str,
    /// The part.
    pub part: Part,
    /// Only this version.
    pub version: Option<&'a ETag>,
}

/// A part of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// These bytes.
    Range(Range<u64>),
    /// The last bytes, so many at most.
    Last(u64),
}

/// The answer to a [`Get`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    /// The bytes.
    Object(Object),
    /// There is no such object.
    Absent,
    /// The object has another version than the requested one.
    Changed,
}

/// An object's bytes, or a part of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The bytes of the part.
    pub content: Bytes,
    /// The length of the whole object.
    pub size: u64,
    /// The version.
    pub etag: ETag,
}

/// The condition of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition<'a> {
    /// Always. For objects named after their content.
    Always,
    /// If there is no object of this key.
    Absent,
    /// If the object has this version.
    Version(&'a ETag),
}

/// The answer to a put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// Written.
    Done(ETag),
    /// Not written: the condition does not hold (in S3 412, 404 or 409).
    Conflict,
}

/// The store cannot be reached; the cause may be transient or permanent.
#[derive(Debug, thiserror::Error)]
#[error("the archive cannot be reached ({what})")]
pub struct StoreError {
    /// The request.
    pub what: String,
    /// The cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl Part {
    /// This part of a whole object.
    pub fn of(&self, content: &Bytes) -> Bytes {
        let size = content.len() as u64;
        let range = match self {
            Self::Whole => 0..size,
            Self::Range(range) => range.start.min(size)..range.end.min(size),
            Self::Last(last) => size.saturating_sub(*last)..size,
        };
        let position = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        content.slice(position(range.start)..position(range.end))
    }
}

impl<'a> Get<'a> {
    /// A whole object, of whatever version.
    pub fn whole(key: &'a str) -> Self {
        Self { key, part: Part::Whole, version: None }
    }
}
