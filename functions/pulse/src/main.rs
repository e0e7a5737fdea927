//! Wires the function: logs, configuration, clients, run.

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use pulse::{Config, handle};
use pulsegate_aws::{DynamoTable, EmbeddedMetrics, PulseTable, S3Objects, SqsQueue};
use pulsegate_pipeline::config::{EnvSettings, environment, or_exit};
use pulsegate_pipeline::pulse::PulseStage;
use pulsegate_pipeline::{deadline, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init(environment("AWS_LAMBDA_LOG_LEVEL").as_deref());
    telemetry::install(EmbeddedMetrics);
    let config = or_exit(Config::from_settings(&EnvSettings::new(&environment)));
    let sdk = pulsegate_aws::sdk_config().await;
    let stage = PulseStage {
        pulses: PulseTable { table: DynamoTable::new(&sdk, config.table), retention_days: config.retention_days },
        quarantine: SqsQueue::new(&sdk, config.quarantine_queue),
        archive: S3Objects::new(&sdk, config.archive_bucket),
    };
    let (stage, name) = (&stage, config.function_name.as_str());
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
        handle(event.payload, stage, name, deadline::before(event.context.deadline)).await.map_err(Error::from)
    }))
    .await
}
