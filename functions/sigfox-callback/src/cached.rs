//! Caches the callback secrets.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pulsegate_pipeline::ports::Secret;
use tokio::time::{Instant, timeout};

use crate::auth::Secrets;

/// Lifetime of cached secrets. A rotation takes effect within this time in every instance of the function.
pub const FRESH: Duration = Duration::from_mins(5);

/// Time until the next attempt after a failed read.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// Time-out of a read. Longer than a read takes; Sigfox waits meanwhile.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// The cached secrets and their source.
#[derive(Debug)]
pub struct Cached<S> {
    source: S,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    secrets: Arc<Secrets>,
    until: Instant,
}

/// The secrets cannot be read for the first time.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The source returned an error.
    #[error(transparent)]
    Unreadable(#[from] pulsegate_pipeline::ports::SecretError),
    /// The secret is empty.
    #[error(transparent)]
    Empty(#[from] crate::auth::EmptySecret),
    /// The source did not respond in time.
    #[error("no response within {READ_TIMEOUT:?}")]
    Late,
}

impl<S: Secret> Cached<S> {
    /// Reads the secrets for the first time.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub async fn read(source: S) -> Result<Self, SecretsError> {
        let secrets = secrets_of(&source).await?;
        let held = Held { secrets: Arc::new(secrets), until: Instant::now() + FRESH };
        Ok(Self { source, held: Mutex::new(held) })
    }

    /// Returns the secrets, and reads them again when they are due. Keeps the old ones if that fails: an outage of
    /// Secrets Manager must not cause callbacks to be rejected.
    pub async fn get(&self) -> Arc<Secrets> {
        if Instant::now() >= self.held().until {
            let now = Instant::now();
            match timeout(READ_TIMEOUT, secrets_of(&self.source)).await.unwrap_or(Err(SecretsError::Late)) {
                Ok(secrets) => *self.held() = Held { secrets: Arc::new(secrets), until: now + FRESH },
                Err(reason) => {
                    tracing::error!(%reason, "the secret for callbacks cannot be read again; the old one stays valid");
                    self.held().until = now + RETRY_INTERVAL;
                }
            }
        }
        Arc::clone(&self.held().secrets)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn secrets_of(source: &impl Secret) -> Result<Secrets, SecretsError> {
    Ok(Secrets::new(&source.versions().await?)?)
}
