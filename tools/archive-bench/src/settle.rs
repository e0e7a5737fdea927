//! Measures `settle`: one run, or as many as it takes until `new/` is empty.

use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use pulsegate_pipeline::archive::file;
use pulsegate_pipeline::archive::place::{DAY, NEW, PartitionBits};
use pulsegate_pipeline::archive::settle::Settle;
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
    let before = peak_mb()?;
    let stopwatch = Stopwatch::start()?;
    let mut runs = vec![Settle { store: &store, bits: &bits, stop: late, deadline: late }.run().await?];
    while runs.last().is_some_and(|settled| settled.more) {
        runs.push(Settle { store: &store, bits: &bits, stop: late, deadline: late }.run().await?);
    }
    let (seconds, processor) = stopwatch.seconds()?;
    let peak = peak_mb()?;
    let day = store.list(&format!("{DAY}2026-11-20/"), None, late).await?.objects.remove(0);
    if runs.iter().any(|settled| settled.files != 1) || !store.list(NEW, None, late).await?.objects.is_empty() {
        return Err(format!("a run settled nothing: {runs:?}").into());
    }
    let rows = file::rows(std::fs::read(home.join(&day.key))?.into())?;
    let new: Vec<usize> = runs.iter().map(|settled| settled.rows).collect();
    // Each run touches the rows of the file that it leaves: those of the last one, without what the later ones added.
    let touched: usize = (1..=new.len()).map(|run| rows - new[run..].iter().sum::<usize>()).sum();
    let size = usize::try_from(day.size)?;
    Ok(json!({
        "rows": rows, "new_rows": new, "touched": touched, "seconds": seconds, "processor_seconds": processor,
        "microseconds_per_row": 1e6 * processor / per(touched, 1), "peak_mb": peak, "start_mb": before,
        "bytes": size, "bytes_per_row": per(size, rows), "written": store.counted.written.load(Relaxed),
    }))
}
