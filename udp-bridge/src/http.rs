//! HTTP endpoints: `GET /healthz`, whether uplinks become durable; `GET /readyz`, whether meters should send to this
//! bridge; `GET /metrics`, the counters.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::counters::Counters;

/// How long the stream may reject everything before the bridge reports itself unhealthy. Throttling passes in seconds.
const FAILING_TIMEOUT: Duration = Duration::from_mins(1);

/// The text format that Prometheus prefers.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Health of the bridge.
#[derive(Debug, Default)]
pub struct Health {
    /// Set while the stream rejects everything.
    failing: Mutex<Option<Failing>>,
    stopping: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    since: Instant,
    /// Last rejection. Without traffic the state of the stream is unknown: an old rejection must not keep the bridge
    /// out of a load balancer for ever.
    last: Instant,
}

impl Health {
    /// Records a put: whether the stream accepted any of it.
    pub fn put(&self, accepted: bool) {
        let last = Instant::now();
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        // Rejections with a long silence between them do not count as continuous.
        let since =
            failing.filter(|failing| failing.last.elapsed() <= FAILING_TIMEOUT).map_or(last, |failing| failing.since);
        *failing = (!accepted).then_some(Failing { since, last });
    }

    /// Reports not ready from now on: a load balancer should send datagrams elsewhere.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    fn ready(&self) -> (StatusCode, &'static str) {
        if self.stopping.load(Ordering::Relaxed) {
            (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
        } else {
            self.status()
        }
    }

    fn status(&self) -> (StatusCode, &'static str) {
        let failing = *self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match failing {
            Some(Failing { since, last }) if since.elapsed() > FAILING_TIMEOUT && last.elapsed() <= FAILING_TIMEOUT => {
                (StatusCode::SERVICE_UNAVAILABLE, "the stream has accepted nothing for more than a minute\n")
            }
            _ => (StatusCode::OK, "ok\n"),
        }
    }
}

/// Serves the endpoints until it is dropped.
pub async fn serve(listener: TcpListener, health: Arc<Health>, counters: Arc<Counters>) {
    let healthz = get(async |State(health): State<Arc<Health>>| health.status());
    let readyz = get(async |State(health): State<Arc<Health>>| health.ready());
    let metrics = get(async move || ([(CONTENT_TYPE, OPEN_METRICS)], counters.prometheus()));
    let routes =
        Router::new().route("/healthz", healthz).route("/readyz", readyz).route("/metrics", metrics).with_state(health);
    if let Err(e) = axum::serve(listener, routes).await {
        tracing::error!(reason = %e, "the server for healthz, readyz and metrics has failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bridge_whose_stream_refuses_for_long_is_unwell_until_it_accepts_again() {
        let health = Health::default();
        for _ in 0..3 {
            assert_eq!(health.status().0, StatusCode::OK);
            health.put(false);
            tokio::time::advance(FAILING_TIMEOUT / 2).await;
        }
        health.put(false);
        assert_eq!(health.status().0, StatusCode::SERVICE_UNAVAILABLE);
        health.put(true);
        assert_eq!(health.status().0, StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn two_refusals_with_a_long_silence_between_them_are_not_one_long_refusal() {
        let health = Health::default();
        health.put(false);
        tokio::time::advance(FAILING_TIMEOUT * 2).await;
        health.put(false);
        assert_eq!(health.status().0, StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bridge_that_nobody_sends_anything_is_well_again() {
        let health = Health::default();
        health.put(false);
        tokio::time::advance(FAILING_TIMEOUT * 2).await;
        assert_eq!(health.status().0, StatusCode::OK);
    }
}
