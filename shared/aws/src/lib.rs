//! AWS adapters for the ports. Only this crate and the `main.rs` files use an SDK.
//!
//! Each adapter builds requests from the given values and reads which of them were refused. Queue and table retry
//! refused values until all are accepted or the deadline is reached; the stream leaves retries to its caller. The SDK's
//! own retries are off: the SDK does not see a refusal inside a successful response, and two retry loops would
//! multiply.
//!
//! # Layout
//!
//! - [`lambda`]: Lambda events to records, and partial batch responses.
//! - [`items`]: the DynamoDB items of each table.
//! - `table`, `queue`, `stream`: batch writes.
//! - `downlink`, `downlink_admin`: the downlinks table, for the function that answers devices and for operators.
//! - `receiver`, `table_reader`: reads from queues and tables, for operators' tools.
//! - `pulse_reader`: reads the pulse items of a device.
//! - `log`: reads a log group, with the feature `logs`.
//! - `watermark`: the progress of a fetch.
//! - `secret`: reads secrets.
//! - `objects`: the archive's bucket. `versions`: its older versions, for erasure.
//! - `device_items`: deletes the items of a device, for erasure.
//! - `metrics`: writes CloudWatch's embedded metric format.
//! - `cause`: the cause of a failed request, in one line.
//! - [`resend`]: the retry loop that queue and table share.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sqs::config::{Credentials, ProvideCredentials as _};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use pulsegate_pipeline::config::ConfigError;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

mod cause;
mod device_items;
mod downlink;
mod downlink_admin;
#[cfg(any(test, feature = "fakes"))]
pub mod fakes;
pub mod items;
pub mod lambda;
#[cfg(feature = "logs")]
mod log;
mod metrics;
mod objects;
mod pulse_reader;
mod queue;
mod receiver;
pub mod resend;
mod secret;
mod stream;
mod table;
mod table_reader;
mod versions;
mod watermark;

pub use aws_config::SdkConfig;
use cause::chain;
pub use device_items::{DeviceItems, DynamoDeviceItems};
pub use downlink::DownlinkTable;
pub use downlink_admin::DownlinkAdminTable;
#[cfg(feature = "logs")]
pub use log::LogGroup;
pub use metrics::EmbeddedMetrics;
pub use objects::S3Objects;
pub use pulse_reader::PulseTableReader;
pub use queue::{SqsQueue, send_all};
pub use receiver::SqsReceiver;
pub use secret::{RotatingSecret, SecretStore};
pub use stream::KinesisStream;
pub use table::{DynamoTable, EventTable, PulseTable, Table, put_all};
pub use table_reader::{DynamoReader, Found, Key, Lookup, MAX_KEYS, Page, Pages, Part, Scope};
pub use watermark::DynamoWatermarks;

/// Inside a region, a connection to AWS takes a few milliseconds or fails.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Longer than any of these requests normally takes; after that a retry on another connection is better.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// Builds the configuration that all clients share: credentials, region and endpoint from the environment, one
/// connection pool.
pub async fn sdk_config() -> SdkConfig {
    config_loader().load().await
}

/// Longer than a request for a file of the archive takes: it may have tens of megabytes.
const FILE_TIMEOUT: Duration = Duration::from_secs(30);

/// The same as [`sdk_config`], for functions that read and write whole files of the archive.
pub async fn sdk_config_for_files() -> SdkConfig {
    patient(&sdk_config().await, FILE_TIMEOUT)
}

/// Builds the configuration for a stack whose settings are not in this process's environment. `variable` returns
/// region, endpoint and credentials by their usual names, where it has them.
pub async fn sdk_config_of(variable: impl Fn(&str) -> Option<String>) -> SdkConfig {
    let mut config = config_loader();
    if let Some(endpoint) = variable("AWS_ENDPOINT_URL") {
        config = config.endpoint_url(endpoint);
    }
    if let Some(region) = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")) {
        config = config.region(Region::new(region));
    }
    if let Some((id, secret)) = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY")) {
        let session = variable("AWS_SESSION_TOKEN");
        config = config.credentials_provider(Credentials::new(id, secret, session, None, "the stack's variables"));
    }
    config.load().await
}

/// Settings that are missing or wrong, each with what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct MissingSettings(pub Vec<String>);

impl From<ConfigError> for MissingSettings {
    fn from(error: ConfigError) -> Self {
        Self(vec![error.to_string()])
    }
}

/// Adds region and credentials to a program's own settings. Reads credentials as a request does, so an expired session
/// is found too.
///
/// # Errors
/// [`MissingSettings`] naming all that are missing: the program's own, the region and the credentials.
pub async fn connected<T, E: Into<MissingSettings>>(settings: Result<T, E>) -> Result<(SdkConfig, T), MissingSettings> {
    // The SDK logs each place where it finds nothing, with dumps of responses.
    let (sdk, missing) = account().with_subscriber(NoSubscriber::default()).await;
    match settings.map_err(Into::into) {
        Ok(settings) if missing.is_empty() => Ok((sdk, settings)),
        Ok(_) => Err(MissingSettings(missing)),
        Err(MissingSettings(own)) => Err(MissingSettings([own, missing].concat())),
    }
}

/// Returns the configuration, and what is missing of it.
async fn account() -> (SdkConfig, Vec<String>) {
    let sdk = sdk_config().await;
    let mut missing = Vec::new();
    if sdk.region().is_none() {
        missing.push("no AWS region: set AWS_REGION, or AWS_PROFILE".to_owned());
    }
    let credentials = match sdk.credentials_provider() {
        Some(provider) => provider.provide_credentials().await.map(|_| ()),
        None => Err(CredentialsError::not_loaded_no_source()),
    };
    if let Err(error) = credentials {
        let reason = match error {
            CredentialsError::CredentialsNotLoaded(_) => String::new(),
            failed => format!(" ({})", chain(&failed)),
        };
        missing.push(format!(
            "no AWS credentials{reason}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        ));
    }
    (sdk, missing)
}

/// Replaces the time-out of an attempt, for tools with large requests, which a local stand-in for AWS answers slowly.
#[must_use]
pub fn patient(config: &SdkConfig, attempt: Duration) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(attempt).build();
    config.clone().into_builder().timeout_config(timeouts).build()
}

fn config_loader() -> ConfigLoader {
    let https = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(https)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
}

#[cfg(test)]
mod tests;
