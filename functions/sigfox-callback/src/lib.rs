//! `/sigfox/{profile}/{kind}` -> `ProcessRawDataSigfox`. Requests to all other paths arrive here too, so that a mistyped
//! callback is found.
//!
//! Sigfox repeats a callback that is not answered with 2xx within 10 s three times, and then never again. So the
//! function stores every callback, readable or not, and answers 2xx; it answers 5xx only if it could not store it.
//!
//! # Layout
//!
//! - [`request`]: the request and response of API Gateway.
//! - [`cached`]: caches the secrets.
//! - [`auth`]: authenticates callbacks. Everything after it takes an [`auth::Authenticated`] request.
//! - [`refusals`]: logs and counts what is refused.
//! - `downlinks`: answers downlink requests.
//!
//! [`pulsegate_pipeline::sigfox`] parses the callbacks.

use std::borrow::Cow;
use std::error::Error as _;
use std::str::FromStr;

use ipnet::IpNet;
use pulsegate_pipeline::config::{ConfigError, EnvSettings};
use pulsegate_pipeline::deadline::leaving_time;
use pulsegate_pipeline::downlink::Downlinks;
use pulsegate_pipeline::ports::{Queue, Secret};
use pulsegate_pipeline::sigfox;
use pulsegate_pipeline::sigfox::{Content, Route, RouteError};
use pulsegate_pipeline::telemetry::OutcomeCounts;
use tokio::time::Instant;

pub mod auth;
pub mod cached;
mod downlinks;
pub mod refusals;
pub mod request;

use auth::{Rules, Secrets, Unauthenticated};
use cached::Cached;
use refusals::Refusals;
use request::{Request, Response};

/// The part name in metrics and the stage name in quarantine records.
const STAGE: &str = "sigfox-callback";

/// The longest accepted request, body and query. A callback has less than 1 KB; this allows thousands of messages in
/// one, and still fits, escaped, into one message of the quarantine queue (1 MiB).
pub const MAX_CONTENT: usize = 256 * 1024;

/// The methods that the Sigfox back end offers.
const METHODS: &str = "GET, POST, PUT";

/// The settings of the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `RAW_QUEUE_URL`.
    pub raw_queue: String,
    /// `QUARANTINE_QUEUE_URL`.
    pub quarantine_queue: String,
    /// `CALLBACK_SECRET_ID`: name or ARN of the secret that callbacks carry.
    pub secret_id: String,
    /// `DOWNLINK_TABLE`: the table of downlinks.
    pub downlink_table: String,
    /// `SECRET_HEADER`: a header that may carry the secret, besides `Authorization`.
    pub secret_header: Option<String>,
    /// `SOURCE_RANGES`: allowed source addresses, as comma-separated ranges; all if not set.
    pub source_ranges: Ranges,
}

/// Ranges of addresses, `185.110.96.0/22,2001:db8::/32`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges(pub Vec<IpNet>);

impl FromStr for Ranges {
    type Err = ipnet::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').map(|range| range.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn from_settings(settings: &EnvSettings<'_>) -> Result<Self, ConfigError> {
        let raw_queue = settings.required("RAW_QUEUE_URL");
        let quarantine_queue = settings.required("QUARANTINE_QUEUE_URL");
        let secret_id = settings.required("CALLBACK_SECRET_ID");
        let downlink_table = settings.required("DOWNLINK_TABLE");
        let secret_header = settings.optional("SECRET_HEADER");
        let source_ranges = settings.optional("SOURCE_RANGES");
        settings.complete()?;
        Ok(Self {
            raw_queue: raw_queue?,
            quarantine_queue: quarantine_queue?,
            secret_id: secret_id?,
            downlink_table: downlink_table?,
            secret_header: secret_header?,
            source_ranges: source_ranges?.unwrap_or_default(),
        })
    }

    /// Returns the authentication rules.
    pub fn rules(&self) -> Rules {
        Rules { secret_header: self.secret_header.clone(), sources: self.source_ranges.0.clone() }
    }
}

