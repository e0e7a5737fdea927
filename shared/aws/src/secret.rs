//! Reads secrets from Secrets Manager. Secrets are never configured by value and never logged.

use aws_config::retry::RetryConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Builder;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use pulsegate_pipeline::ports::{Secret, SecretError};

use crate::cause::cause;

/// Secrets Manager.
#[derive(Debug, Clone)]
pub struct SecretStore {
    client: Client,
}

/// A secret that may have been rotated recently.
#[derive(Debug, Clone)]
pub struct RotatingSecret {
    store: SecretStore,
    id: String,
}

/// Secrets Manager's stages of the current version and of the previous one.
/// (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html>)
const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

impl SecretStore {
    /// The actions that the template must grant on the secret.
    pub const ACTIONS: &[&str] = &["secretsmanager:GetSecretValue"];

    /// Reads secrets of this account and region.
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        // A few reads, which no caller retries, so the SDK's own retries are correct here.
        let config = Builder::from(config).retry_config(RetryConfig::standard()).build();
        Self { client: Client::from_conf(config) }
    }

    /// Returns the current text of a secret, by name or ARN.
    ///
    /// # Errors
    /// [`SecretError`] if it does not exist, is not a text, or may not be read.
    pub async fn read(&self, id: &str) -> Result<String, SecretError> {
        let error = |source| SecretError { id: id.to_owned(), source };
        self.version(id, CURRENT).await?.ok_or_else(|| error("it does not exist".into()))
    }

    /// Returns the version with this stage; `None` if there is no such version.
    async fn version(&self, id: &str, stage: &str) -> Result<Option<String>, SecretError> {
        let error = |source| SecretError { id: id.to_owned(), source };
        match self.client.get_secret_value().secret_id(id).version_stage(stage).send().await {
            Ok(answer) => answer.secret_string.ok_or_else(|| error("it has no text".into())).map(Some),
            Err(e) if e.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception) => {
                Ok(None)
            }
            Err(e) => Err(error(cause(&e).into())),
        }
    }
}

impl RotatingSecret {
    /// The actions that the template must grant on the secret.
    pub const ACTIONS: &[&str] = SecretStore::ACTIONS;

    /// Reads the secret with this name or ARN.
    pub fn new(config: &aws_config::SdkConfig, id: impl Into<String>) -> Self {
        Self { store: SecretStore::new(config), id: id.into() }
    }
}

impl Secret for RotatingSecret {
    async fn versions(&self) -> Result<Vec<String>, SecretError> {
        let (current, previous) = tokio::join!(self.store.read(&self.id), self.store.version(&self.id, PREVIOUS));
        Ok([Some(current?), previous?].into_iter().flatten().collect())
    }
}
