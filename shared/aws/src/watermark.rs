//! [`Watermarks`] on DynamoDB.

use std::error::Error;

use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::types::AttributeValue;
use pulsegate_pipeline::ports::{Watermark, WatermarkError, Watermarks};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use crate::cause::cause;
use crate::items::{Item, to_item};

/// The name of the table's key.
const KEY: &str = "device_type";

/// A DynamoDB table with the string key `device_type`.
#[derive(Debug, Clone)]
pub struct DynamoWatermarks {
    client: Client,
    table: String,
}

#[derive(Serialize, Deserialize)]
struct WatermarkItem {
    device_type: String,
    #[serde(flatten)]
    watermark: Watermark,
}

impl DynamoWatermarks {
    /// The actions that the template must grant on the table.
    pub const ACTIONS: &[&str] = &["dynamodb:GetItem", "dynamodb:PutItem"];

    /// Uses the table with this name.
    pub fn new(config: &aws_config::SdkConfig, table: impl Into<String>) -> Self {
        // One item per request, so a successful response contains no refusal: the SDK's own retries are correct.
        let config = Builder::from(config).retry_config(RetryConfig::standard()).build();
        Self { client: Client::from_conf(config), table: table.into() }
    }
}

impl Watermarks for DynamoWatermarks {
    async fn get(&self, name: &str, deadline: Instant) -> Result<Option<Watermark>, WatermarkError> {
        let key = AttributeValue::S(name.to_owned());
        // Consistent read: a stale watermark would repeat work that the last pass has finished.
        let request = self.client.get_item().table_name(&self.table).key(KEY, key).consistent_read(true);
        let answer = timeout_at(deadline, request.send())
            .await
            .map_err(unreached)?
            .map_err(|e| WatermarkError(cause(&e).into()))?;
        let item = answer.item.map(|item| serde_dynamo::from_item::<_, WatermarkItem>(Item::from(item))).transpose();
        Ok(item.map_err(unreached)?.map(|item| item.watermark))
    }

    async fn set(&self, name: &str, watermark: &Watermark, deadline: Instant) -> Result<(), WatermarkError> {
        let item = to_item(&WatermarkItem { device_type: name.to_owned(), watermark: *watermark });
        let request = self.client.put_item().table_name(&self.table).set_item(Some(item.into()));
        timeout_at(deadline, request.send()).await.map_err(unreached)?.map_err(|e| WatermarkError(cause(&e).into()))?;
        Ok(())
    }
}

fn unreached(error: impl Error + Send + Sync + 'static) -> WatermarkError {
    WatermarkError(error.into())
}
