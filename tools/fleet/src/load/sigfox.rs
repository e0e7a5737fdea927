//! The Sigfox cloud: sends callbacks, one per message or one a second per device type, and repeats them.
//!
//! A callback without a 2xx answer within ten seconds is repeated after one, two and four minutes, and then given up.
//! Sigfox does not document when these pauses start; here they start at the previous failure.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use test_kit::sigfox::retry::{ANSWER_TIMEOUT, RETRY_DELAYS, is_delivered};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout_at};

use super::callback::{Callback, Request};
use super::counters::Callbacks;
use super::faults::FaultInjector;
use super::ledger::Settled;
use super::timers::{Timers, micros};

/// A batch is sent each second, real time.
const SECOND: Duration = Duration::from_secs(1);

/// Maximum lines in a request. Sigfox documents no limit; the function accepts 256 KiB, which this many of the longest
/// encoded lines fit.
pub(super) const MAX_LINES: usize = 4_000;

/// Maximum callbacks to take from the channel at once.
const MAX_TAKEN: usize = 1_024;

/// Form of the callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// One request per message
    Single,
    /// One request a second per device type, with a line per message
    Batch,
}

/// Time-outs, pauses and concurrency of callbacks.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallbackPolicy {
    /// Form of the callbacks: single or batch.
    pub(super) channel: Channel,
    /// Time-out of an answer.
    pub(super) time_out: Duration,
    /// Pauses before the repetitions.
    pub(super) pauses: [Duration; 3],
    /// Requests at once, at most.
    pub(super) connections: usize,
}

impl CallbackPolicy {
    /// Sigfox's values, divided by the speed-up. The stack does not speed up, so the time-out never becomes shorter
    /// than an answer may reasonably take.
    pub(super) fn new(channel: Channel, speed_up: f64, connections: usize) -> Self {
        const LEAST_TIME_OUT: Duration = Duration::from_secs(2);
        let faster = |time: Duration| time.div_f64(speed_up.max(f64::MIN_POSITIVE));
        let time_out = if speed_up > 1.0 { faster(ANSWER_TIMEOUT).max(LEAST_TIME_OUT) } else { ANSWER_TIMEOUT };
        Self { channel, time_out, pauses: RETRY_DELAYS.map(faster), connections: connections.max(1) }
    }
}

/// Receiver of requests.
pub(super) trait Endpoint: Send + Sync + 'static {
    /// Returns the answer, or `None` without one. The future may be dropped at any time.
    fn post(&self, request: &Request, channel: Channel) -> impl Future<Output = Option<Answered>> + Send;
}

/// Answer to a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    /// Its status.
    pub(super) status: u16,
    /// Its bytes, with its headers.
    pub(super) bytes: usize,
    /// Bytes of the request's body.
    pub(super) asked: usize,
}

/// `None` for a fleet without Sigfox meters.
impl<E: Endpoint> Endpoint for Option<E> {
    async fn post(&self, request: &Request, channel: Channel) -> Option<Answered> {
        match self {
            Some(endpoint) => endpoint.post(request, channel).await,
            None => None,
        }
    }
}

/// The cloud. It ends when the channel of callbacks is closed and all are settled.
pub(super) struct Cloud<E> {
    policy: CallbackPolicy,
    endpoint: Arc<E>,
    injector: FaultInjector,
    counts: Arc<Mutex<Callbacks>>,
    settled: std::sync::mpsc::Sender<Settled>,
    gathered: BTreeMap<&'static str, Vec<Callback>>,
    ready: VecDeque<Request>,
    again: Timers<Request>,
    flights: JoinSet<(Request, bool)>,
    /// Duplicate requests, whose answers are ignored.
    doubles: JoinSet<()>,
    began: Instant,
}

impl<E: Endpoint> Cloud<E> {
    pub(super) fn new(
        policy: CallbackPolicy,
        endpoint: E,
        injector: FaultInjector,
        (counts, settled): (Arc<Mutex<Callbacks>>, std::sync::mpsc::Sender<Settled>),
    ) -> Self {
        const STEP_MS: u64 = 1;
        Self {
            policy,
            endpoint: Arc::new(endpoint),
            injector,
            counts,
            settled,
            gathered: BTreeMap::new(),
            ready: VecDeque::new(),
            again: Timers::new(STEP_MS),
            flights: JoinSet::new(),
            doubles: JoinSet::new(),
            began: Instant::now(),
        }
    }

