//! [`ObjectStore`] on S3. Its conditional writes are those of S3 itself, which is strongly consistent.
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>)

use std::error::Error;

use aws_config::retry::RetryConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use bytes::Bytes;
use pulsegate_pipeline::archive::store::{
    Condition, ETag, Get, Got, Listed, MAX_LISTED, Object, ObjectStore, Page, Part, Put, StoreError,
};
use pulsegate_pipeline::ports::Refused;
use tokio::time::{Instant, timeout_at};

use crate::cause::cause;

/// A bucket.
#[derive(Debug, Clone)]
pub struct S3Objects {
    pub(crate) client: Client,
    pub(crate) bucket: String,
}

impl S3Objects {
    /// IAM actions of its requests. Each function is granted only those that it uses, on the prefixes that it uses.
    pub const ACTIONS: &[&str] = &["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"];

    /// The bucket with this name. The endpoint of a local cloud has no name for each bucket: `path_style` puts the bucket
    /// into the path.
    pub fn new(config: &aws_config::SdkConfig, bucket: impl Into<String>) -> Self {
        // One object per request, so a successful response contains no refusal: the SDK's own retries are correct. A
        // conditional write that is retried after a lost answer meets its own result, and is told a conflict.
        let path_style = config.endpoint_url().is_some();
        let config = Builder::from(config).retry_config(RetryConfig::standard()).force_path_style(path_style).build();
        Self { client: Client::from_conf(config), bucket: bucket.into() }
    }
}

impl ObjectStore for S3Objects {
    async fn list(&self, prefix: &str, after: Option<&str>, deadline: Instant) -> Result<Page, StoreError> {
        let failed = |source| StoreError { what: format!("list {prefix}"), source };
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let request = request.set_start_after(after.map(ToOwned::to_owned));
        let request = request.max_keys(i32::try_from(MAX_LISTED).unwrap_or(i32::MAX));
        let answer = timeout_at(deadline, Box::pin(request.send())).await.map_err(|e| failed(e.into()))?;
        let answer = answer.map_err(|e| failed(cause(&e).into()))?;
        let listed = |object: aws_sdk_s3::types::Object| {
            Some(Listed {
                key: object.key?,
                size: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
                etag: ETag(object.e_tag.unwrap_or_default()),
                modified: object.last_modified.map_or(0, |time| time.secs()),
            })
        };
        let objects = answer.contents.unwrap_or_default().into_iter().filter_map(listed).collect();
        Ok(Page { objects, truncated: answer.is_truncated.unwrap_or_default() })
    }

    async fn get(&self, request: Get<'_>, deadline: Instant) -> Result<Got, StoreError> {
        let failed = |source| StoreError { what: format!("get {}", request.key), source };
        let get = self.client.get_object().bucket(&self.bucket).key(request.key).set_range(range(&request.part));
        let get = get.set_if_match(request.version.map(|version| version.0.clone()));
        // Boxed, as everywhere here: the SDK's futures are nested so deeply that callers would not compile.
        let read = async {
            match Box::pin(get.send()).await {
                Ok(answer) => read(answer, &request.part).await.map(Got::Object),
                Err(e) => match status(&e) {
                    Some(404) => Ok(Got::Absent),
                    Some(412) => Ok(Got::Changed),
                    _ => Err(cause(&e).into()),
                },
            }
        };
        timeout_at(deadline, read).await.map_err(|e| failed(e.into()))?.map_err(failed)
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Condition<'_>,
        deadline: Instant,
    ) -> Result<Put, StoreError> {
        let failed = |source| StoreError { what: format!("put {key}"), source };
        let put = self.client.put_object().bucket(&self.bucket).key(key).body(ByteStream::from(content));
        let put = match condition {
            Condition::Always => put,
            Condition::Absent => put.if_none_match("*"),
            Condition::Version(version) => put.if_match(&version.0),
        };
        match timeout_at(deadline, Box::pin(put.send())).await.map_err(|e| failed(e.into()))? {
            Ok(answer) => Ok(Put::Done(ETag(answer.e_tag.unwrap_or_default()))),
            // 404: the object is gone. 409: another write of this object was under way.
            Err(e) if condition != Condition::Always && matches!(status(&e), Some(404 | 409 | 412)) => {
                Ok(Put::Conflict)
            }
            Err(e) => Err(failed(cause(&e).into())),
        }
    }

    async fn delete(&self, keys: &[String], deadline: Instant) -> Refused {
        let mut refused = Refused::new();
        for (n, part) in keys.chunks(MAX_LISTED).enumerate() {
            let first = n * MAX_LISTED;
            let left = self.delete_page(part, deadline).await;
            refused.extend(left.into_iter().map(|position| first + position));
        }
        refused
    }
}

impl S3Objects {
    /// Deletes at most [`MAX_LISTED`] objects, the limit of a request.
    async fn delete_page(&self, keys: &[String], deadline: Instant) -> Refused {
        let all = || (0..keys.len()).collect();
        let identifiers: Result<Vec<_>, _> =
            keys.iter().map(|key| ObjectIdentifier::builder().key(key).build()).collect();
        let Ok(delete) = identifiers.and_then(|keys| Delete::builder().set_objects(Some(keys)).quiet(true).build())
        else {
            return all();
        };
        let request = self.client.delete_objects().bucket(&self.bucket).delete(delete);
        match timeout_at(deadline, Box::pin(request.send())).await {
            Ok(Ok(answer)) => {
                let failed = |error: &aws_sdk_s3::types::Error| keys.iter().position(|key| error.key() == Some(key));
                answer.errors().iter().filter_map(failed).collect()
            }
            Ok(Err(e)) => {
                tracing::warn!(code = e.code(), "objects are not deleted");
                all()
            }
            Err(_) => all(),
        }
    }
}

/// The header of a part.
pub(crate) fn range(part: &Part) -> Option<String> {
    match part {
        Part::Whole => None,
        Part::Range(range) => Some(format!("bytes={}-{}", range.start, range.end.saturating_sub(1))),
        Part::Last(last) => Some(format!("bytes=-{last}")),
    }
}

pub(crate) async fn read(answer: GetObjectOutput, part: &Part) -> Result<Object, Box<dyn Error + Send + Sync>> {
    // "bytes 0-99/1234" for a part.
    let total = answer.content_range().and_then(|range| range.rsplit_once('/')?.1.parse().ok());
    let etag = ETag(answer.e_tag().unwrap_or_default().to_owned());
    let content = answer.body.collect().await?.into_bytes();
    Ok(match total {
        Some(size) => Object { content, size, etag },
        // A server may answer with the whole object (RFC 9110, section 14.2); a stand-in does so for older versions.
        None => Object { content: part.of(&content), size: content.len() as u64, etag },
    })
}

pub(crate) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|answer| answer.status().as_u16())
}
