//! The archive's files of uplinks -> its points files, on a schedule.
//!
//! The work is [`pulsegate_pipeline::archive::points`]; this crate sets its time limit and emits its counters.

use std::time::Duration;

use pulsegate_pipeline::archive::place::PartitionBits;
use pulsegate_pipeline::archive::points::{Derive, Derived, decoder};
use pulsegate_pipeline::archive::store::{ObjectStore, StoreError};
use pulsegate_pipeline::deadline;
use pulsegate_pipeline::telemetry::{self, Metrics};
use serde_json::json;
use tokio::time::Instant;

/// The part name in metrics.
pub const STAGE: &str = "derive";

/// The time that one points file takes at most: 1.35 million rows, and as many from each of several other days.
const ONE_FILE: Duration = Duration::from_mins(2);

/// Makes the points files that differ from their sources, as far as time suffices.
///
/// # Errors
/// [`StoreError`] if the archive cannot be reached. The next invocation goes on.
pub async fn handle(
    store: &(impl ObjectStore + Sync),
    bits: &PartitionBits,
    deadline: Instant,
) -> Result<Derived, StoreError> {
    let began = Instant::now();
    // In a short invocation, a third of the time has to suffice for the last file.
    let stop = deadline.checked_sub(ONE_FILE).unwrap_or(began).max(deadline::leaving_time(deadline));
    let derived = Derive { store, bits, decoder, stop, deadline }.run().await?;
    if derived.remaining > 0 {
        tracing::warn!(
            files = derived.remaining,
            "points files are left to the next run; run more often if this stays"
        );
    }
    let properties = json!({ "ms": began.elapsed().as_millis() });
    telemetry::emit(&Metrics { part: STAGE, values: &[("Count", json!(derived))], properties });
    Ok(derived)
}

#[cfg(test)]
mod tests {
    use pulsegate_model::uplink::Uplink;
    use pulsegate_pipeline::archive::file::union;
    use pulsegate_pipeline::archive::points::file;
    use pulsegate_pipeline::archive::row::Row;
    use pulsegate_pipeline::fakes::FakeObjects;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_settled_file_has_its_points_after_one_invocation() {
        let uplink: Uplink = serde_json::from_value(json!({
            "device": "sigfox:1A2345", "kind": "data", "at": "2026-11-20T12:00:00Z", "time_source": "network",
            "sequence": 7, "profile": "adeunis-pulse-v4", "payload": "46800000009f00000002",
        }))
        .unwrap();
        let store = FakeObjects::default();
        store.set("day/2026-11-20/00.parquet", union(None, vec![Row::from(&uplink)]).unwrap());
        let deadline = Instant::now() + Duration::from_mins(1);
        let derived = handle(&store, &PartitionBits::default(), deadline).await.unwrap();
        assert_eq!((derived.files, derived.points), (1, 2));
        let (_, points) = file::read(store.all()["points/day=2026-11-20/00.parquet"].clone()).unwrap();
        let values: Vec<_> = points.iter().map(|point| (point.channel.as_str(), point.value, point.at)).collect();
        assert_eq!(values, [("A", 0x9F, uplink.at), ("B", 2, uplink.at)]);
    }
}
