//! `ProcessRawDataNbiot` -> the raw table -> `ProcessPulseDataNbiot`.
//!
//! The work is [`pulsegate_pipeline::raw`]; this crate says what the records are and how they are answered. Every record that the
//! shard delivers is taken, whatever its hash key.

use aws_lambda_events::event::kinesis::KinesisEvent;
use aws_lambda_events::event::streams::KinesisEventResponse;
use pulsegate_aws::lambda::{self, MissingId};
use pulsegate_pipeline::ports::{EventStore, Queue, RawStore};
use pulsegate_pipeline::raw::RawStage;
use tokio::time::Instant;

/// Who counts, and who says in quarantine why a record is there.
pub const STAGE: &str = "raw-nbiot";

/// Handles a Kinesis batch, and names in the answer what is to come back.
///
/// # Errors
/// [`MissingId`] when a record could not be named in the answer; then all of them come back.
pub async fn handle(
    event: KinesisEvent,
    stage: &RawStage<impl RawStore, impl EventStore, impl Queue>,
    deadline: Instant,
) -> Result<KinesisEventResponse, MissingId> {
    let began = Instant::now();
    let records = lambda::from_kinesis(event)?;
    let outcome = stage.run(STAGE, &records, deadline).await;
    outcome.counts.emit(STAGE, records.len(), began);
    Ok(lambda::kinesis_response(&records, &outcome.failed))
}
