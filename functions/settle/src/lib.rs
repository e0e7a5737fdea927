//! `new/` of the archive -> its files, on a schedule.
//!
//! The work is [`pulsegate_pipeline::archive::settle`]; this crate repeats it until nothing is left or the time is up.

use pulsegate_pipeline::archive::place::PartitionBits;
use pulsegate_pipeline::archive::settle::{Settle, SettleError, Settled};
use pulsegate_pipeline::archive::store::ObjectStore;
use pulsegate_pipeline::deadline;
use pulsegate_pipeline::telemetry::{self, Metrics};
use serde_json::{Value, json};
use tokio::time::Instant;

/// The part name in metrics.
pub const STAGE: &str = "settle";

/// Merges what is in `new/`, as far as time suffices. Returns the sums of all runs. `now` is in seconds since 1970.
///
/// # Errors
/// [`SettleError`] if the archive cannot be reached. Nothing is lost: the next invocation begins anew.
pub async fn handle(
    store: &(impl ObjectStore + Sync),
    bits: &PartitionBits,
    now: i64,
    deadline: Instant,
) -> Result<Settled, SettleError> {
    let began = Instant::now();
    let settle = Settle { store, bits, stop: deadline::leaving_time(deadline), deadline };
    let mut sum = Settled::default();
    let ended = loop {
        match settle.run().await {
            Ok(settled) => {
                let stands_still = settled.objects == 0 || settled.remaining > 0;
                sum = sum.and(settled);
                if !settled.more || stands_still || Instant::now() >= settle.stop {
                    break Ok(sum);
                }
            }
            Err(error) => break Err(error),
        }
    };
    emit(&sum, now, began);
    ended
}

/// Emits the counters. The age of the oldest object tells whether the function keeps up.
fn emit(sum: &Settled, now: i64, began: Instant) {
    let seconds = json!({ "oldest_unsettled_seconds": sum.oldest.map_or(0, |oldest| (now - oldest).max(0)) });
    let mut counts = json!(sum);
    if let Value::Object(counts) = &mut counts {
        counts.remove("oldest");
        counts.remove("more");
    }
    let properties = json!({ "more": sum.more, "ms": began.elapsed().as_millis() });
    telemetry::emit(&Metrics { part: STAGE, values: &[("Count", counts), ("Seconds", seconds)], properties });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pulsegate_model::uplink::Uplink;
    use pulsegate_pipeline::archive::object;
    use pulsegate_pipeline::archive::reader::Archive;
    use pulsegate_pipeline::fakes::FakeObjects;

    use super::*;

    fn uplink(sequence: u32) -> Uplink {
        serde_json::from_value(json!({
            "device": "sigfox:1A2345", "kind": "data", "at": "2026-11-20T12:00:00Z", "time_source": "network",
            "sequence": sequence, "profile": "adeunis-pulse-v4", "payload": "46",
        }))
        .unwrap()
    }

    fn minute() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    #[tokio::test(start_paused = true)]
    async fn a_backlog_of_several_pages_is_settled_in_one_invocation() {
        let store = FakeObjects::of_pages(3);
        for sequence in 0..10 {
            let object = object::encode([&uplink(sequence)]).unwrap();
            store.set(&object.key, object.content);
        }
        let bits = PartitionBits::default();
        let settled = handle(&store, &bits, 60, minute()).await.unwrap();
        assert_eq!((settled.objects, settled.rows, settled.more, settled.oldest), (10, 10, false, Some(0)));
        assert_eq!(store.keys(""), ["day/2026-11-20/00.parquet"]);
        let archive = Archive { store, bits };
        let at = uplink(0).at;
        let read = archive.uplinks(uplink(0).device, at, at, minute()).await.unwrap();
        assert_eq!(read, (0..10).map(uplink).collect::<Vec<_>>());
    }
}
