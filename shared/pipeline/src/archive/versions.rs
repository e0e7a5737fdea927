//! The port of a bucket that keeps replaced and deleted objects as older versions. Only erasure needs it.
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html>)

use std::future::Future;

use tokio::time::Instant;

use super::store::{Got, ObjectStore, Part, StoreError};
use crate::ports::Refused;

/// An object store with older versions. In a bucket without versioning, each object has one version.
pub trait VersionedStore: ObjectStore {
    /// Lists the versions of all objects with this prefix, after the version `after`, in the order of keys: a page of
    /// them.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached before the deadline.
    fn versions(
        &self,
        prefix: &str,
        after: Option<&Version>,
        deadline: Instant,
    ) -> impl Future<Output = Result<VersionPage, StoreError>> + Send;

    /// Reads a version or a part of it.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached before the deadline.
    fn version(
        &self,
        version: &Version,
        part: Part,
        deadline: Instant,
    ) -> impl Future<Output = Result<Got, StoreError>> + Send;

    /// Deletes versions for ever. Returns the positions of those that may still exist. An absent version counts as
    /// deleted. Deleting a marker brings back the object as it was before, if it has older versions.
    fn delete_versions(&self, versions: &[Version], deadline: Instant) -> impl Future<Output = Refused> + Send;
}

/// The name of a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The key of its object.
    pub key: String,
    /// The store's name for it, unique within its object.
    pub id: String,
}

/// A page of a list of versions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionPage {
    /// The versions.
    pub versions: Vec<ListedVersion>,
    /// The beginning of the next page, if there are more.
    pub next: Option<Version>,
}

/// A version in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersion {
    /// Its name.
    pub version: Version,
    /// True if it is what the object is now; or, for a marker, if the object is deleted now.
    pub is_latest: bool,
    /// True if it has no content, but marks that the object was deleted.
    pub is_marker: bool,
}
