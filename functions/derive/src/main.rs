//! Wires the function: logs, configuration, clients, run.

use derive::handle;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use pulsegate_aws::{EmbeddedMetrics, S3Objects};
use pulsegate_pipeline::archive::points::Derived;
use pulsegate_pipeline::config::{ArchiveConfig, EnvSettings, environment, or_exit};
use pulsegate_pipeline::{deadline, telemetry};
use serde::de::IgnoredAny;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init(environment("AWS_LAMBDA_LOG_LEVEL").as_deref());
    telemetry::install(EmbeddedMetrics);
    let config = or_exit(ArchiveConfig::from_settings(&EnvSettings::new(&environment)));
    let sdk = pulsegate_aws::sdk_config_for_files().await;
    let store = S3Objects::new(&sdk, config.archive_bucket);
    let (store, bits) = (&store, &config.partition_bits);
    lambda_runtime::run(service_fn(|event: LambdaEvent<IgnoredAny>| async move {
        Ok::<Derived, Error>(handle(store, bits, deadline::before(event.context.deadline)).await?)
    }))
    .await
}
