//! Wires the function: logs, configuration, clients, run.

use aws_lambda_events::event::kinesis::KinesisEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::aws::{self, DynamoTable, SqsQueue};
use shared::config::{RawConfig, Settings, environment, or_exit};
use shared::deadline;
use shared::raw::RawStage;
use shared::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init(environment("AWS_LAMBDA_LOG_LEVEL").as_deref());
    let config = or_exit(RawConfig::from_settings(&Settings::new(&environment)));
    let sdk = aws::sdk_config().await;
    let stage = RawStage {
        table: DynamoTable::new(&sdk, config.table),
        retention_days: config.retention_days,
        events: None,
        pulse: SqsQueue::new(&sdk, config.pulse_queue),
        quarantine: SqsQueue::new(&sdk, config.quarantine_queue),
    };
    let stage = &stage;
    lambda_runtime::run(service_fn(|event: LambdaEvent<KinesisEvent>| async move {
        raw_nbiot::handle(event.payload, stage, deadline::before(event.context.deadline)).await.map_err(Error::from)
    }))
    .await
}
