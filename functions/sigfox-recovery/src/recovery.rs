//! Runs a pass for each device type.

use std::time::Duration;

use pulsegate_pipeline::ports::{Queue, Unfinished, Watermark, WatermarkError, Watermarks};
use pulsegate_pipeline::sigfox;
use pulsegate_pipeline::sigfox::Messages;
use pulsegate_pipeline::telemetry::{self, Metrics};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::STAGE;
use crate::api::{Api, ApiError, Credentials, Query};
use crate::config::DeviceTypes;
use crate::item::{self, Item};
use crate::window::{self, Reach};

/// Time reserved to enqueue the last page.
const ENQUEUE_BUDGET: Duration = Duration::from_secs(5);

/// Time reserved to enqueue the last page and to store the watermark.
const SAVE_BUDGET: Duration = Duration::from_secs(10);

/// The function's settings and ports.
#[derive(Debug)]
pub struct Recovery<W, Q> {
    /// The Sigfox API.
    pub api: Api,
    /// The device types whose missed callbacks are fetched.
    pub device_types: DeviceTypes,
    /// The limits of the time window.
    pub reach: Reach,
    /// The progress for each device type.
    pub watermarks: W,
    /// The queue of the stage after the callback.
    pub raw: Q,
    /// Items and callbacks that cannot be parsed.
    pub quarantine: Q,
}

/// Counts of found messages by outcome. `found` is the sum of the next four.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Messages that Sigfox could not deliver, and items that are not messages for this stack.
    pub found: usize,
    /// Durable in the queue of the live callbacks.
    pub recovered: usize,
    /// Unreadable, and durable in quarantine.
    pub quarantined: usize,
    /// Other callbacks of the same device types, not for this stack.
    pub foreign: usize,
    /// Not durable now; the next run finds them again.
    pub given_back: usize,
    /// Requests to Sigfox.
    pub requests: usize,
    /// Lag in seconds of the device type that is furthest behind: all older callbacks have been fetched.
    #[serde(skip)]
    pub lag: Option<u64>,
}

/// The passes of some device types failed. The log has the reasons.
#[derive(Debug, thiserror::Error)]
#[error("failed to fetch all missed callbacks of these device types: {}; the next run continues", .0.join(", "))]
pub struct Failed(Vec<String>);

/// Why a pass did not finish. What it made durable stays durable, and the next run continues after that.
#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Watermark(#[from] WatermarkError),
    #[error("{0} messages could not be enqueued")]
    GivenBack(usize),
}

/// Runs a pass for each device type; a failed pass does not affect the others. `now` is in milliseconds since 1970.
///
/// # Errors
/// [`Failed`], naming the device types whose pass failed, so that the invocation counts as failed.
pub async fn handle<W: Watermarks, Q: Queue>(
    recovery: &Recovery<W, Q>,
    credentials: &Credentials,
    now: u64,
    deadline: Instant,
) -> Result<Tally, Failed> {
    let mut tally = Tally::default();
    let mut failed = Vec::new();
    for (done, device_type) in recovery.device_types.iter().enumerate() {
        let until = share(deadline, recovery.device_types.iter().len() - done);
        let pass = Pass { recovery, credentials, device_type, now, until };
        if let Err(error) = pass.run(&mut tally).await {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(device_type, reason = %error, cause, "failed to fetch missed callbacks");
            failed.push(device_type.to_owned());
        }
    }
    tally.requests = recovery.api.take_requests();
    tally.emit();
    if failed.is_empty() { Ok(tally) } else { Err(Failed(failed)) }
}

/// Divides the remaining time equally among the remaining device types, so that none uses up the time of the others.
fn share(deadline: Instant, left: usize) -> Instant {
    let now = Instant::now();
    let time = deadline.saturating_duration_since(now).saturating_sub(SAVE_BUDGET);
    now + time / u32::try_from(left).unwrap_or(u32::MAX).max(1)
}

struct Pass<'a, W, Q> {
    recovery: &'a Recovery<W, Q>,
    credentials: &'a Credentials,
    device_type: &'a str,
    now: u64,
    until: Instant,
}

impl<W: Watermarks, Q: Queue> Pass<'_, W, Q> {
    async fn run(&self, tally: &mut Tally) -> Result<(), PassError> {
        let Recovery { reach, watermarks, .. } = self.recovery;
        let kept = watermarks.get(self.device_type, self.until + SAVE_BUDGET).await?;
        let mut watermark = kept.unwrap_or_else(|| reach.first(self.now));
        let result = self.resume(&mut watermark, tally).await;
        let lag = self.now.saturating_sub(watermark.since) / 1000;
        tally.lag = tally.lag.max(Some(lag));
        result
    }

    /// Fetches and enqueues page by page, and advances the watermark only after that. If two runs overlap, each still
    /// stores a correct watermark: everything before it is durable.
    async fn resume(&self, watermark: &mut Watermark, tally: &mut Tally) -> Result<(), PassError> {
        let Recovery { api, reach, watermarks, .. } = self.recovery;
        let mut pass = reach.pass(watermark, self.now);
        while let Some(Unfinished { before, offset }) = pass {
            if api.turn() >= self.until {
                tracing::warn!(device_type = self.device_type, offset, "out of time; the next run continues here");
                break;
            }
            let query = Query { device_type: self.device_type.to_owned(), since: watermark.since, before, offset };
            let page = api.page(&query, self.credentials, self.until).await?;
            self.redeliver(&page.items, tally).await?;
            let further = window::after(watermark, Unfinished { before, offset }, page.items.len() as u64, page.more);
            watermarks.set(self.device_type, &further, self.until + SAVE_BUDGET).await?;
            *watermark = further;
            pass = further.unfinished;
        }
        Ok(())
    }

    /// Enqueues a page like live callbacks. Answers no downlink requests: the devices have stopped listening.
    async fn redeliver(&self, items: &[Value], tally: &mut Tally) -> Result<(), PassError> {
        let Recovery { raw, quarantine, .. } = self.recovery;
        let mut messages = Messages::default();
        let mut foreign = 0;
        for item in items {
            match item::read(item) {
                Item::Missed(missed) => {
                    let read = missed.read();
                    messages.uplinks.extend(read.uplinks);
                    messages.events.extend(read.events);
                    messages.unreadable.extend(read.unreadable);
                }
                Item::Foreign => foreign += 1,
                Item::Unreadable(record) => messages.unreadable.push(*record),
            }
        }
        let counts = sigfox::enqueue(&messages, raw, quarantine, self.until + ENQUEUE_BUDGET).await;
        tally.found += counts.received + foreign;
        tally.recovered += counts.stored;
        tally.quarantined += counts.quarantined;
        tally.foreign += foreign;
        tally.given_back += counts.given_back;
        if counts.given_back == 0 { Ok(()) } else { Err(PassError::GivenBack(counts.given_back)) }
    }
}

impl Tally {
    fn emit(&self) {
        let lag = self.lag.map_or_else(|| json!({}), |lag| json!({ "lag": lag }));
        let values = [("Count", json!(self)), ("Seconds", lag)];
        telemetry::emit(&Metrics { part: STAGE, values: &values, properties: json!({}) });
    }
}
