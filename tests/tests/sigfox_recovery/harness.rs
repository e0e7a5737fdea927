//! The function with a simulated Sigfox and fakes.

use std::time::Duration;

use pulsegate_model::envelope;
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::fakes::{FakeQueue, FakeWatermarks};
use pulsegate_pipeline::ports::Watermark;
use pulsegate_tests::sigfox::api::{Api, DEVICE_TYPE, USER};
use pulsegate_tests::sigfox::{Message, Template};
use serde_json::Value;
use sigfox_recovery::window::Reach;
use sigfox_recovery::{Failed, Recovery, Tally, api, handle};
use tokio::time::Instant;

pub const TYPE: &str = DEVICE_TYPE;
/// 2026-11-21T12:00:00Z, a day after the messages.
pub const NOW: u64 = 1_795_262_400_000;
pub const MINUTE: u64 = 60_000;
pub const HOUR: u64 = 60 * MINUTE;

/// Time-out of an invocation.
pub const TIMEOUT: Duration = Duration::from_mins(5);

pub const URL: &str = "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/sigfox/adeunis-pulse-v4/uplink";

pub type Faked = Recovery<FakeWatermarks, FakeQueue>;

pub fn recovery(api: &Api) -> Faked {
    recovery_of(api, TYPE)
}

pub fn recovery_of(api: &Api, device_types: &str) -> Faked {
    Recovery {
        // A shorter time-out and no pauses: the simulated Sigfox allows any number of requests.
        api: api::Api::new(api.url().parse().unwrap()).waiting(Duration::from_secs(1)).every(Duration::ZERO),
        device_types: device_types.parse().unwrap(),
        reach: Reach { settle: Duration::from_mins(15), first_look_back: Duration::from_hours(72) },
        watermarks: FakeWatermarks::default(),
        raw: FakeQueue::default(),
        quarantine: FakeQueue::default(),
    }
}

pub async fn run_at(recovery: &Faked, now: u64) -> Result<Tally, Failed> {
    handle(recovery, &USER.parse().unwrap(), now, Instant::now() + TIMEOUT).await
}

pub async fn run(recovery: &Faked) -> Result<Tally, Failed> {
    run_at(recovery, NOW).await
}

pub fn message(n: u32) -> Message {
    Message {
        device: format!("{:X}", 0x001A_0000 + n),
        time: 1_795_176_000 + u64::from(n),
        data: "46800000009f00000002".to_owned(),
        sequence: n,
    }
}

pub fn template() -> Template {
    Template::post_json(URL, "local-secret")
}

pub fn item(n: u32) -> Value {
    template().callback(&message(n)).item(TYPE, 503)
}

/// Starts a simulated Sigfox with this number of undelivered callbacks.
pub fn with_undelivered(count: u32) -> Api {
    let api = Api::start();
    api.list(TYPE, (0..count).map(item));
    api
}

/// Returns the uplinks in the queue of live callbacks.
pub fn enqueued(recovery: &Faked) -> Vec<Uplink> {
    recovery.raw.sent().iter().flat_map(|message| envelope::unpack(message.as_bytes()).unwrap().uplinks).collect()
}

pub fn keys(recovery: &Faked) -> Vec<String> {
    let mut keys: Vec<_> =
        enqueued(recovery).iter().map(|uplink| format!("{} {}", uplink.device, uplink.key())).collect();
    keys.sort();
    keys
}

pub fn expected_keys(count: u32) -> Vec<String> {
    let at = |n: u32| format!("2026-11-20T12:{:02}:{:02}Z", n / 60, n % 60);
    (0..count).map(|n| format!("sigfox:{:X} {}#{n:05}", 0x001A_0000 + n, at(n))).collect()
}

/// The watermark after a pass that ended at [`NOW`].
pub const FINISHED: Watermark = Watermark { since: NOW - 30 * MINUTE, unfinished: None };
