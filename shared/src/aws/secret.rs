//! Reads a secret from Secrets Manager. It is never configured by value and never logged.

use aws_config::retry::RetryConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Builder;
use aws_sdk_secretsmanager::error::BoxError;

/// The secret cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the secret {id}")]
pub struct SecretError {
    id: String,
    #[source]
    source: BoxError,
}

/// Secrets Manager.
#[derive(Debug, Clone)]
pub struct SecretStore {
    client: Client,
}

impl SecretStore {
    /// What the template has to grant on the secret.
    pub const ACTIONS: &[&str] = &["secretsmanager:GetSecretValue"];

    /// The secrets of this account and region.
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        // One read at start, with nobody behind it who would try again: here the SDK's own retries are right.
        let config = Builder::from(config).retry_config(RetryConfig::standard()).build();
        Self { client: Client::from_conf(config) }
    }

    /// The current text of a secret, by name or ARN.
    ///
    /// # Errors
    /// [`SecretError`] when it is absent, not a text, or may not be read.
    pub async fn read(&self, id: &str) -> Result<String, SecretError> {
        let error = |source| SecretError { id: id.to_owned(), source };
        let answer = self.client.get_secret_value().secret_id(id).send().await.map_err(|e| error(e.into()))?;
        answer.secret_string.ok_or_else(|| error("it has no text".into()))
    }
}
