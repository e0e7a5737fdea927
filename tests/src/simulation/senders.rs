//! The senders: the Sigfox cloud, which repeats a callback three times and then gives it up, and meters, which repeat a
//! datagram until it is acknowledged.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pulsegate_pipeline::downlink::Downlinks;
use pulsegate_pipeline::ports::{Queue, Secret};
use sigfox_callback::Callback as CallbackFunction;
use sigfox_callback::request::Request;
use test_kit::sigfox::retry::{ANSWER_TIMEOUT, RETRY_DELAYS};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::bridge::Bridge;
use super::faults::Fault;
use super::fleet::{Callback, Datagram};
use super::lambda;
use super::world::{World, lock};

/// The callback function's time-out, as in the template.
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(9);

/// Time that a meter waits for an acknowledgement before it repeats: doubled each time, up to the longest.
const METER_TIMEOUT: Duration = Duration::from_secs(5);
const LONGEST_METER_TIMEOUT: Duration = Duration::from_mins(5);

/// The Sigfox cloud.
#[derive(Debug)]
pub struct Sigfox<S, Q, D> {
    /// The run.
    pub world: Arc<World>,
    /// The callback function.
    pub function: Arc<CallbackFunction<S, Q, D>>,
    /// Callbacks that were given up and can be recovered.
    pub given_up: Arc<Mutex<Vec<Callback>>>,
    /// Number of callbacks that were rejected as expected.
    pub refused: Arc<Mutex<usize>>,
    /// Unexpected answers.
    pub unexpected: Arc<Mutex<Vec<String>>>,
}

impl<S, Q, D> Clone for Sigfox<S, Q, D> {
    fn clone(&self) -> Self {
        Self {
            world: Arc::clone(&self.world),
            function: Arc::clone(&self.function),
            given_up: Arc::clone(&self.given_up),
            refused: Arc::clone(&self.refused),
            unexpected: Arc::clone(&self.unexpected),
        }
    }
}

impl<S, Q, D> Sigfox<S, Q, D>
where
    S: Secret + 'static,
    Q: Queue + 'static,
    D: Downlinks + 'static,
{
    /// Creates a cloud that calls this function.
    pub fn new(world: &Arc<World>, function: CallbackFunction<S, Q, D>) -> Self {
        let (given_up, refused, unexpected) = (Arc::default(), Arc::default(), Arc::default());
        Self { world: Arc::clone(world), function: Arc::new(function), given_up, refused, unexpected }
    }

    /// Sends a callback, and repeats it as Sigfox does.
    pub async fn send(self, callback: Callback) {
        let _busy = self.world.busy();
        let mut status = None;
        for pause in [callback.at].into_iter().chain(RETRY_DELAYS) {
            sleep(pause).await;
            status = timeout(ANSWER_TIMEOUT, self.attempt(&callback.request)).await.ok().flatten();
            if status.is_some_and(|status| status < 300) {
                break;
            }
        }
        if matches!(status, None | Some(429 | 503)) {
            self.world.faults.happened(Fault::CallbackGivenUp, 1);
        }
        self.end(callback, status);
    }

    /// Sends again a callback that was given up.
    pub async fn recover(self, callback: Callback) {
        let status = self.call(&callback.request).await;
        if status.is_some_and(|status| status != 503) {
            self.world.faults.happened(Fault::CallbackRecovered, 1);
        }
        self.end(callback, status);
    }

    fn end(&self, callback: Callback, status: Option<u16>) {
        match status {
            None | Some(429 | 503) => lock(&self.given_up).push(callback),
            Some(status) if status != callback.status => {
                lock(&self.unexpected).push(format!("answered {status} instead of {}", callback.status));
            }
            Some(status) => *lock(&self.refused) += usize::from(status >= 400),
        }
    }

    /// Returns the status, unless callback or answer is lost.
    async fn attempt(&self, request: &Arc<Request>) -> Option<u16> {
        let world = &self.world;
        if world.occurs(Fault::CallbackLost) {
            return None;
        }
        if world.occurs(Fault::CallbackThrottled) {
            return Some(429);
        }
        if world.is_due(Fault::CallbackDelayed) {
            // With delays over 10 s Sigfox gives up first, and the callback never arrives.
            sleep(world.span(1..=12_000)).await;
            world.faults.happened(Fault::CallbackDelayed, 1);
        }
        if world.occurs(Fault::CallbackRepeated) {
            let (this, request) = (self.clone(), Arc::clone(request));
            world.spawn(async move { this.call(&request).await });
        }
        self.call(request).await.filter(|_| !world.occurs(Fault::CallbackUnanswered))
    }

    /// Calls the function once.
    async fn call(&self, request: &Request) -> Option<u16> {
        let handle = |deadline| sigfox_callback::handle(request, &self.function, deadline);
        let answered = lambda::invoke(&self.world, CALLBACK_TIMEOUT, handle).await;
        answered.map(|response| response.status_code)
    }
}

/// Sends a datagram, and repeats it until it is acknowledged, or until it is rejected if its sender is not
/// authenticated.
pub async fn send_datagram(world: Arc<World>, bridges: Arc<[Arc<Bridge>]>, datagram: Datagram) {
    let _busy = world.busy();
    sleep(datagram.at).await;
    let acknowledged = Arc::new(Notify::new());
    let mut wait = METER_TIMEOUT;
    loop {
        let bridge = &bridges[world.draw(|rng| rng.usize(..bridges.len()))];
        let copies = 1 + usize::from(world.is_due(Fault::DatagramRepeated));
        let arrived = Arc::new(AtomicUsize::new(0));
        for _ in 0..copies {
            let (bridge, acknowledged, arrived) = (Arc::clone(bridge), Arc::clone(&acknowledged), Arc::clone(&arrived));
            let (bytes, listener) = (Arc::clone(&datagram.bytes), datagram.listener);
            if world.occurs(Fault::DatagramLost) {
                continue;
            }
            let delayed = world.is_due(Fault::DatagramDelayed);
            let delay = if delayed { world.span(1..=20_000) } else { Duration::ZERO };
            let run = Arc::clone(&world);
            world.spawn(async move {
                let _busy = run.busy();
                sleep(delay).await;
                let received = bridge.receive(listener, &bytes, acknowledged);
                if received && delayed {
                    run.faults.happened(Fault::DatagramDelayed, 1);
                }
                if received && arrived.fetch_add(1, Ordering::Relaxed) == 1 {
                    run.faults.happened(Fault::DatagramRepeated, 1);
                }
            });
        }
        if timeout(wait, acknowledged.notified()).await.is_ok() {
            return;
        }
        wait = (wait * 2).min(LONGEST_METER_TIMEOUT);
    }
}
