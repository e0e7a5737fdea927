//! Wires the function: logs, configuration, clients, run.

use std::time::{SystemTime, UNIX_EPOCH};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use pulsegate_aws::{DynamoWatermarks, SecretStore, SqsQueue};
use pulsegate_pipeline::config::{EnvSettings, environment, or_exit};
use pulsegate_pipeline::{deadline, telemetry};
use serde::de::IgnoredAny;
use sigfox_recovery::api::{Api, Credentials};
use sigfox_recovery::{Config, Recovery, Tally, handle, window};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init(environment("AWS_LAMBDA_LOG_LEVEL").as_deref());
    telemetry::install(pulsegate_aws::EmbeddedMetrics);
    let config = or_exit(Config::from_settings(&EnvSettings::new(&environment)));
    let sdk = pulsegate_aws::sdk_config().await;
    let secrets = SecretStore::new(&sdk);
    let recovery = Recovery {
        api: Api::new(config.api),
        device_types: config.device_types,
        reach: config.reach,
        watermarks: DynamoWatermarks::new(&sdk, config.watermark_table),
        raw: SqsQueue::new(&sdk, config.raw_queue),
        quarantine: SqsQueue::new(&sdk, config.quarantine_queue),
    };
    let (recovery, secrets, secret_id) = (&recovery, &secrets, &config.secret_id);
    lambda_runtime::run(service_fn(|event: LambdaEvent<IgnoredAny>| async move {
        // Read in every run, which is rare: new credentials take effect at the next run.
        let credentials: Credentials = secrets.read(secret_id).await?.parse()?;
        let now = window::millis(SystemTime::now().duration_since(UNIX_EPOCH)?);
        let deadline = deadline::before(event.context.deadline);
        Ok::<Tally, Error>(handle(recovery, &credentials, now, deadline).await?)
    }))
    .await
}
