//! Asks the Sigfox API for callbacks that were not delivered (<https://support.sigfox.com/apidocs>), page by page.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

use crate::config::ApiUrl;

/// Items of a page: the most that the API gives.
pub const PAGE: u64 = 100;

/// The longest page taken. An item has about a kilobyte, and a batch some more of them; this leaves room for 160 KB in
/// each, and fits, read, into the function's memory.
const MAX_PAGE_BYTES: u64 = 16 * 1024 * 1024;

/// Longer than an answer takes when all is well.
const ATTEMPT: Duration = Duration::from_secs(20);

/// Sigfox takes one request a second from a user where it says how many it takes
/// (<https://support.sigfox.com/docs/api-rate-limiting>).
const EVERY: Duration = Duration::from_secs(1);

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The Sigfox API. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Api {
    agent: Agent,
    url: ApiUrl,
    attempt: Duration,
    every: Duration,
    turn: Arc<Mutex<Instant>>,
    requests: Arc<AtomicUsize>,
}

/// The `Authorization` of an API user. Never printed.
#[derive(Clone, PartialEq)]
pub struct Credentials(String);

/// The secret does not hold an API user.
#[derive(Debug, thiserror::Error)]
pub enum NoCredentials {
    /// It is something else.
    #[error(r#"the secret for the Sigfox API is not of the form {{"login": "...", "password": "..."}}"#)]
    Form,
    /// As the template makes it.
    #[error("the secret for the Sigfox API has no login yet: fill in those of an API user")]
    NotFilledIn,
}

/// Which page of whose list.
#[derive(Debug, Clone)]
pub struct Query {
    /// The device type.
    pub device_type: String,
    /// Messages from this millisecond on.
    pub since: u64,
    /// Messages before this millisecond.
    pub before: u64,
    /// How many of the newest items to leave out.
    pub offset: u64,
}

/// A page of the list.
#[derive(Debug)]
pub struct Page {
    /// Its items, newest first.
    pub items: Vec<Value>,
    /// Whether there is another one.
    pub more: bool,
}

