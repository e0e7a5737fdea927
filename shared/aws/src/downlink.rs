//! [`Downlinks`] on DynamoDB.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::downlink::{Downlink, DownlinkAnswer, DownlinkOutcome, Downlinks, Entry, Unavailable};
use tokio::time::{Instant, timeout_at};

use crate::cause::cause;

/// Pause between the first request and the second. The SDK's default, a second, is too long: the caller waits.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// A DynamoDB table with the string keys `device` and `downlink`.
#[derive(Debug, Clone)]
pub struct DownlinkTable {
    client: Client,
    name: String,
}

impl DownlinkTable {
    /// The actions that the template must grant on the table. A transaction needs the actions of its parts.
    pub const ACTIONS: &[&str] = &["dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"];

    /// Uses the table with this name.
    pub fn new(config: &aws_config::SdkConfig, name: impl Into<String>) -> Self {
        Self { client: client(config), name: name.into() }
    }

    /// Marks the uplink as answered, and assigns the downlink if it is unchanged since it was read and not yet
    /// assigned.
    fn writes(&self, answer: &DownlinkAnswer) -> Result<[TransactWriteItem; 2], Unavailable> {
        let DownlinkAnswer { downlink, uplink, marker, expires_at } = answer;
        let marker = Put::builder()
            .table_name(&self.name)
            .item("device", text(&downlink.device))
            .item("downlink", text(marker))
            .item("answer", text(&downlink.id))
            .item("expires_at", number(expires_at))
            .condition_expression("attribute_not_exists(#downlink)")
            .expression_attribute_names("#downlink", "downlink");
        let update = Update::builder()
            .table_name(&self.name)
            .key("device", text(&downlink.device))
            .key("downlink", text(&downlink.id))
            .condition_expression("#data = :data AND attribute_not_exists(#uplink)")
            .update_expression("SET #uplink = :uplink, #expires_at = :expires_at")
            .expression_attribute_names("#data", "data")
            .expression_attribute_names("#uplink", "uplink")
            .expression_attribute_names("#expires_at", "expires_at")
            .expression_attribute_values(":data", text(&downlink.data))
            .expression_attribute_values(":uplink", text(uplink))
            .expression_attribute_values(":expires_at", number(expires_at));
        let marker = marker.build().map_err(Unavailable::new)?;
        let update = update.build().map_err(Unavailable::new)?;
        Ok([TransactWriteItem::builder().put(marker).build(), TransactWriteItem::builder().update(update).build()])
    }
}

impl Downlinks for DownlinkTable {
    async fn of_device(&self, device: DeviceId, deadline: Instant) -> Result<Vec<Entry>, Unavailable> {
        let query = self.client.query().table_name(&self.name).consistent_read(true);
        let query = query.key_condition_expression("#device = :device").expression_attribute_names("#device", "device");
        let pages = query.expression_attribute_values(":device", text(&device)).into_paginator().items().send();
        let items = within(deadline, pages.collect::<Result<Vec<_>, _>>()).await?.map_err(|e| unavailable(&e))?;
        Ok(items.into_iter().map(entry).collect())
    }

    async fn answer_with(&self, answer: &DownlinkAnswer, deadline: Instant) -> Result<bool, Unavailable> {
        let writes = self.writes(answer)?;
        let request = self.client.transact_write_items().set_transact_items(Some(writes.into()));
        match within(deadline, request.send()).await? {
            Ok(_) => Ok(true),
            Err(e) if e.as_service_error().is_some_and(is_conflict) => Ok(false),
            Err(e) => Err(unavailable(&e)),
        }
    }

    async fn close(&self, outcome: &DownlinkOutcome, deadline: Instant) -> Result<(), Unavailable> {
        let DownlinkOutcome { downlink: Downlink { device, id, .. }, code, message, told_at } = outcome;
        let request = self.client.update_item().table_name(&self.name);
        let request = request
            .key("device", text(device))
            .key("downlink", text(id))
            .condition_expression("attribute_exists(#downlink) AND attribute_not_exists(#code)")
            .update_expression("SET #code = :code, #message = :message, #told_at = :told_at")
            .expression_attribute_names("#downlink", "downlink")
            .expression_attribute_names("#code", "code")
            .expression_attribute_names("#message", "message")
            .expression_attribute_names("#told_at", "told_at")
            .expression_attribute_values(":code", number(code))
            .expression_attribute_values(":message", text(message))
            .expression_attribute_values(":told_at", text(told_at));
        match within(deadline, request.send()).await? {
            Err(e) if !e.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) => {
                Err(unavailable(&e))
            }
            _ => Ok(()),
        }
    }
}

/// Parses an item. Values that JSON cannot represent (bytes) do not occur in valid entries.
pub(crate) fn entry(item: HashMap<String, AttributeValue>) -> Entry {
    let key =
        ["device", "downlink"].map(|name| item.get(name).and_then(|key| key.as_s().ok()).cloned().unwrap_or_default());
    match serde_dynamo::from_item(item) {
        Ok(value) => Entry::read(value),
        Err(reason) => Entry::Invalid { key: key.join(" "), reason: serde_dynamo::Error::to_string(&reason) },
    }
}

/// Returns `true` if a transaction was cancelled because a condition failed or another transaction conflicts. The other
/// reasons (throttled, missing table, no permission) do not depend on the downlink.
fn is_conflict(error: &TransactWriteItemsError) -> bool {
    const FASTER: [Option<&str>; 2] = [Some("ConditionalCheckFailed"), Some("TransactionConflict")];
    let TransactWriteItemsError::TransactionCanceledException(error) = error else { return false };
    error.cancellation_reasons().iter().any(|reason| FASTER.contains(&reason.code()))
}

/// Builds a client for requests of one item each, for which the SDK's own retries are correct.
pub(crate) fn client(config: &aws_config::SdkConfig) -> Client {
    let retries = RetryConfig::standard().with_max_attempts(5).with_initial_backoff(FIRST_PAUSE);
    Client::from_conf(Builder::from(config).retry_config(retries).build())
}

pub(crate) fn unavailable<E>(error: &SdkError<E>) -> Unavailable
where
    E: ProvideErrorMetadata + Error + 'static,
{
    Unavailable::new(cause(error))
}

pub(crate) async fn within<T>(deadline: Instant, request: impl Future<Output = T>) -> Result<T, Unavailable> {
    timeout_at(deadline, request).await.map_err(|_| Unavailable::new("no answer before the deadline"))
}

pub(crate) fn text(value: &impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

fn number(value: &impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
