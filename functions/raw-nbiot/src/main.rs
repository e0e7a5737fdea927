//! Wires the function: logs, configuration, clients, run.

use aws_lambda_events::event::kinesis::KinesisEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use pulsegate_aws::{DynamoTable, EmbeddedMetrics, EventTable, S3Objects, SqsQueue};
use pulsegate_pipeline::archive::writer::ArchiveWriter;
use pulsegate_pipeline::config::{EnvSettings, RawConfig, environment, or_exit};
use pulsegate_pipeline::raw::RawStage;
use pulsegate_pipeline::{deadline, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init(environment("AWS_LAMBDA_LOG_LEVEL").as_deref());
    telemetry::install(EmbeddedMetrics);
    let config = or_exit(RawConfig::from_settings(&EnvSettings::new(&environment)));
    let sdk = pulsegate_aws::sdk_config().await;
    let stage = RawStage {
        raw: ArchiveWriter { store: S3Objects::new(&sdk, config.archive_bucket) },
        events: None::<EventTable<DynamoTable>>,
        pulse: config.pulse_queue.map(|queue| SqsQueue::new(&sdk, queue)),
        quarantine: SqsQueue::new(&sdk, config.quarantine_queue),
    };
    let stage = &stage;
    lambda_runtime::run(service_fn(|event: LambdaEvent<KinesisEvent>| async move {
        raw_nbiot::handle(event.payload, stage, deadline::before(event.context.deadline)).await.map_err(Error::from)
    }))
    .await
}
