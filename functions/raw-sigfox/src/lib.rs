//! `ProcessRawDataSigfox` -> the raw table -> `ProcessPulseDataSigfox`, and device events -> their table.
//!
//! The work is [`pulsegate_pipeline::raw`]; this crate says what the records are and how they are answered.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use pulsegate_aws::lambda::{self, MissingId};
use pulsegate_pipeline::config::{ConfigError, EnvSettings, RawConfig};
use pulsegate_pipeline::ports::{EventStore, Queue, RawStore};
use pulsegate_pipeline::raw::RawStage;
use tokio::time::Instant;

/// Who counts, and who says in quarantine why a record is there.
pub const STAGE: &str = "raw-sigfox";

/// The settings of the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What both raw stages have.
    pub raw: RawConfig,
    /// `EVENTS_TABLE`: where device events go.
    pub events_table: String,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn from_settings(settings: &EnvSettings<'_>) -> Result<Self, ConfigError> {
        Ok(Self { raw: RawConfig::from_settings(settings)?, events_table: settings.required("EVENTS_TABLE")? })
    }
}

/// Handles an SQS batch, and names in the answer what is to come back.
///
/// # Errors
/// [`MissingId`] when a record could not be named in the answer; then all of them come back.
pub async fn handle(
    event: SqsEvent,
    stage: &RawStage<impl RawStore, impl EventStore, impl Queue>,
    deadline: Instant,
) -> Result<SqsBatchResponse, MissingId> {
    let began = Instant::now();
    let records = lambda::from_sqs(event)?;
    let outcome = stage.run(STAGE, &records, deadline).await;
    outcome.counts.emit(STAGE, records.len(), began);
    Ok(lambda::sqs_response(&records, &outcome.failed))
}