    /// Receives callbacks and sends requests for them.
    pub(super) async fn run(mut self, mut callbacks: UnboundedReceiver<Callback>) {
        let mut second = interval(SECOND);
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut taken = Vec::with_capacity(MAX_TAKEN);
        let mut open = true;
        while open || !self.is_idle() {
            let next = self.began + Duration::from_millis(self.again.next().unwrap_or_default());
            tokio::select! {
                count = callbacks.recv_many(&mut taken, MAX_TAKEN), if open => {
                    open = count > 0;
                    taken.drain(..).for_each(|callback| self.take(callback));
                }
                _ = second.tick(), if self.policy.channel == Channel::Batch => self.call(),
                Some(flown) = self.flights.join_next(), if !self.flights.is_empty() => {
                    if let Ok((request, done)) = flown {
                        self.landed(request, done);
                    }
                }
                Some(_) = self.doubles.join_next(), if !self.doubles.is_empty() => {}
                () = sleep_until(next), if self.again.len() > 0 => {}
            }
            self.depart();
        }
    }

    fn is_idle(&self) -> bool {
        let waiting = self.ready.len() + self.again.len() + self.flights.len() + self.doubles.len();
        self.gathered.is_empty() && waiting == 0
    }

    fn take(&mut self, callback: Callback) {
        match self.policy.channel {
            _ if callback.is_status => self.ready.push_back(Request::new(vec![callback])),
            Channel::Single => self.ready.push_back(Request::new(vec![callback])),
            Channel::Batch => self.gathered.entry(callback.profile).or_default().push(callback),
        }
    }

    /// Turns the callbacks of the last second into requests.
    fn call(&mut self) {
        for mut lines in std::mem::take(&mut self.gathered).into_values() {
            while lines.len() > MAX_LINES {
                let rest = lines.split_off(MAX_LINES);
                self.ready.push_back(Request::new(std::mem::replace(&mut lines, rest)));
            }
            self.ready.push_back(Request::new(lines));
        }
    }

    /// Sends ready requests, up to the limit of connections.
    fn depart(&mut self) {
        let now = self.now();
        while let Some(request) = self.again.due(now) {
            self.ready.push_back(request);
        }
        while self.flights.len() < self.policy.connections
            && let Some(request) = self.ready.pop_front()
        {
            let flight = Flight {
                lost: [self.injector.lost(), self.injector.lost()],
                until: Instant::now() + self.policy.time_out,
            };
            let doubled = self.injector.doubled() && !flight.lost[0];
            self.count(&flight, doubled);
            let again = doubled.then(|| request.clone());
            let (endpoint, counts, channel) =
                (Arc::clone(&self.endpoint), Arc::clone(&self.counts), self.policy.channel);
            self.flights.spawn(async move {
                let status = flight.fly(&*endpoint, &request, channel, &counts).await;
                (request, is_delivered(status))
            });
            if let Some(request) = again {
                let endpoint = Arc::clone(&self.endpoint);
                self.doubles.spawn(async move {
                    let _ = timeout_at(flight.until, endpoint.post(&request, channel)).await;
                });
            }
        }
    }

    fn count(&self, flight: &Flight, doubled: bool) {
        let mut counts = lock(&self.counts);
        counts.attempts += 1;
        let [there, back] = flight.lost;
        counts.lost += u64::from(there || back);
        counts.duplicated += u64::from(doubled);
    }

    fn landed(&mut self, mut request: Request, acknowledged: bool) {
        let pause = self.policy.pauses.get(usize::from(request.repetitions)).filter(|_| !acknowledged);
        if let Some(pause) = pause {
            request.repetitions += 1;
            let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            self.again.add(self.now().saturating_add(pause), request);
            return;
        }
        for callback in &request.callbacks {
            // The receiver is gone only if the run was stopped.
            let _ = self.settled.send(Settled { message: callback.message, acknowledged });
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A request on its way.
#[derive(Clone, Copy)]
struct Flight {
    /// Request lost, answer lost.
    lost: [bool; 2],
    until: Instant,
}

impl Flight {
    /// The status that the cloud sees; 0 after a time-out.
    async fn fly(&self, to: &impl Endpoint, request: &Request, channel: Channel, counts: &Mutex<Callbacks>) -> u16 {
        let began = Instant::now();
        let [there, back] = self.lost;
        let answer = if there { None } else { timeout_at(self.until, to.post(request, channel)).await.ok().flatten() };
        let answer = answer.filter(|_| !back);
        let status = answer.map_or(0, |answer| answer.status);
        if there || back {
            sleep_until(self.until).await;
        }
        let mut counts = lock(counts);
        *counts.by_status.entry(status).or_default() += 1;
        if let Some(answer) = answer {
            counts.uplinks.take(request.callbacks.len(), answer.asked);
            counts.answers.take(1, answer.bytes);
        }
        if is_delivered(status) {
            counts.latency.record(micros(began.elapsed()));
        }
        status
    }
}

/// Locks a mutex, poisoned or not: the counts are consistent at any moment.
pub(super) fn lock<T>(counts: &Mutex<T>) -> MutexGuard<'_, T> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
