//! Sends callbacks, and repeats what is not answered 2xx in time, as Sigfox does.

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use ureq::Agent;
use ureq::http::Request;

use super::{Callback, Message, Template};

/// How long Sigfox waits for an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// How long after a failure it sends again. It does not say whether these count from the first failure or from the one
/// before; this is the longer of the two.
const REPEATED_AFTER: [Duration; 3] = [Duration::from_mins(1), Duration::from_mins(2), Duration::from_mins(4)];

/// Instead of a status, where there is no answer.
const NO_ANSWER: u16 = 600;

/// How fast it all goes.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// What the times between repetitions are multiplied with.
    pub scale: f64,
    /// Requests at once.
    pub at_once: usize,
}

/// What became of the callback of a message.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The callback.
    pub callback: Callback,
    /// How often it was sent.
    pub attempts: usize,
    /// The last answer; 600 if there was none.
    pub status: u16,
}

impl Sent {
    /// Whether it was answered 2xx.
    pub fn delivered(&self) -> bool {
        is_success(self.status)
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Sends the callback of each message until it is delivered, or has been repeated for the last time. They come out as
/// they are done with.
pub fn send(template: &Template, messages: &[Message], pace: Pace) -> impl Stream<Item = Sent> + use<> {
    let agent: Agent = Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWER)).build().into();
    let at_once = Arc::new(Semaphore::new(pace.at_once));
    let callbacks = messages.iter().map(|message| template.callback(message));
    callbacks
        .map(|callback| deliver(agent.clone(), Arc::clone(&at_once), callback, pace.scale))
        .collect::<FuturesUnordered<_>>()
}

async fn deliver(agent: Agent, at_once: Arc<Semaphore>, callback: Callback, scale: f64) -> Sent {
    let mut status = attempt(&agent, &at_once, &callback).await;
    let mut attempts = 1;
    for pause in REPEATED_AFTER {
        if is_success(status) {
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
