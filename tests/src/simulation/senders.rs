//! Those who send: the Sigfox cloud, which repeats a callback three times and then gives it up, and meters, which repeat a
//! datagram until it is acknowledged.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pulsegate_pipeline::downlink::Downlinks;
use pulsegate_pipeline::ports::{Queue, Secret};
use sigfox_callback::Callback as Door;
use sigfox_callback::request::Request;
use test_kit::sigfox::retry::{ANSWER_TIMEOUT, RETRY_DELAYS};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::bridge::Bridge;
use super::faults::Fault;
use super::fleet::{Callback, Datagram};
use super::lambda;
use super::world::{World, lock};

/// The callback function's own time, as the template sets it.
const DOOR_LIMIT: Duration = Duration::from_secs(9);

/// How long a meter waits for an acknowledgement before it sends again: twice as long each time, up to the longest.
const METER_WAITS: Duration = Duration::from_secs(5);
const METER_WAITS_LONGEST: Duration = Duration::from_mins(5);

/// The Sigfox cloud.
#[derive(Debug)]
pub struct Sigfox<S, Q, D> {
    /// The run.
    pub world: Arc<World>,
    /// The function that it calls.
    pub door: Arc<Door<S, Q, D>>,
    /// What it has given up, and lists for whoever asks.
    pub given_up: Arc<Mutex<Vec<Callback>>>,
    /// How many callbacks were turned away, as they should be.
    pub refused: Arc<Mutex<usize>>,
    /// What was answered otherwise than expected.
    pub odd: Arc<Mutex<Vec<String>>>,
}

impl<S, Q, D> Clone for Sigfox<S, Q, D> {
    fn clone(&self) -> Self {
        Self {
            world: Arc::clone(&self.world),
            door: Arc::clone(&self.door),
            given_up: Arc::clone(&self.given_up),
            refused: Arc::clone(&self.refused),
            odd: Arc::clone(&self.odd),
        }
    }
}

impl<S, Q, D> Sigfox<S, Q, D>
where
    S: Secret + 'static,
    Q: Queue + 'static,
    D: Downlinks + 'static,
{
    /// One that calls this function.
    pub fn new(world: &Arc<World>, door: Door<S, Q, D>) -> Self {
        let (given_up, refused, odd) = (Arc::default(), Arc::default(), Arc::default());
        Self { world: Arc::clone(world), door: Arc::new(door), given_up, refused, odd }
    }

    /// Makes a callback, and repeats it as Sigfox does.
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

    /// Fetches back a callback that was given up.
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
                lock(&self.odd).push(format!("answered {status} instead of {}", callback.status));
            }
            Some(status) => *lock(&self.refused) += usize::from(status >= 400),
        }
    }

    /// The status, if one is heard of.
    async fn attempt(&self, request: &Arc<Request>) -> Option<u16> {
        let world = &self.world;
        if world.strikes(Fault::CallbackLost) {
            return None;
        }
        if world.strikes(Fault::CallbackThrottled) {
            return Some(429);
        }
        if world.threatens(Fault::CallbackDelayed) {
            // With longer ones Sigfox is gone before they are over, and the callback never arrives.
            sleep(world.span(1..=12_000)).await;
            world.faults.happened(Fault::CallbackDelayed, 1);
        }
        if world.strikes(Fault::CallbackRepeated) {
            let (this, request) = (self.clone(), Arc::clone(request));
            world.spawn(async move { this.call(&request).await });
        }
        self.call(request).await.filter(|_| !world.strikes(Fault::CallbackUnanswered))
    }

    /// Calls the function once.
    async fn call(&self, request: &Request) -> Option<u16> {
        let handle = |deadline| sigfox_callback::handle(request, &self.door, deadline);
        let answered = lambda::invoke(&self.world, DOOR_LIMIT, handle).await;
        answered.map(|response| response.status_code)
    }
}

/// Sends a datagram, as a meter does: again and again until it is acknowledged. A stranger's is until it was refused.
pub async fn send_datagram(world: Arc<World>, bridges: Arc<[Arc<Bridge>]>, datagram: Datagram) {
    let _busy = world.busy();
    sleep(datagram.at).await;
    let acknowledged = Arc::new(Notify::new());
    let mut wait = METER_WAITS;
    loop {
        let bridge = &bridges[world.draw(|rng| rng.usize(..bridges.len()))];
        let copies = 1 + usize::from(world.threatens(Fault::DatagramRepeated));
        let arrived = Arc::new(AtomicUsize::new(0));
        for _ in 0..copies {
            let (bridge, acknowledged, arrived) = (Arc::clone(bridge), Arc::clone(&acknowledged), Arc::clone(&arrived));
            let (bytes, listener) = (Arc::clone(&datagram.bytes), datagram.listener);
            if world.strikes(Fault::DatagramLost) {
                continue;
            }
            let delayed = world.threatens(Fault::DatagramDelayed);
            let delay = if delayed { world.span(1..=20_000) } else { Duration::ZERO };
            let under_way = Arc::clone(&world);
            world.spawn(async move {
                let _busy = under_way.busy();
                sleep(delay).await;
                let heard = bridge.hear(listener, &bytes, acknowledged);
                if heard && delayed {
                    under_way.faults.happened(Fault::DatagramDelayed, 1);
                }
                if heard && arrived.fetch_add(1, Ordering::Relaxed) == 1 {
                    under_way.faults.happened(Fault::DatagramRepeated, 1);
                }
            });
        }
        if timeout(wait, acknowledged.notified()).await.is_ok() {
            return;
        }
        wait = (wait * 2).min(METER_WAITS_LONGEST);
    }
}
