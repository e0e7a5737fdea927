//! Measures the daily pass as it runs after each night: one more day of points makes the files of days of the month and of the
//! month before again.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use pulsegate_model::assignment::Assignments;
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::archive::assignments::{self, AssignmentsError};
use pulsegate_pipeline::archive::days::{DAYS, Days, Made};
use pulsegate_pipeline::archive::place::{DAY, PartitionBits};
use pulsegate_pipeline::archive::points::{Derive, POINTS, decoder};
use pulsegate_pipeline::archive::store::{Listed, ObjectStore as _};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::consumption::assignment;
use crate::disk::Disk;
use crate::meters::{BITS_OF_MONTHS, START};
use crate::process::{Stopwatch, peak_mb};
use crate::{Fallible, per};

/// The pass comes some hours after the end of a day.
const MORNING: u64 = 6 * 3_600;
const SECONDS_OF_A_DAY: u64 = 86_400;

/// Makes all points, and the files of days but for the last day, whose sources are put aside.
pub(crate) async fn before(home: &Path) -> Fallible<Value> {
    let store = Disk::new(home);
    let bits: PartitionBits = BITS_OF_MONTHS.parse()?;
    let late = Instant::now() + Duration::from_hours(1);
    let derived = Derive { store: &store, bits: &bits, decoder, stop: late, deadline: late }.run().await?;
    let text = std::fs::read_to_string(home.join("devices"))?;
    assign(&store, &text.lines().map(str::parse).collect::<Result<Vec<_>, _>>()?, late).await?;
    let days = store.list(DAY, None, late).await?.objects.len();
    let last = sources(&store, late).await?.into_iter().filter(|listed| is_of_last(listed, days)).collect::<Vec<_>>();
    for listed in &last {
        std::fs::rename(home.join(&listed.key), aside(home, listed))?;
    }
    let made = make(&store, &bits, days - 1, late).await?;
    for listed in &last {
        std::fs::rename(aside(home, listed), home.join(&listed.key))?;
    }
    Ok(json!({"points": derived.points, "files": made.files, "rows": made.rows}))
}

/// Measures the pass after the last day, in a process of its own.
pub(crate) async fn run(home: &Path) -> Fallible<Value> {
    let store = Disk::new(home);
    let bits: PartitionBits = BITS_OF_MONTHS.parse()?;
    let late = Instant::now() + Duration::from_hours(1);
    let days = store.list(DAY, None, late).await?.objects.len();
    let before = counts(&store);
    let stopwatch = Stopwatch::start()?;
    let made = make(&store, &bits, days, late).await?;
    let (seconds, processor) = stopwatch.seconds()?;
    let peak = peak_mb()?;
    let after = counts(&store);
    let [lists, gets, puts, read] = std::array::from_fn(|nth| after[nth] - before[nth]);
    let files = store.list(DAYS, None, late).await?.objects;
    let bytes = files[files.len().saturating_sub(made.files)..].iter().map(|listed| listed.size).sum::<u64>();
    let rows = usize::try_from(made.rows)?;
    let microseconds = 1e6 * processor / per(rows, 1);
    Ok(json!({
        "days": days, "files": made.files, "current": made.current, "rows": rows, "seconds": seconds,
        "processor_seconds": processor, "microseconds_per_row": microseconds, "rows_per_minute": 60e6 / microseconds,
        "peak_mb": peak, "lists": lists, "gets": gets, "puts": puts, "read": read, "bytes": bytes,
        "bytes_per_row": per(usize::try_from(bytes)?, rows),
    }))
}

/// Runs the pass in the morning after so many days.
async fn make(store: &Disk, bits: &PartitionBits, days: usize, late: Instant) -> Fallible<Made> {
    let start: At = START.parse()?;
    let now = start.checked_add(u64::try_from(days)? * SECONDS_OF_A_DAY + MORNING).ok_or("the end of time")?;
    let pass = Days { store, bits, now, stop: late, deadline: late };
    let mut all = Made::default();
    for partition in pass.plan().await? {
        let made = pass.run(partition).await?;
        all.files += made.files;
        all.rows += made.rows;
        all.current += made.current;
        all.remaining += made.remaining + made.changed + made.conflicts + made.unreadable;
    }
    if all.remaining > 0 { Err(format!("{} files were not made", all.remaining).into()) } else { Ok(all) }
}

async fn sources(store: &Disk, late: Instant) -> Fallible<Vec<Listed>> {
    let mut all = store.list(POINTS, None, late).await?.objects;
    all.extend(store.list("reports/", None, late).await?.objects);
    Ok(all)
}

/// True for a file of the last of so many days.
fn is_of_last(listed: &Listed, days: usize) -> bool {
    let last = START
        .parse::<At>()
        .ok()
        .and_then(|start| start.checked_add(u64::try_from(days).ok()?.checked_sub(1)? * SECONDS_OF_A_DAY));
    last.is_some_and(|last| listed.key.contains(&format!("day={}", &last.to_string()[..10])))
}

fn aside(home: &Path, listed: &Listed) -> PathBuf {
    home.join(listed.key.replace('/', "-"))
}

fn counts(store: &Disk) -> [u64; 4] {
    let counted = &store.counted;
    [&counted.lists, &counted.gets, &counted.puts, &counted.read].map(|count| count.load(Relaxed))
}

/// Gives each device an assignment.
async fn assign(store: &Disk, devices: &[DeviceId], late: Instant) -> Fallible<()> {
    let all = devices.iter().copied().map(assignment).collect::<Fallible<Vec<_>>>()?;
    let first = all.first().ok_or("there are no devices")?;
    // All are of one partition, and so of one file.
    let add = |of_file: &mut Assignments| {
        for assignment in &all {
            // It may be there already, from an attempt before.
            let _ = of_file.add(assignment.clone());
        }
        Ok::<_, AssignmentsError>(())
    };
    assignments::update(store, &assignments::key_of(first.device), late, add).await?;
    Ok(())
}
