//! Deletes the items of a device, whatever the table. Only erasure does that.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, Select, WriteRequest};
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::ports::ReadError;
use tokio::time::Instant;

use crate::downlink::text;
use crate::resend::{FIRST_PAUSE, until_answered, wait};

/// The most items of one `BatchWriteItem`.
const MAX_BATCH: i32 = 25;

type Key = HashMap<String, AttributeValue>;

/// A table with the key `device`.
pub trait DeviceItems {
    /// Counts the items of the device.
    fn count(&self, device: DeviceId, deadline: Instant) -> impl Future<Output = Result<usize, ReadError>> + Send;

    /// Deletes some items of the device. Returns how many; 0 if none are left. After an error, some may be deleted.
    fn delete_some(&self, device: DeviceId, deadline: Instant)
    -> impl Future<Output = Result<usize, ReadError>> + Send;
}

/// A DynamoDB table with the string key `device` and a string sort key, for erasure.
#[derive(Debug, Clone)]
pub struct DynamoDeviceItems {
    client: Client,
    name: String,
    sort_key: &'static str,
}

impl DynamoDeviceItems {
    /// The actions that it needs on the table.
    pub const ACTIONS: &[&str] = &["dynamodb:Query", "dynamodb:BatchWriteItem"];

    /// The table with this name and sort key.
    pub fn new(config: &aws_config::SdkConfig, name: impl Into<String>, sort_key: &'static str) -> Self {
        Self { client: Client::new(config), name: name.into(), sort_key }
    }

    /// Deletes items until none is unprocessed.
    async fn delete(&self, keys: Vec<Key>, deadline: Instant) -> Result<(), ReadError> {
        let mut pending: Vec<WriteRequest> = keys.into_iter().map(deletion).collect();
        let mut pause = FIRST_PAUSE;
        while !pending.is_empty() {
            let answer = until_answered(deadline, || {
                self.client.batch_write_item().request_items(&self.name, pending.clone()).send()
            });
            let answer = answer.await.map_err(|source| self.failed(source))?;
            pending = answer.unprocessed_items.and_then(|mut left| left.remove(&self.name)).unwrap_or_default();
            if !pending.is_empty() {
                if Instant::now() + pause >= deadline {
                    return Err(self.failed("items were still unprocessed at the deadline".into()));
                }
                wait(&mut pause).await;
            }
        }
        Ok(())
    }

    /// The items of the device, by a consistent read: an item that was just written counts.
    fn query(&self, device: DeviceId) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        let query = self.client.query().table_name(&self.name).consistent_read(true);
        let query = query.key_condition_expression("#device = :device").expression_attribute_names("#device", "device");
        query.expression_attribute_values(":device", text(&device))
    }

    fn failed(&self, source: Box<dyn std::error::Error + Send + Sync>) -> ReadError {
        ReadError { what: format!("the table {}", self.name), source }
    }
}

impl DeviceItems for DynamoDeviceItems {
    async fn count(&self, device: DeviceId, deadline: Instant) -> Result<usize, ReadError> {
        let (mut count, mut after) = (0, None);
        loop {
            let answer = until_answered(deadline, || {
                self.query(device).select(Select::Count).set_exclusive_start_key(after.clone()).send()
            });
            let answer = answer.await.map_err(|source| self.failed(source))?;
            count += usize::try_from(answer.count).unwrap_or_default();
            after = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    async fn delete_some(&self, device: DeviceId, deadline: Instant) -> Result<usize, ReadError> {
        let answer = until_answered(deadline, || {
            let query = self.query(device).limit(MAX_BATCH).projection_expression("#device, #sort");
            query.expression_attribute_names("#sort", self.sort_key).send()
        });
        let keys = answer.await.map_err(|source| self.failed(source))?.items.unwrap_or_default();
        let count = keys.len();
        self.delete(keys, deadline).await?;
        Ok(count)
    }
}

#[expect(clippy::expect_used, reason = "the one required field is set right here")]
fn deletion(key: Key) -> WriteRequest {
    let delete = DeleteRequest::builder().set_key(Some(key)).build().expect("a key");
    WriteRequest::builder().delete_request(delete).build()
}
