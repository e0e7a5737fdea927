//! Wires the function: logs, configuration, clients, run.

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use pulsegate_aws::{DynamoTable, EmbeddedMetrics, EventTable, S3Objects, SqsQueue};
use pulsegate_pipeline::archive::writer::ArchiveWriter;
use pulsegate_pipeline::config::{EnvSettings, environment, or_exit};
use pulsegate_pipeline::raw::RawStage;
use pulsegate_pipeline::{deadline, telemetry};
use raw_sigfox::Config;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init(environment("AWS_LAMBDA_LOG_LEVEL").as_deref());
    telemetry::install(EmbeddedMetrics);
    let config = or_exit(Config::from_settings(&EnvSettings::new(&environment)));
    let Config { raw: config, events_table, event_retention_days: retention_days } = config;
    let sdk = pulsegate_aws::sdk_config().await;
    let stage = RawStage {
        raw: ArchiveWriter { store: S3Objects::new(&sdk, config.archive_bucket) },
        events: Some(EventTable { table: DynamoTable::new(&sdk, events_table), retention_days }),
        pulse: config.pulse_queue.map(|queue| SqsQueue::new(&sdk, queue)),
        quarantine: SqsQueue::new(&sdk, config.quarantine_queue),
    };
    let stage = &stage;
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
        raw_sigfox::handle(event.payload, stage, deadline::before(event.context.deadline)).await.map_err(Error::from)
    }))
    .await
}
