//! Measures reads of one meter: a day, a month, a year.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::archive::place::{Day, PartitionBits};
use pulsegate_pipeline::archive::reader::Archive;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::disk::Disk;
use crate::meters::{BITS, START};
use crate::process::Stopwatch;
use crate::{Fallible, per};

const SPANS: [(&str, u32); 3] = [("day", 1), ("month", 30), ("year", 365)];

/// The shortest of so many reads is reported: the machine has other work.
const RUNS: usize = 5;

const DAY_SECONDS: u64 = 86_400;

/// Reads, after it has linked the first days' files to all days of a year.
pub(crate) async fn run(home: &Path, days: u32) -> Fallible<Value> {
    let start: At = START.parse()?;
    let bits: PartitionBits = BITS.parse()?;
    let device: DeviceId = std::fs::read_to_string(home.join("device"))?.parse()?;
    let path = |day: u32| -> Fallible<_> {
        let at = start.checked_add(u64::from(day) * DAY_SECONDS).ok_or("no such day")?;
        Ok(home.join(bits.place_of(device, Day::at(at)).to_string()))
    };
    for day in days..365 {
        let (of, path) = (path(day % days)?, path(day)?);
        std::fs::create_dir_all(path.parent().ok_or("no directory")?)?;
        if !path.exists() {
            std::fs::hard_link(of, path)?;
        }
    }
    let mut measured = BTreeMap::new();
    for (name, length) in SPANS {
        let to = start.checked_add(u64::from(length) * DAY_SECONDS - 1).ok_or("no such day")?;
        measured.insert(name, best(home, &bits, device, (start, to)).await?);
    }
    Ok(json!({"device": device, "spans": measured}))
}

async fn best(home: &Path, bits: &PartitionBits, device: DeviceId, (from, to): (At, At)) -> Fallible<Value> {
    let mut best: Option<(f64, Value)> = None;
    for _ in 0..RUNS {
        let archive = Archive { store: Disk::new(home), bits: bits.clone() };
        let stopwatch = Stopwatch::start()?;
        let uplinks = archive.uplinks(device, from, to, Instant::now() + Duration::from_hours(1)).await?;
        let (seconds, _) = stopwatch.seconds()?;
        let counted = &archive.store.counted;
        let [lists, gets, absent, bytes] =
            [&counted.lists, &counted.gets, &counted.absent, &counted.read].map(|count| count.load(Relaxed));
        let value = json!({
            "milliseconds": seconds * 1e3, "uplinks": uplinks.len(), "lists": lists, "gets": gets, "absent": absent,
            "bytes": bytes, "bytes_per_get": per(usize::try_from(bytes)?, usize::try_from(gets - absent)?),
        });
        if best.as_ref().is_none_or(|(of_best, _)| seconds < *of_best) {
            best = Some((seconds, value));
        }
    }
    Ok(best.ok_or("nothing was read")?.1)
}
