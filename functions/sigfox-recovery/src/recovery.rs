//! A pass for each device type.

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

/// Left, when no more is asked for, to enqueue the last page.
const ENQUEUEING: Duration = Duration::from_secs(5);

/// Left for that and for storing that it is.
const SAVING: Duration = Duration::from_secs(10);

/// What the function asks and writes to.
#[derive(Debug)]
pub struct Recovery<W, Q> {
    /// Sigfox.
    pub api: Api,
    /// Scope missed callbacks are fetched.
    pub device_types: DeviceTypes,
    /// How near and how far it looks.
    pub reach: Reach,
    /// How far it has come.
    pub watermarks: W,
    /// The stage after the callback.
    pub raw: Q,
    /// What nobody can read.
    pub quarantine: Q,
}

/// What became of what was found. `found` is the sum of the next four.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Messages that Sigfox could not deliver, and items that turned out to be none.
    pub found: usize,
    /// Durable in the queue that live callbacks go to.
    pub recovered: usize,
    /// Not understood, and durable in quarantine.
    pub quarantined: usize,
    /// Not for this stack: other callbacks of the same device types.
    pub foreign: usize,
    /// Not durable now; the next run finds them again.
    pub given_back: usize,
    /// Requests to Sigfox.
    pub requests: usize,
    /// Seconds, of the device type that is furthest behind: all that is older has been fetched.
    #[serde(skip)]
    pub lag: Option<u64>,
}

/// Of some device types not all has been fetched. Why is in the log.
#[derive(Debug, thiserror::Error)]
#[error("the missed callbacks of these device types are still to be fetched: {}", .0.join(", "))]
pub struct Failed(Vec<String>);

/// Why a pass has not come to its end. What it made durable stays so, and the next run goes on behind that.
#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Watermark(#[from] WatermarkError),
    #[error("{0} messages could not be enqueued")]
    GivenBack(usize),
}

/// Makes a pass for each device type, whatever becomes of the others. `now` is in milliseconds since 1970.
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
            tracing::error!(device_type, reason = %error, cause, "missed callbacks have not been fetched");
            failed.push(device_type.to_owned());
        }
    }
    tally.requests = recovery.api.take_requests();
    tally.emit();
    if failed.is_empty() { Ok(tally) } else { Err(Failed(failed)) }
}

/// What is left, divided among those that are: none can use up the time of the others.
fn share(deadline: Instant, left: usize) -> Instant {
    let now = Instant::now();
    let time = deadline.saturating_duration_since(now).saturating_sub(SAVING);
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
        let kept = watermarks.get(self.device_type, self.until + SAVING).await?;
        let mut watermark = kept.unwrap_or_else(|| reach.first(self.now));
        let result = self.go_on_from(&mut watermark, tally).await;
        let lag = self.now.saturating_sub(watermark.since) / 1000;
        tally.lag = tally.lag.max(Some(lag));
        result
    }

    /// Page by page: fetch, enqueue, and only then move the watermark. Should two runs ever do this at once, each still
    /// stores what is true: all that it counts over is durable.
    async fn go_on_from(&self, watermark: &mut Watermark, tally: &mut Tally) -> Result<(), PassError> {
        let Recovery { api, reach, watermarks, .. } = self.recovery;
        let mut pass = reach.pass(watermark, self.now);
        while let Some(Unfinished { before, offset }) = pass {
            if api.turn() >= self.until {
                tracing::warn!(device_type = self.device_type, offset, "out of time; the next run goes on here");
                break;
            }
            let query = Query { device_type: self.device_type.to_owned(), since: watermark.since, before, offset };
            let page = api.page(&query, self.credentials, self.until).await?;
            self.redeliver(&page.items, tally).await?;
            let further = window::after(watermark, Unfinished { before, offset }, page.items.len() as u64, page.more);
            watermarks.set(self.device_type, &further, self.until + SAVING).await?;
            *watermark = further;
            pass = further.unfinished;
        }
        Ok(())
    }

    /// Sends a page the way of the live callbacks. Nobody waits for a downlink any more, so none is answered.
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
        let counts = sigfox::enqueue(&messages, raw, quarantine, self.until + ENQUEUEING).await;
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
