//! Measures `derive` as it runs each night: the points of the day that ended are new, and those of the day before are made
//! again, because the new day's uplinks have a part in them.

use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
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

/// Measures the run after the last day, in a process of its own: the days before were derived by [`derive_before`].
pub(crate) async fn run(home: &Path) -> Fallible<Value> {
    let store = Disk::new(home);
    let bits: PartitionBits = BITS.parse()?;
    let late = Instant::now() + Duration::from_hours(1);
    let stopwatch = Stopwatch::start()?;
    let derived = Derive { store: &store, bits: &bits, decoder, stop: late, deadline: late }.run().await?;
    let (seconds, processor) = stopwatch.seconds()?;
    let peak = peak_mb()?;
    let (gets, read) = (store.counted.gets.load(Relaxed), store.counted.read.load(Relaxed));
    let days = store.list(DAY, None, late).await?.objects;
    let points_files = store.list(POINTS, None, late).await?.objects;
    let made = days.len().checked_sub(derived.files).ok_or("more points files than days")?;
    let mut uplinks = 0;
    for day in &days[made..] {
        uplinks += file::rows(std::fs::read(home.join(&day.key))?.into())?;
    }
    let bytes = usize::try_from(points_files[made..].iter().map(|listed| listed.size).sum::<u64>())?;
    let points = usize::try_from(derived.points)?;
    Ok(json!({
        "days": days.len(), "files": derived.files, "current": derived.current, "uplinks": uplinks, "points": points,
        "seconds": seconds, "processor_seconds": processor, "microseconds_per_uplink": 1e6 * processor / per(uplinks, 1),
        "peak_mb": peak, "gets": gets, "read": read, "bytes": bytes, "bytes_per_point": per(bytes, points),
        "points_per_uplink": per(points, uplinks), "bytes_per_uplink": per(bytes, uplinks),
    }))
}

/// Makes the points of all days but the last, whose file is put aside meanwhile.
pub(crate) async fn derive_before(home: &Path) -> Fallible<Value> {
    let store = Disk::new(home);
    let bits: PartitionBits = BITS.parse()?;
    let late = Instant::now() + Duration::from_hours(1);
    let last = store.list(DAY, None, late).await?.objects.pop().ok_or("there is no day")?;
    let (path, aside) = (home.join(&last.key), home.join("aside"));
    std::fs::rename(&path, &aside)?;
    let derived = Derive { store: &store, bits: &bits, decoder, stop: late, deadline: late }.run().await?;
    std::fs::rename(aside, path)?;
    Ok(json!({"files": derived.files, "points": derived.points}))
}
