//! `POST /sigfox/{profile}/uplink` -> `ProcessRawDataSigfox`.
//!
//! Sigfox repeats what is not answered 2xx within 10 s three times, and then never again: so everything that can be
//! kept is kept and answered 2xx, readable or not, and a 5xx is only for "could not keep it".
//!
//! # Layout
//!
//! - [`auth`]: is it Sigfox? Everything after that takes an [`Authenticated`] request.
//! - [`variables`]: the names and values a customer's template sends, read leniently.
//! - [`uplink`]: the uplink they describe.

use lambda_http::http::StatusCode;
use lambda_http::{Request, RequestExt as _};
use shared::config::{ConfigError, Settings};
use shared::device::Network;
use shared::ports::Queue;
use shared::profile::{self, Profile};
use shared::quarantine::Quarantined;
use shared::telemetry::Counts;
use shared::{envelope, uplink::Uplink};
use tokio::time::Instant;

pub mod auth;
pub mod uplink;
pub mod variables;

use auth::{Authenticated, Secret};

/// Who counts, and who says in quarantine why a record is there.
const STAGE: &str = "sigfox-callback";

/// The longest body taken. A callback has under 1 KB; this leaves room for hundreds in one, and still fits, escaped, into
/// one message of the quarantine queue (1 MiB).
const MAX_BODY: usize = 256 * 1024;

/// The settings of the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `RAW_QUEUE_URL`.
    pub raw_queue: String,
    /// `QUARANTINE_QUEUE_URL`.
    pub quarantine_queue: String,
    /// `CALLBACK_SECRET_ID`: name or ARN of the secret that callbacks carry.
    pub secret_id: String,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn from_settings(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            raw_queue: settings.required("RAW_QUEUE_URL")?,
            quarantine_queue: settings.required("QUARANTINE_QUEUE_URL")?,
            secret_id: settings.required("CALLBACK_SECRET_ID")?,
        })
    }
}

/// What the function checks against and writes to.
#[derive(Debug)]
pub struct Callback<Q> {
    /// What callbacks carry to show that they are Sigfox's.
    pub secret: Secret,
    /// The next stage.
    pub raw: Q,
    /// What nobody can read.
    pub quarantine: Q,
}

/// Why a request is turned away at the door, without a word more to the sender than its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 401.
    #[error("credentials are wrong or missing")]
    Unauthorized,
    /// 404.
    #[error("the path names no profile of a Sigfox device")]
    UnknownProfile,
    /// 413.
    #[error("the body is longer than {MAX_BODY} bytes")]
    TooLarge,
}

/// Takes a callback and says how to answer it.
pub async fn handle(request: &Request, callback: &Callback<impl Queue>, deadline: Instant) -> StatusCode {
    let (status, counts) = match admit(request, &callback.secret) {
        Ok(admitted) => keep(&admitted, callback, deadline).await,
        Err(refusal) => {
            tracing::warn!(reason = %refusal, path = request.uri().path(), "refused");
            (refusal.status(), Counts { received: 1, refused: 1, ..Counts::default() })
        }
    };
    counts.emit(STAGE);
    status
}

/// A request that may be kept.
struct Admitted<'a> {
    profile: &'static Profile,
    body: &'a [u8],
}

/// Credentials first: a stranger learns nothing else.
fn admit<'a>(request: &'a Request, secret: &Secret) -> Result<Admitted<'a>, Refusal> {
    let request = Authenticated::check(request, secret).ok_or(Refusal::Unauthorized)?.request();
    let parameters = request.path_parameters();
    let profile = parameters
        .first("profile")
        .and_then(|name| profile::find(Network::Sigfox, name))
        .ok_or(Refusal::UnknownProfile)?;
    if request.body().len() > MAX_BODY {
        return Err(Refusal::TooLarge);
    }
    Ok(Admitted { profile, body: request.body() })
}

/// Enqueues the uplink, or what there is instead, and only then says yes.
async fn keep(admitted: &Admitted<'_>, callback: &Callback<impl Queue>, deadline: Instant) -> (StatusCode, Counts) {
    let (queue, message, kept) = match parse(admitted) {
        Ok(uplink) => {
            tracing::debug!(device = %uplink.device, uplink = %uplink.key(), "received");
            (&callback.raw, envelope::of_one(&uplink), Counts { stored: 1, ..Counts::default() })
        }
        Err(reason) => {
            let record = Quarantined::new(STAGE, &reason, admitted.body).under(admitted.profile.name);
            record.log();
            (&callback.quarantine, record.to_message(), Counts { quarantined: 1, ..Counts::default() })
        }
    };
    let refused = queue.send(&[message], deadline).await;
    if refused.is_empty() {
        (StatusCode::NO_CONTENT, Counts { received: 1, ..kept })
    } else {
        tracing::error!("the queue did not take the message; Sigfox will repeat it three times at most");
        (StatusCode::SERVICE_UNAVAILABLE, Counts { received: 1, given_back: 1, ..Counts::default() })
    }
}

fn parse(admitted: &Admitted<'_>) -> Result<Uplink, uplink::Unreadable> {
    uplink::from_variables(&variables::Variables::from_json(admitted.body)?, admitted.profile)
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::UnknownProfile => StatusCode::NOT_FOUND,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}

#[cfg(test)]
mod tests;
