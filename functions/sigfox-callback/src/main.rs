//! Wires the function: logs, configuration, clients, run.

use std::convert::Infallible;

use lambda_http::{Body, Error, Request, RequestExt as _, Response, service_fn};
use shared::aws::{self, SecretStore, SqsQueue};
use shared::config::{Settings, environment, or_exit};
use shared::{deadline, telemetry};
use sigfox_callback::auth::Secret;
use sigfox_callback::{Callback, Config, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init(environment("AWS_LAMBDA_LOG_LEVEL").as_deref());
    let config = or_exit(Config::from_settings(&Settings::new(&environment)));
    let sdk = aws::sdk_config().await;
    let secret = or_exit(SecretStore::new(&sdk).read(&config.secret_id).await);
    let callback = Callback {
        secret: or_exit(Secret::new(secret)),
        raw: SqsQueue::new(&sdk, config.raw_queue),
        quarantine: SqsQueue::new(&sdk, config.quarantine_queue),
    };
    let callback = &callback;
    lambda_http::run(service_fn(|request: Request| async move {
        let deadline = deadline::before(request.lambda_context().deadline);
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = handle(&request, callback, deadline).await;
        Ok::<_, Infallible>(response)
    }))
    .await
}
