//! What to answer those who asked for a downlink, once their uplinks are durable.
//! (<https://support.sigfox.com/docs/bidir>)

use std::collections::BTreeMap;
use std::error::Error as _;

use futures_util::{StreamExt as _, stream};
use serde_json::json;
use shared::downlink;
use shared::event::DeviceEvent;
use shared::ports::{Downlinks, Unavailable};
use shared::sigfox::Asking;
use tokio::time::Instant;

use crate::request::Response;

/// Devices of one batch that are looked up at once.
const CONCURRENCY: usize = 8;

/// The answer: eight bytes for each that asked and for whom some wait, or nothing. It names a device as the callback did.
///
/// One whose downlink cannot be looked up is told nothing: its uplink is durable, and the downlink waits for the next.
pub(crate) async fn answer(asking: &[Asking], downlinks: &impl Downlinks, deadline: Instant) -> Response {
    let bytes: Vec<Option<_>> = stream::iter(asking)
        .map(|asking| async {
            let answer = downlink::answer(downlinks, &asking.uplink, deadline).await;
            let answer = answer.unwrap_or_else(|e| {
                let reason = e.source().map(ToString::to_string);
                tracing::error!(device = %asking.uplink.device(), reason, "a device asked for a downlink in vain");
                None
            });
            answer.map(|bytes| (asking.device.as_str(), json!({"downlinkData": hex::encode(bytes)})))
        })
        .buffered(CONCURRENCY)
        .collect()
        .await;
    let members: BTreeMap<&str, serde_json::Value> = bytes.into_iter().flatten().collect();
    if members.is_empty() { Response::empty(204) } else { Response::json(json!(members).to_string()) }
}

/// Notes what the network says became of downlinks.
pub(crate) async fn close(
    events: &[DeviceEvent],
    downlinks: &impl Downlinks,
    deadline: Instant,
) -> Result<(), Unavailable> {
    for event in events {
        if let (Some(report), Some(device)) = (&event.says.downlink, event.source.device()) {
            let message = report.message.as_deref().unwrap_or_default();
            downlink::close(downlinks, device, event.at, report.code, message, deadline).await?;
        }
    }
    Ok(())
}
