//! Sends records that cannot be parsed to quarantine.

use pulsegate_model::quarantine::Quarantined;
use tokio::time::Instant;

use crate::ports::{Queue, Refused};

/// Logs the records, without their payloads, and sends them to the quarantine queue.
pub async fn send(queue: &impl Queue, records: &[Quarantined], deadline: Instant) -> Refused {
    records.iter().for_each(log);
    let messages: Vec<String> = records.iter().map(Quarantined::to_message).collect();
    queue.send(&messages, deadline).await
}

fn log(record: &Quarantined) {
    let reason = record.logged();
    let device = record.device().map(|device| device.to_string());
    let (stage, codec, profile) = (record.stage(), record.codec(), record.profile());
    tracing::warn!(
        stage,
        reason,
        codec,
        profile,
        callback = record.callback(),
        device,
        uplink = record.uplink(),
        listener = record.listener(),
        sender = record.sender(),
        "quarantined"
    );
}
