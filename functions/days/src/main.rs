//! Wires the function: logs, configuration, clients, run.

use std::time::{SystemTime, UNIX_EPOCH};

use days::{Config, Handler};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use pulsegate_aws::{EmbeddedMetrics, S3Objects, SqsQueue};
use pulsegate_model::at::At;
use pulsegate_pipeline::config::{EnvSettings, environment, or_exit};
use pulsegate_pipeline::{deadline, telemetry};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init(environment("AWS_LAMBDA_LOG_LEVEL").as_deref());
    telemetry::install(EmbeddedMetrics);
    let config = or_exit(Config::from_settings(&EnvSettings::new(&environment)));
    let store = S3Objects::new(&pulsegate_aws::sdk_config_for_files().await, config.archive.archive_bucket);
    let queue = SqsQueue::new(&pulsegate_aws::sdk_config().await, config.queue);
    let handler = &Handler { store: &store, bits: &config.archive.partition_bits, queue: &queue };
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        let now = At::from_unix(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().cast_signed())?;
        let deadline = deadline::before(event.context.deadline);
        Ok::<Value, Error>(handler.handle(event.payload, now, deadline).await?)
    }))
    .await
}
