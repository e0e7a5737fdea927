//! Wires the bridge: arguments, logs, configuration, sockets, clients, run.

use std::process::ExitCode;

use pulsegate_aws::{KinesisStream, SecretStore};
use pulsegate_pipeline::config::{EnvSettings, environment, or_exit};
use pulsegate_pipeline::telemetry;
use tokio::signal::unix::{SignalKind, signal};
use udp_bridge::config::{Config, HELP, MetricsTarget};
use udp_bridge::intake;
use udp_bridge::protocol::sealed::MasterKeys;
use udp_bridge::server::{self, Sockets};

#[tokio::main]
async fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => {}
        Some("--help" | "-h") => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some("--version" | "-V") => {
            println!("udp-bridge {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some(other) => {
            eprintln!("udp-bridge: unknown argument {other:?}; set environment variables instead, see --help");
            return ExitCode::from(2);
        }
    }
    telemetry::init(environment("LOG_LEVEL").as_deref());
    // A thread or task that died alone would leave its meters without service. When the whole process ends, they send again.
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(%panic, "ending after a panic");
        std::process::exit(101)
    }));
    // First of all: process 1 of a container receives no signal that it has not registered for.
    let mut terminate = or_exit(signal(SignalKind::terminate()));
    let settings = Config::from_settings(&EnvSettings::new(&environment));
    let (sdk, config) = or_exit(pulsegate_aws::connected(settings).await);
    if config.metrics == MetricsTarget::CloudWatch {
        telemetry::install(pulsegate_aws::EmbeddedMetrics);
    }
    let keys = match config.master_keys_secret.as_ref().filter(|_| config.needs_keys()) {
        Some(secret) => Some(or_exit(or_exit(SecretStore::new(&sdk).read(secret).await).parse::<MasterKeys>())),
        None => None,
    };
    let sockets = or_exit(Sockets::bind(config.http, config.listeners(keys.as_ref())).await);
    let stream = KinesisStream::new(&sdk, &config.stream);
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        // A second signal ends the process at once.
        tokio::spawn(async move {
            terminate.recv().await;
            tracing::warn!("second signal: ending at once; data that is not durable was not acknowledged");
            std::process::exit(1);
        });
    };
    server::run(sockets, stream, config.pace, intake::now, stop).await;
    ExitCode::SUCCESS
}
