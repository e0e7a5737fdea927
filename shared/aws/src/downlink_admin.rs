//! [`DownlinkAdmin`] on DynamoDB, for operators who queue downlinks. No function uses it.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::downlink::{
    Downlink, DownlinkAdmin, DownlinkAnswer, DownlinkId, DownlinkOutcome, Downlinks, Entry, Unavailable,
};
use tokio::time::Instant;

use crate::downlink::{DownlinkTable, client, entry, text, unavailable, within};
use crate::items::to_item;

/// A DynamoDB table with the string keys `device` and `downlink`, for queueing downlinks.
#[derive(Debug, Clone)]
pub struct DownlinkAdminTable {
    client: Client,
    name: String,
    table: DownlinkTable,
}

impl DownlinkAdminTable {
    /// The actions that it needs besides those of a [`DownlinkTable`], of which it uses only the query.
    pub const ACTIONS: &[&str] = &["dynamodb:Scan", "dynamodb:PutItem", "dynamodb:DeleteItem"];

    /// Uses the table with this name.
    pub fn new(config: &aws_config::SdkConfig, name: impl Into<String>) -> Self {
        let name = name.into();
        Self { client: client(config), table: DownlinkTable::new(config, &name), name }
    }
}

impl Downlinks for DownlinkAdminTable {
    async fn of_device(&self, device: DeviceId, deadline: Instant) -> Result<Vec<Entry>, Unavailable> {
        self.table.of_device(device, deadline).await
    }

    async fn answer_with(&self, answer: &DownlinkAnswer, deadline: Instant) -> Result<bool, Unavailable> {
        self.table.answer_with(answer, deadline).await
    }

    async fn close(&self, outcome: &DownlinkOutcome, deadline: Instant) -> Result<(), Unavailable> {
        self.table.close(outcome, deadline).await
    }
}

impl DownlinkAdmin for DownlinkAdminTable {
    async fn all(&self, deadline: Instant) -> Result<Vec<Entry>, Unavailable> {
        let pages = self.client.scan().table_name(&self.name).into_paginator().items().send();
        let items = within(deadline, pages.collect::<Result<Vec<_>, _>>()).await?.map_err(|e| unavailable(&e))?;
        Ok(items.into_iter().map(entry).collect())
    }

    async fn add(&self, downlink: &Downlink, deadline: Instant) -> Result<bool, Unavailable> {
        let request = self.client.put_item().table_name(&self.name).set_item(Some(to_item(downlink).into()));
        let request = request.condition_expression("attribute_not_exists(#downlink)");
        match within(deadline, request.expression_attribute_names("#downlink", "downlink").send()).await? {
            Ok(_) => Ok(true),
            Err(e) if e.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(false)
            }
            Err(e) => Err(unavailable(&e)),
        }
    }

    async fn cancel(&self, device: DeviceId, id: &DownlinkId, deadline: Instant) -> Result<bool, Unavailable> {
        let request = self.client.delete_item().table_name(&self.name).key("device", text(&device));
        let request = request
            .key("downlink", text(id))
            .condition_expression("attribute_exists(#downlink) AND attribute_not_exists(#uplink)")
            .expression_attribute_names("#downlink", "downlink")
            .expression_attribute_names("#uplink", "uplink");
        match within(deadline, request.send()).await? {
            Ok(_) => Ok(true),
            Err(e) if e.as_service_error().is_some_and(DeleteItemError::is_conditional_check_failed_exception) => {
                Ok(false)
            }
            Err(e) => Err(unavailable(&e)),
        }
    }
}
