//! `ProcessRawDataNbiot` -> the archive -> `ProcessPulseDataNbiot`.
//!
//! The work is [`pulsegate_pipeline::raw`]; this crate connects it to Lambda's Kinesis events. It accepts every record
//! that the shard delivers, whatever its hash key.

use aws_lambda_events::event::kinesis::KinesisEvent;
use aws_lambda_events::event::streams::KinesisEventResponse;
use pulsegate_aws::lambda::{self, MissingId};
use pulsegate_pipeline::ports::{EventStore, Queue, RawStore};
use pulsegate_pipeline::raw::RawStage;
use tokio::time::Instant;

/// The part name in metrics and the stage name in quarantine records.
pub const STAGE: &str = "raw-nbiot";

/// Handles a Kinesis batch, and names the first failed record in the response.
///
/// # Errors
/// [`MissingId`] if a record cannot be named in the response; then all records are delivered again.
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
