//! [`VersionedStore`] on S3.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::{Delete, DeleteMarkerEntry, ObjectIdentifier, ObjectVersion};
use pulsegate_pipeline::archive::store::{Got, MAX_LISTED, Part, StoreError};
use pulsegate_pipeline::archive::versions::{ListedVersion, Version, VersionPage, VersionedStore};
use pulsegate_pipeline::ports::Refused;
use tokio::time::{Instant, timeout_at};

use crate::objects::{S3Objects, range, read, status};

impl S3Objects {
    /// Deletes at most [`MAX_LISTED`] versions, the limit of a request.
    async fn delete_page_of_versions(&self, versions: &[Version], deadline: Instant) -> Refused {
        let all = || (0..versions.len()).collect();
        let identifier =
            |version: &Version| ObjectIdentifier::builder().key(&version.key).version_id(&version.id).build();
        let identifiers: Result<Vec<_>, _> = versions.iter().map(identifier).collect();
        let Ok(delete) = identifiers.and_then(|of| Delete::builder().set_objects(Some(of)).quiet(true).build()) else {
            return all();
        };
        let request = self.client.delete_objects().bucket(&self.bucket).delete(delete);
        match timeout_at(deadline, request.send()).await {
            Ok(Ok(answer)) => {
                let is_of = |error: &aws_sdk_s3::types::Error, version: &Version| {
                    error.key() == Some(&version.key) && error.version_id() == Some(&version.id)
                };
                let failed = |error| versions.iter().position(|version| is_of(error, version));
                let positions: Option<Refused> = answer.errors().iter().map(failed).collect();
                // An error without a version could be about any.
                positions.unwrap_or_else(all)
            }
            Ok(Err(e)) => {
                tracing::warn!(code = e.code(), "versions are not deleted");
                all()
            }
            Err(_) => all(),
        }
    }
}

impl VersionedStore for S3Objects {
    async fn versions(
        &self,
        prefix: &str,
        after: Option<&Version>,
        deadline: Instant,
    ) -> Result<VersionPage, StoreError> {
        let failed = |source| StoreError { what: format!("list the versions of {prefix}"), source };
        let request = self.client.list_object_versions().bucket(&self.bucket).prefix(prefix);
        let request = request
            .set_key_marker(after.map(|after| after.key.clone()))
            // After the last version of a key, there is no marker of a version.
            .set_version_id_marker(after.map(|after| after.id.clone()).filter(|id| !id.is_empty()));
        let answer = timeout_at(deadline, request.send()).await.map_err(|e| failed(e.into()))?;
        Ok(page(answer.map_err(|e| failed(e.into()))?))
    }

    async fn version(&self, version: &Version, part: Part, deadline: Instant) -> Result<Got, StoreError> {
        let failed = |source| StoreError { what: format!("get an older version of {}", version.key), source };
        let get = self.client.get_object().bucket(&self.bucket).key(&version.key).version_id(&version.id);
        let get = get.set_range(range(&part));
        let read = async {
            match get.send().await {
                Ok(answer) => read(answer, &part).await.map(Got::Object),
                Err(e) if status(&e) == Some(404) => Ok(Got::Absent),
                Err(e) => Err(e.into()),
            }
        };
        timeout_at(deadline, read).await.map_err(|e| failed(e.into()))?.map_err(failed)
    }

    async fn delete_versions(&self, versions: &[Version], deadline: Instant) -> Refused {
        let mut refused = Refused::new();
        for (n, part) in versions.chunks(MAX_LISTED).enumerate() {
            let left = self.delete_page_of_versions(part, deadline).await;
            refused.extend(left.into_iter().map(|position| n * MAX_LISTED + position));
        }
        refused
    }
}

/// The versions and the markers of an answer. S3 lists them apart.
fn page(answer: ListObjectVersionsOutput) -> VersionPage {
    let next = answer.next_key_marker.filter(|_| answer.is_truncated == Some(true));
    let next = next.map(|key| Version { key, id: answer.next_version_id_marker.unwrap_or_default() });
    let listed = |key: Option<String>, id: Option<String>, is_latest: Option<bool>, is_marker| {
        // A version without an ID is of a bucket without versioning.
        let version = Version { key: key?, id: id.unwrap_or_else(|| "null".to_owned()) };
        Some(ListedVersion { version, is_latest: is_latest.unwrap_or_default(), is_marker })
    };
    let contents = answer.versions.unwrap_or_default().into_iter();
    let contents = contents
        .filter_map(|ObjectVersion { key, version_id, is_latest, .. }| listed(key, version_id, is_latest, false));
    let markers = answer.delete_markers.unwrap_or_default().into_iter();
    let markers = markers
        .filter_map(|DeleteMarkerEntry { key, version_id, is_latest, .. }| listed(key, version_id, is_latest, true));
    VersionPage { versions: contents.chain(markers).collect(), next }
}
