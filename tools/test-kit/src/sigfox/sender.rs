//! Sends callbacks over HTTP and repeats them by the retry rule of Sigfox.

use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use ureq::Agent;
use ureq::http::Request;

use super::retry::{ANSWER_TIMEOUT, RETRY_DELAYS, is_delivered};
use super::{Callback, Message, Template};

/// The status of an attempt without an answer.
const NO_ANSWER: u16 = 600;

/// The speed of a sender.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The factor of the pauses between repetitions.
    pub scale: f64,
    /// The most requests at once.
    pub at_once: usize,
}

/// The outcome of a callback.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The callback.
    pub callback: Callback,
    /// The number of requests.
    pub attempts: usize,
    /// The status of the last answer; 600 if there was none.
    pub status: u16,
}

impl Sent {
    /// True if it was answered 2xx.
    pub fn delivered(&self) -> bool {
        is_delivered(self.status)
    }
}

/// Sends the callback of each message until it is delivered or has had its last repetition. Yields outcomes in the order in
/// which they are final.
pub fn send(template: &Template, messages: &[Message], pace: Pace) -> impl Stream<Item = Sent> + use<> {
    let agent: Agent =
        Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWER_TIMEOUT)).build().into();
    let at_once = Arc::new(Semaphore::new(pace.at_once));
    let callbacks = messages.iter().map(|message| template.callback(message));
    callbacks
        .map(|callback| deliver(agent.clone(), Arc::clone(&at_once), callback, pace.scale))
        .collect::<FuturesUnordered<_>>()
}

async fn deliver(agent: Agent, at_once: Arc<Semaphore>, callback: Callback, scale: f64) -> Sent {
    let mut status = attempt(&agent, &at_once, &callback).await;
    let mut attempts = 1;
    for pause in RETRY_DELAYS {
        if is_delivered(status) {
            break;
        }
        sleep(pause.mul_f64(scale)).await;
        status = attempt(&agent, &at_once, &callback).await;
        attempts += 1;
    }
    Sent { callback, attempts, status }
}

async fn attempt(agent: &Agent, at_once: &Semaphore, callback: &Callback) -> u16 {
    let _one_of_a_few = at_once.acquire().await.unwrap();
    let Template { method, url, headers, body } = &callback.request;
    let request = Request::builder().method(*method).uri(url);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    let request = request.body(body.clone()).unwrap();
    let agent = agent.clone();
    let sending = tokio::task::spawn_blocking(move || agent.run(request).map(|answer| answer.status().as_u16()));
    sending.await.unwrap().unwrap_or(NO_ANSWER)
}