/// There is no page to be had.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The credentials, or what they allow. Asking again would be refused again.
    #[error(
        "Sigfox answers {0}: the API user in the secret is wrong, or has no right to read the device type's messages"
    )]
    Credentials(StatusCode),
    /// The request. Asking again would be refused again.
    #[error("Sigfox answers {0}: the API's URL or the device type is wrong")]
    Refused(StatusCode),
    /// Sigfox is in trouble, or wants to be asked later.
    #[error("Sigfox answers {status}")]
    Later {
        /// What it answers.
        status: StatusCode,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// No answer, or not the whole of it.
    #[error("Sigfox cannot be reached")]
    Unreached(#[source] Box<ureq::Error>),
    /// An answer that is none.
    #[error("the answer of Sigfox is not a page of a list")]
    NoPage(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<Value>,
    #[serde(default)]
    paging: Paging,
}

#[derive(Default, Deserialize)]
struct Paging {
    next: Option<String>,
}

impl Api {
    /// The API at that URL.
    pub fn new(url: ApiUrl) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirection could lead the credentials anywhere: it is an answer like any other, and a wrong one.
            .max_redirects(0)
            .max_redirects_will_error(false);
        let turn = Arc::new(Mutex::new(Instant::now()));
        Self { agent: config.build().into(), url, attempt: ATTEMPT, every: EVERY, turn, requests: Arc::default() }
    }

    /// The same, waiting for an answer for so long.
    #[must_use]
    pub fn waiting(self, attempt: Duration) -> Self {
        Self { attempt, ..self }
    }

    /// The same, asking so often.
    #[must_use]
    pub fn every(self, every: Duration) -> Self {
        Self { every, ..self }
    }

    /// When Sigfox may be asked next, whichever the device type: now, or a little later.
    pub fn turn(&self) -> Instant {
        Instant::now().max(*self.turn.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many requests have been made since it was last asked.
    pub fn take_requests(&self) -> usize {
        self.requests.swap(0, Ordering::Relaxed)
    }

    /// Asks for a page, again and again with growing, jittered pauses where that may help, until the deadline.
    ///
    /// # Errors
    /// [`ApiError`], of the last attempt.
    pub async fn page(&self, query: &Query, credentials: &Credentials, deadline: Instant) -> Result<Page, ApiError> {
        let mut pause = FIRST_PAUSE;
        loop {
            sleep_until(self.turn()).await;
            let error = match self.ask(query, credentials, deadline).await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            // Full jitter, but never before Sigfox wants to be asked again. It may name any number: nothing is added to it.
            let Some(least) = error.wait() else { return Err(error) };
            let pause_now = pause.mul_f64(fastrand::f64()).max(least);
            if pause_now >= deadline.saturating_duration_since(Instant::now()) || self.turn() >= deadline {
                return Err(error);
            }
            tracing::warn!(device_type = query.device_type, reason = %error, "asking Sigfox again");
            sleep(pause_now).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One request. The client waits for the answer, so it does that on a thread of its own: the runtime's only one has
    /// to keep the time.
    async fn ask(&self, query: &Query, credentials: &Credentials, deadline: Instant) -> Result<Page, ApiError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + self.every;
        let timeout = self.attempt.min(deadline.saturating_duration_since(Instant::now()));
        let (api, query, credentials) = (self.clone(), query.clone(), credentials.clone());
        let asking = tokio::task::spawn_blocking(move || api.ask_and_wait(&query, &credentials, timeout));
        asking.await.unwrap_or_else(|e| Err(unreached(ureq::Error::Other(e.into()))))
    }

    /// The URL is always built here. What the answer says of the next page is only read as "there is one": followed, it
    /// could lead the credentials to another host.
    fn ask_and_wait(&self, query: &Query, credentials: &Credentials, timeout: Duration) -> Result<Page, ApiError> {
        let url = format!("{}/device-types/{}/callbacks-not-delivered", self.url.as_str(), query.device_type);
        let request = self.agent.get(url).header(header::AUTHORIZATION, &credentials.0);
        let request = [("since", query.since), ("before", query.before), ("limit", PAGE), ("offset", query.offset)]
            .into_iter()
            .fold(request, |request, (name, value)| request.query(name, value.to_string()));
        let mut answer = request.config().timeout_global(Some(timeout)).build().call().map_err(unreached)?;
        check(&answer)?;
        let body = answer.body_mut().with_config().limit(MAX_PAGE_BYTES).read_to_vec().map_err(unreached)?;
        let Listed { data: items, paging } = serde_json::from_slice(&body).map_err(ApiError::NoPage)?;
        let full = items.len() as u64 >= PAGE;
        Ok(Page { more: !items.is_empty() && (full || paging.next.is_some()), items })
    }
}

fn check(answer: &Response<Body>) -> Result<(), ApiError> {
    match answer.status() {
        StatusCode::OK => Ok(()),
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(ApiError::Credentials(status)),
        status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) => Err(later(answer, status)),
        status if status.is_server_error() => Err(later(answer, status)),
        status => Err(ApiError::Refused(status)),
    }
}

/// `Retry-After` in seconds; a date is not read, and the pauses are ours then.
fn later(answer: &Response<Body>, status: StatusCode) -> ApiError {
    let seconds = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    ApiError::Later { status, retry_after: seconds.map(Duration::from_secs) }
}

fn unreached(error: ureq::Error) -> ApiError {
    ApiError::Unreached(Box::new(error))
}

impl ApiError {
    /// The least time after which asking again may help; `None` if it never does.
    fn wait(&self) -> Option<Duration> {
        match self {
            Self::Credentials(_) | Self::Refused(_) => None,
            Self::Later { retry_after, .. } => Some(retry_after.unwrap_or_default()),
            Self::Unreached(_) | Self::NoPage(_) => Some(Duration::ZERO),
        }
    }
}

impl FromStr for Credentials {
    type Err = NoCredentials;

    fn from_str(secret: &str) -> Result<Self, NoCredentials> {
        #[derive(Deserialize)]
        struct User {
            login: String,
            password: String,
        }
        let User { login, password } = serde_json::from_str(secret).map_err(|_| NoCredentials::Form)?;
        if login.is_empty() {
            return Err(NoCredentials::NotFilledIn);
        }
        Ok(Self(format!("Basic {}", BASE64_STANDARD.encode(format!("{login}:{password}")))))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_a_login_and_a_password_and_is_never_printed() {
        let credentials: Credentials = r#"{"login": "a", "password": "b"}"#.parse().unwrap();
        assert_eq!(credentials.0, "Basic YTpi");
        assert_eq!(format!("{credentials:?}"), "Credentials(..)");
    }

    #[test]
    fn a_secret_that_nobody_has_filled_in_says_so_and_none_is_repeated_in_the_error() {
        let error = |secret: &str| secret.parse::<Credentials>().unwrap_err().to_string();
        assert!(error(r#"{"login": "", "password": "x"}"#).contains("no login yet"));
        for secret in ["", "hunter2", r#"{"login": "hunter2"}"#, r#"{"login": "a", "password": 7, "x": "hunter2"}"#] {
            assert!(!error(secret).contains("hunter2"));
        }
    }
}
