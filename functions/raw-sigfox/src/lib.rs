//! `ProcessRawDataSigfox` -> the archive -> `ProcessPulseDataSigfox`, and device events -> their table.
//!
//! The work is [`pulsegate_pipeline::raw`]; this crate connects it to Lambda's SQS events.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use pulsegate_aws::lambda::{self, MissingId};
use pulsegate_pipeline::config::{ConfigError, EnvSettings, RawConfig};
use pulsegate_pipeline::ports::{EventStore, Queue, RawStore};
use pulsegate_pipeline::raw::RawStage;
use tokio::time::Instant;

/// The part name in metrics and the stage name in quarantine records.
pub const STAGE: &str = "raw-sigfox";

/// The settings of the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The settings of both raw stages.
    pub raw: RawConfig,
    /// `EVENTS_TABLE`: the table of device events.
    pub events_table: String,
    /// `EVENT_RETENTION_DAYS`: the table keeps an event for so many days after its arrival.
    pub event_retention_days: u32,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn from_settings(settings: &EnvSettings<'_>) -> Result<Self, ConfigError> {
        let raw = RawConfig::from_settings(settings);
        let events_table = settings.required("EVENTS_TABLE");
        let event_retention_days = settings.required("EVENT_RETENTION_DAYS");
        settings.complete()?;
        Ok(Self { raw: raw?, events_table: events_table?, event_retention_days: event_retention_days? })
    }
}

/// Handles an SQS batch, and names the failed records in the response.
///
/// # Errors
/// [`MissingId`] if a record cannot be named in the response; then all records are delivered again.
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
