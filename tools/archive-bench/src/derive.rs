//! Measures `derive`: the points of one partition's day.

use std::path::Path;
use std::time::Duration;

use pulsegate_pipeline::archive::file;
use pulsegate_pipeline::archive::place::{DAY, PartitionBits};
use pulsegate_pipeline::archive::points::{Derive, POINTS, decoder};
use pulsegate_pipeline::archive::store::ObjectStore as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::disk::Disk;
use crate::meters::BITS;
use crate::process::{Stopwatch, peak_mb};
use crate::{Fallible, per};

pub(crate) async fn run(home: &Path) -> Fallible<Value> {
    let store = Disk::new(home);
    let bits: PartitionBits = BITS.parse()?;
    let late = Instant::now() + Duration::from_hours(1);
    let stopwatch = Stopwatch::start()?;
    let derived = Derive { store: &store, bits: &bits, decoder, stop: late, deadline: late }.run().await?;
    let (seconds, processor) = stopwatch.seconds()?;
    let mut uplinks = 0;
    for day in store.list(DAY, None, late).await?.objects {
        uplinks += file::rows(std::fs::read(home.join(&day.key))?.into())?;
    }
    let sizes = store.list(POINTS, None, late).await?.objects.iter().map(|listed| listed.size).sum::<u64>();
    let (points, bytes) = (usize::try_from(derived.points)?, usize::try_from(sizes)?);
    Ok(json!({
        "uplinks": uplinks, "points": points, "files": derived.files, "seconds": seconds, "processor_seconds": processor,
        "microseconds_per_uplink": 1e6 * processor / per(uplinks, 1), "peak_mb": peak_mb()?, "bytes": bytes,
        "bytes_per_point": per(bytes, points), "bytes_per_uplink": per(bytes, uplinks),
    }))
}
