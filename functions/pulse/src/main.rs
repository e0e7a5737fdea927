//! Wires the function: logs, configuration, clients, run.

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use pulse::{Config, PulseStage, handle};
use shared::aws::{self, DynamoTable, SqsQueue};
use shared::config::{Settings, environment, or_exit};
use shared::deadline;
use shared::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init(environment("AWS_LAMBDA_LOG_LEVEL").as_deref());
    let config = or_exit(Config::from_settings(&Settings::new(&environment)));
    let sdk = aws::sdk_config().await;
    let stage = PulseStage {
        table: DynamoTable::new(&sdk, config.table),
        quarantine: SqsQueue::new(&sdk, config.quarantine_queue),
        name: config.function_name,
    };
    let stage = &stage;
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
        handle(event.payload, stage, deadline::before(event.context.deadline)).await.map_err(Error::from)
    }))
    .await
}
