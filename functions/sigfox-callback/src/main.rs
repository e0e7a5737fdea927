//! Wires the function: logs, configuration, clients, run.

use std::convert::Infallible;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use pulsegate_aws::{DownlinkTable, RotatingSecret, SqsQueue};
use pulsegate_pipeline::config::{EnvSettings, environment, or_exit};
use pulsegate_pipeline::{deadline, telemetry};
use sigfox_callback::cached::Cached;
use sigfox_callback::refusals::Refusals;
use sigfox_callback::request::Request;
use sigfox_callback::{Callback, Config, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init(environment("AWS_LAMBDA_LOG_LEVEL").as_deref());
    telemetry::install(pulsegate_aws::EmbeddedMetrics);
    let config = or_exit(Config::from_settings(&EnvSettings::new(&environment)));
    let sdk = pulsegate_aws::sdk_config().await;
    let callback = Callback {
        rules: config.rules(),
        refusals: Refusals::default(),
        secrets: or_exit(Cached::read(RotatingSecret::new(&sdk, config.secret_id)).await),
        raw: SqsQueue::new(&sdk, config.raw_queue),
        quarantine: SqsQueue::new(&sdk, config.quarantine_queue),
        downlinks: DownlinkTable::new(&sdk, config.downlink_table),
    };
    let callback = &callback;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Request>| async move {
        Ok::<_, Infallible>(handle(&event.payload, callback, deadline::before(event.context.deadline)).await)
    }))
    .await
}
