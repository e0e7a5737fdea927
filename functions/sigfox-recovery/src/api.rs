//! Fetches the list of undelivered callbacks from the Sigfox API (<https://support.sigfox.com/apidocs>), page by page.

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

/// Items per page: the maximum of the API.
pub const PAGE: u64 = 100;

/// The longest accepted page. An item has about 1 KB, one of a batch some more; this allows 160 KB per item, and the
/// parsed page fits into the function's memory.
const MAX_PAGE_BYTES: u64 = 16 * 1024 * 1024;

/// Time-out of an attempt, longer than a response normally takes.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// Pause between requests: where Sigfox documents a limit, it is one request per second and user
/// (<https://support.sigfox.com/docs/api-rate-limiting>).
const REQUEST_INTERVAL: Duration = Duration::from_secs(1);

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Client of the Sigfox API. Clones share one request rate.
#[derive(Debug, Clone)]
pub struct Api {
    agent: Agent,
    url: ApiUrl,
    attempt: Duration,
    every: Duration,
    turn: Arc<Mutex<Instant>>,
    requests: Arc<AtomicUsize>,
}

/// The `Authorization` header of an API user. Never printed.
#[derive(Clone, PartialEq)]
pub struct Credentials(String);

/// The secret does not hold an API user.
#[derive(Debug, thiserror::Error)]
pub enum NoCredentials {
    /// The secret has another format.
    #[error(r#"the secret for the Sigfox API is not of the form {{"login": "...", "password": "..."}}"#)]
    Form,
    /// The secret is still empty, as the template creates it.
    #[error("the secret for the Sigfox API has no login yet: fill in the login and password of an API user")]
    NotFilledIn,
}

/// Selects a page of the list of a device type.
#[derive(Debug, Clone)]
pub struct Query {
    /// The device type.
    pub device_type: String,
    /// Messages from this millisecond on.
    pub since: u64,
    /// Messages before this millisecond.
    pub before: u64,
    /// The number of newest items to skip.
    pub offset: u64,
}

/// A page of the list.
#[derive(Debug)]
pub struct Page {
    /// Its items, newest first.
    pub items: Vec<Value>,
    /// True if another page follows.
    pub more: bool,
}

/// The page could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The credentials are wrong or lack a permission. A retry would fail too.
    #[error(
        "Sigfox answers {0}: the API user in the secret is wrong, or has no right to read the device type's messages"
    )]
    Credentials(StatusCode),
    /// The request is wrong. A retry would fail too.
    #[error("Sigfox answers {0}: the API's URL or the device type is wrong")]
    Refused(StatusCode),
    /// Sigfox has an internal error or limits the rate: retry later.
    #[error("Sigfox answers {status}")]
    Later {
        /// The status of the response.
        status: StatusCode,
        /// The pause that Sigfox requests.
        retry_after: Option<Duration>,
    },
    /// No response, or an incomplete one.
    #[error("Sigfox cannot be reached")]
    Unreached(#[source] Box<ureq::Error>),
    /// The response is not a page.
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
    /// Uses the API at this URL.
    pub fn new(url: ApiUrl) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Do not follow redirections: they could send the credentials to any host. A redirection is an error.
            .max_redirects(0)
            .max_redirects_will_error(false);
        let turn = Arc::new(Mutex::new(Instant::now()));
        Self {
            agent: config.build().into(),
            url,
            attempt: ATTEMPT_TIMEOUT,
            every: REQUEST_INTERVAL,
            turn,
            requests: Arc::default(),
        }
    }

    /// Replaces the time-out of an attempt.
    #[must_use]
    pub fn waiting(self, attempt: Duration) -> Self {
        Self { attempt, ..self }
    }

    /// Replaces the pause between requests.
    #[must_use]
    pub fn every(self, every: Duration) -> Self {
        Self { every, ..self }
    }

    /// Returns when the next request may be made, for all device types together, and reserves that time.
    pub fn turn(&self) -> Instant {
        Instant::now().max(*self.turn.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the number of requests since the last call.
    pub fn take_requests(&self) -> usize {
        self.requests.swap(0, Ordering::Relaxed)
    }

    /// Fetches a page. Retries transient errors with growing, jittered pauses until the deadline.
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
            // Full jitter, but at least the pause that Sigfox requests. That may be any number, so nothing is added to
            // it.
            let Some(least) = error.wait() else { return Err(error) };
            let pause_now = pause.mul_f64(fastrand::f64()).max(least);
            if pause_now >= deadline.saturating_duration_since(Instant::now()) || self.turn() >= deadline {
                return Err(error);
            }
            tracing::warn!(device_type = query.device_type, reason = %error, "retrying the request to Sigfox");
            sleep(pause_now).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Makes one request. The client blocks, so it runs on a separate thread: the runtime's only thread must keep the
    /// time.
    async fn ask(&self, query: &Query, credentials: &Credentials, deadline: Instant) -> Result<Page, ApiError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + self.every;
        let timeout = self.attempt.min(deadline.saturating_duration_since(Instant::now()));
        let (api, query, credentials) = (self.clone(), query.clone(), credentials.clone());
        let response = tokio::task::spawn_blocking(move || api.ask_and_wait(&query, &credentials, timeout));
        response.await.unwrap_or_else(|e| Err(unreached(ureq::Error::Other(e.into()))))
    }

    /// Makes one request, and blocks. Always builds the URL itself. The response's link to the next page only shows
    /// that there is one: to follow it could send the credentials to another host.
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

/// Reads `Retry-After` in seconds. A date is ignored; then only this client's own pauses apply.
fn later(answer: &Response<Body>, status: StatusCode) -> ApiError {
    let seconds = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    ApiError::Later { status, retry_after: seconds.map(Duration::from_secs) }
}

fn unreached(error: ureq::Error) -> ApiError {
    ApiError::Unreached(Box::new(error))
}

impl ApiError {
    /// Returns the minimum pause before a retry; `None` if a retry cannot help.
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
