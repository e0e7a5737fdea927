//! What to answer those who asked for a downlink, once their uplinks are durable.
//! (<https://support.sigfox.com/docs/bidir>)

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use pulsegate_model::at::At;
use pulsegate_model::event::DeviceEvent;
use pulsegate_pipeline::downlink;
use pulsegate_pipeline::downlink::{Downlinks, Timeliness, Unavailable};
use pulsegate_pipeline::sigfox::{Asking, Messages};
use serde_json::json;
use tokio::time::Instant;

use crate::request::Response;

/// Devices of one batch that are looked up at once.
const CONCURRENCY: usize = 8;

/// Seconds after an uplink in which its answer can still reach the device. Sigfox repeats a callback a minute after the
/// first time, and the device listens for less. (<https://support.sigfox.com/docs/bidir>)
const LISTENS: i64 = 50;

/// Seconds after an uplink beyond which it is none of Sigfox's repetitions: the last is seven minutes after the first,
/// and the rest is room for a slow network. What is older has a time that is wrong, and gets the benefit of the doubt.
const REPEATED: i64 = 20 * 60;

/// Notes what is told of downlinks, and answers those who asked for one.
///
/// # Errors
/// [`Unavailable`]: the table may or may not have been written to. The callback may be repeated.
pub(crate) async fn serve(
    messages: &Messages,
    downlinks: &impl Downlinks,
    deadline: Instant,
) -> Result<Response, Unavailable> {
    close(&messages.events, downlinks, deadline).await?;
    answer(&messages.asking, downlinks, deadline).await
}

/// The answer: eight bytes for each that asked and for whom some wait, or nothing. It names a device as the callback did.
///
/// When it is not known of one of them, its downlink may be used up: only who asks again can be told which.
async fn answer(asking: &[Asking], downlinks: &impl Downlinks, deadline: Instant) -> Result<Response, Unavailable> {
    let now = now();
    let members: Vec<Option<_>> = stream::iter(newest(asking))
        .map(|asking| async move {
            let timeliness = timeliness(asking.uplink.at(), now);
            let answer = downlink::answer(downlinks, &asking.uplink, timeliness, deadline).await?;
            Ok(answer.map(|bytes| (asking.device.as_str(), json!({"downlinkData": hex::encode(bytes)}))))
        })
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    let members: BTreeMap<&str, serde_json::Value> = members.into_iter().flatten().collect();
    Ok(if members.is_empty() { Response::empty(204) } else { Response::json(json!(members).to_string()) })
}

/// Of each device the uplink it asked with last: the answer names devices, so it has room for one downlink each.
fn newest(asking: &[Asking]) -> Vec<&Asking> {
    let mut newest = BTreeMap::new();
    for asking in asking {
        let known = newest.entry(asking.uplink.device()).or_insert(asking);
        if known.uplink < asking.uplink {
            *known = asking;
        }
    }
    newest.into_values().collect()
}

/// A clock is read for this alone, and nothing of it is stored: where an uplink is late, downlinks stay as they are.
fn timeliness(at: At, now: i64) -> Timeliness {
    if (LISTENS..=REPEATED).contains(&(now - at.unix())) { Timeliness::Late } else { Timeliness::InTime }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().cast_signed()
}

/// Notes what the network says became of downlinks.
async fn close(events: &[DeviceEvent], downlinks: &impl Downlinks, deadline: Instant) -> Result<(), Unavailable> {
    for event in events {
        if let (Some(report), Some(device)) = (&event.details.downlink, event.source.device()) {
            let message = report.message.as_deref().unwrap_or_default();
            downlink::close(downlinks, device, event.at, report.code, message, deadline).await?;
        }
    }
    Ok(())
}