/// The function's secrets, rules and ports.
#[derive(Debug)]
pub struct Callback<S, Q, D> {
    /// The secrets that callbacks carry.
    pub secrets: Cached<S>,
    /// The authentication rules.
    pub rules: Rules,
    /// The log of refused requests.
    pub refusals: Refusals,
    /// The queue of the next stage.
    pub raw: Q,
    /// Content that cannot be parsed.
    pub quarantine: Q,
    /// The downlinks.
    pub downlinks: D,
}

/// Why a request is rejected. The sender gets only the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 401.
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
    /// 404.
    #[error(transparent)]
    Unrouted(#[from] RouteError),
    /// 405.
    #[error("the method is not one of {METHODS}")]
    Method,
    /// 413.
    #[error("body and query are longer than {MAX_CONTENT} bytes")]
    TooLarge,
}

/// Handles a callback and returns its response.
pub async fn handle(
    request: &Request,
    callback: &Callback<impl Secret, impl Queue, impl Downlinks>,
    deadline: Instant,
) -> Response {
    let began = Instant::now();
    let secrets = callback.secrets.get().await;
    let (response, counts) = match admit(request, callback, &secrets) {
        Ok(admitted) => keep(&admitted, callback, deadline).await,
        Err(refusal) => {
            callback.refusals.note(request, refusal, &secrets);
            (refusal.response(), OutcomeCounts { received: 1, refused: 1, ..OutcomeCounts::default() })
        }
    };
    counts.emit(STAGE, 1, began);
    response
}

/// A request that may be stored.
struct Admitted<'a> {
    route: Route,
    body: Cow<'a, [u8]>,
    query: Cow<'a, str>,
}

/// Checks a request, credentials first: an unauthenticated sender learns nothing else.
fn admit<'a, S, Q, D>(
    request: &'a Request,
    callback: &Callback<S, Q, D>,
    secrets: &Secrets,
) -> Result<Admitted<'a>, Refusal> {
    let request = callback.rules.check(request, secrets)?.request();
    let route = route(request)?;
    let (body, query) = (request.body(), request.query(callback.rules.secret_header.as_deref()));
    if body.len() + query.len() > MAX_CONTENT {
        return Err(Refusal::TooLarge);
    }
    Ok(Admitted { route, body, query })
}

/// Returns the route of a request. API Gateway has matched path and method of one with both path parameters; it passes
/// any other request on as it is.
fn route(request: &Request) -> Result<Route, Refusal> {
    let (profile, kind) = (request.path_parameter("profile"), request.path_parameter("kind"));
    if !profile.is_empty() && !kind.is_empty() {
        return Ok(Route::named(profile, kind)?);
    }
    let route = Route::of_path(request.path())?;
    if METHODS.split(", ").any(|method| method == request.method()) { Ok(route) } else { Err(Refusal::Method) }
}

/// Enqueues the content, readable or not, and only then answers 2xx.
async fn keep(
    admitted: &Admitted<'_>,
    callback: &Callback<impl Secret, impl Queue, impl Downlinks>,
    deadline: Instant,
) -> (Response, OutcomeCounts) {
    let content = Content { body: &admitted.body, query: &admitted.query, extra: Vec::new() };
    let messages = sigfox::read(STAGE, admitted.route.kind, admitted.route.profile, &content);
    for uplink in &messages.uplinks {
        tracing::debug!(device = %uplink.device, uplink = %uplink.key(), "received");
    }
    let counts = sigfox::enqueue(&messages, &callback.raw, &callback.quarantine, leaving_time(deadline)).await;
    if counts.given_back > 0 {
        tracing::error!("failed to enqueue the whole callback; Sigfox repeats it at most three times");
        return (Response::empty(503), counts);
    }
    let answer = downlinks::serve(&messages, &callback.downlinks, deadline).await.unwrap_or_else(|e| {
        let reason = e.source().map(ToString::to_string);
        tracing::error!(
            reason,
            "the table of downlinks is not available; Sigfox repeats the callback at most three times"
        );
        Response::empty(503)
    });
    (answer, counts)
}

impl Refusal {
    fn response(self) -> Response {
        match self {
            Self::Unauthenticated(_) => Response::empty(401),
            Self::Unrouted(_) => Response::empty(404),
            Self::Method => Response::method_not_allowed(METHODS),
            Self::TooLarge => Response::empty(413),
        }
    }
}

#[cfg(test)]
mod tests;
