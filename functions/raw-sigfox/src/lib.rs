//! `ProcessRawDataSigfox` -> the raw table -> `ProcessPulseDataSigfox`.
//!
//! The work is [`shared::raw`]; this crate says what the records are and how they are answered.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use shared::batch::{self, NoId};
use shared::ports::{Queue, Table};
use shared::raw::RawStage;
use tokio::time::Instant;

/// Who counts, and who says in quarantine why a record is there.
pub const STAGE: &str = "raw-sigfox";

/// Handles an SQS batch, and names in the answer what is to come back.
///
/// # Errors
/// [`NoId`] when a record could not be named in the answer; then all of them come back.
pub async fn handle(
    event: SqsEvent,
    stage: &RawStage<impl Table, impl Queue>,
    deadline: Instant,
) -> Result<SqsBatchResponse, NoId> {
    let records = batch::from_sqs(event)?;
    let outcome = stage.run(STAGE, &records, deadline).await;
    outcome.counts.emit(STAGE);
    Ok(batch::sqs_response(&records, &outcome.failed))
}
