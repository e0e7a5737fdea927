//! Answers downlink requests once their uplinks are durable.
//! (<https://support.sigfox.com/docs/bidir>)

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use pulsegate_model::at::At;
use pulsegate_model::event::DeviceEvent;
use pulsegate_pipeline::downlink;
use pulsegate_pipeline::downlink::{Downlinks, Timeliness, Unavailable};
use pulsegate_pipeline::sigfox::{DownlinkRequest, Messages};
use serde_json::json;
use tokio::time::Instant;

use crate::request::Response;

/// Concurrent lookups for the devices of one batch.
const CONCURRENCY: usize = 8;

/// Seconds after an uplink within which its answer can reach the device. The device listens for less than a minute;
/// Sigfox's first repetition of a callback comes after a minute. (<https://support.sigfox.com/docs/bidir>)
const LISTENING_SECONDS: i64 = 50;

/// Seconds after an uplink beyond which its callback is not a repetition by Sigfox: the last repetition is seven
/// minutes after the first callback, and the rest allows for a slow network. The time of an older uplink must be wrong,
/// so it counts as in time.
const MAX_REPETITION_SECONDS: i64 = 20 * 60;

/// Stores reported outcomes of downlinks, and answers the downlink requests.
///
/// # Errors
/// [`Unavailable`]: the table may or may not have been written. Repeating the callback is safe.
pub(crate) async fn serve(
    messages: &Messages,
    downlinks: &impl Downlinks,
    deadline: Instant,
) -> Result<Response, Unavailable> {
    close(&messages.events, downlinks, deadline).await?;
    answer(&messages.downlink_requests, downlinks, deadline).await
}

/// Builds the response: eight bytes for each requesting device with a pending downlink; 204 if there are none. Spells
/// device IDs as the callback did.
///
/// Fails if one lookup fails, because that device's downlink may already be assigned: the repeated callback gets it
/// again.
async fn answer(
    requests: &[DownlinkRequest],
    downlinks: &impl Downlinks,
    deadline: Instant,
) -> Result<Response, Unavailable> {
    let now = now();
    let members: Vec<Option<_>> = stream::iter(newest(requests))
        .map(|request| async move {
            let timeliness = timeliness(request.uplink.at(), now);
            let answer = downlink::answer(downlinks, &request.uplink, timeliness, now, deadline).await?;
            Ok(answer.map(|bytes| (request.device.as_str(), json!({"downlinkData": hex::encode(bytes)}))))
        })
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    let members: BTreeMap<&str, serde_json::Value> = members.into_iter().flatten().collect();
    Ok(if members.is_empty() { Response::empty(204) } else { Response::json(json!(members).to_string()) })
}

/// Returns the newest request of each device: the response has one downlink per device.
fn newest(requests: &[DownlinkRequest]) -> Vec<&DownlinkRequest> {
    let mut newest = BTreeMap::new();
    for request in requests {
        let known = newest.entry(request.uplink.device()).or_insert(request);
        if known.uplink < request.uplink {
            *known = request;
        }
    }
    newest.into_values().collect()
}

/// The result is not stored: a late uplink leaves pending downlinks unchanged.
fn timeliness(at: At, now: At) -> Timeliness {
    if (LISTENING_SECONDS..=MAX_REPETITION_SECONDS).contains(&(now.unix() - at.unix())) {
        Timeliness::Late
    } else {
        Timeliness::InTime
    }
}

fn now() -> At {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    At::from_unix(since_1970.as_secs().cast_signed()).unwrap_or(At::EPOCH)
}

/// Stores the outcomes of downlinks that the network reports.
async fn close(events: &[DeviceEvent], downlinks: &impl Downlinks, deadline: Instant) -> Result<(), Unavailable> {
    for event in events {
        if let (Some(report), Some(device)) = (&event.details.downlink, event.source.device()) {
            let message = report.message.as_deref().unwrap_or_default();
            downlink::close(downlinks, device, event.at, report.code, message, deadline).await?;
        }
    }
    Ok(())
}
