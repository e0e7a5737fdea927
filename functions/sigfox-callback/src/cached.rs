//! The secrets, as they were not long ago.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pulsegate_pipeline::ports::Secret;
use tokio::time::{Instant, timeout};

use crate::auth::Secrets;

/// How long they are believed. A change shows within that time in every instance of the function.
pub const FRESH: Duration = Duration::from_mins(5);

/// When to try again after they could not be read.
const AGAIN: Duration = Duration::from_secs(30);

/// Longer than a read takes; Sigfox waits meanwhile.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// Secrets and the place they are read from.
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

/// There are none to be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The place says no.
    #[error(transparent)]
    Unreadable(#[from] pulsegate_pipeline::ports::SecretError),
    /// They are none.
    #[error(transparent)]
    Empty(#[from] crate::auth::EmptySecret),
    /// The place says nothing.
    #[error("there is no answer within {READ_TIMEOUT:?}")]
    Late,
}

impl<S: Secret> Cached<S> {
    /// Reads them for the first time.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub async fn read(source: S) -> Result<Self, SecretsError> {
        let secrets = secrets_of(&source).await?;
        let held = Held { secrets: Arc::new(secrets), until: Instant::now() + FRESH };
        Ok(Self { source, held: Mutex::new(held) })
    }

    /// The secrets, read again if it is time. If they cannot be, the old ones stay: that Secrets Manager has trouble is no
    /// reason to turn Sigfox away.
    pub async fn get(&self) -> Arc<Secrets> {
        if Instant::now() >= self.held().until {
            let now = Instant::now();
            match timeout(READ_TIMEOUT, secrets_of(&self.source)).await.unwrap_or(Err(SecretsError::Late)) {
                Ok(secrets) => *self.held() = Held { secrets: Arc::new(secrets), until: now + FRESH },
                Err(reason) => {
                    tracing::error!(%reason, "the secret for callbacks cannot be read again; the old one stays valid");
                    self.held().until = now + AGAIN;
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
