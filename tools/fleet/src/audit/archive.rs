//! Reads the rows of the archive into the accounts, place by place.

use std::collections::BTreeSet;
use std::time::Duration;

use pulsegate_model::at::At;
use pulsegate_pipeline::archive::place::{DAY, Day, NEW, Place};
use pulsegate_pipeline::archive::reader::{Archive, ArchiveError};
use pulsegate_pipeline::archive::store::{Listed, ObjectStore, StoreError};
use tokio::time::Instant;

use super::accounts::Accounts;
use super::expected_run::ExpectedRun;
use super::findings::Sources;
use super::progress::AuditProgress;
use super::read::soon;
use crate::Problem;

/// Time-out for reading all of `new/`: some thousand objects, one after the other, if `settle` stands still.
const NEW_TIMEOUT: Duration = Duration::from_mins(15);

/// Rows between two updates of the progress bar.
const SHOWN: usize = 10_000;

/// Seconds of a day: the margin for clocks that drift, and for uplinks that are repeated for long.
const MARGIN: i64 = 86_400;

/// Reads the archive: all of it, or only some days and [`Day::Odd`]. Of a file it holds the bytes and one row group, of
/// `new/` all rows.
pub(super) async fn read<S: ObjectStore>(
    accounts: &mut Accounts,
    archive: &Archive<S>,
    days: Option<&BTreeSet<Day>>,
    progress: &AuditProgress,
) -> Result<Sources, Problem> {
    let objects = list(&archive.store, NEW).await?;
    let scan = archive.scan(At::EPOCH, At::MAX, Instant::now() + NEW_TIMEOUT).await?;
    let places: BTreeSet<Place> =
        scan.places().filter(|place| days.is_none_or(|days| days.contains(&place.day))).collect();
    let keys: BTreeSet<String> = places.iter().map(ToString::to_string).collect();
    let mut files = list(&archive.store, DAY).await?;
    files.retain(|file| keys.contains(&file.key));
    let mut sources = Sources {
        objects: objects.len() as u64,
        object_bytes: objects.iter().map(|object| object.size).sum(),
        files: files.len() as u64,
        file_bytes: files.iter().map(|file| file.size).sum(),
        ..Sources::default()
    };
    for place in places {
        let mut rows = scan.open(place, soon()).await?;
        let mut shown = 0;
        while let Some(row) = rows.next_row()? {
            let uplink = row.uplink().map_err(ArchiveError::from)?;
            accounts.raw(&uplink, archive.bits.place(&uplink) == place)?;
            shown += 1;
            if shown % SHOWN == 0 {
                progress.add(SHOWN);
            }
        }
        progress.add(shown % SHOWN);
        sources.rows += shown as u64;
    }
    Ok(sources)
}

/// The days on which these runs can have uplinks: those of the fleet's clock, those of the arrivals, and [`Day::Odd`]
/// for clocks that are not set.
pub(super) fn days(runs: &[ExpectedRun]) -> BTreeSet<Day> {
    let now = jiff::Timestamp::now().as_second();
    let mut days = BTreeSet::from([Day::Odd]);
    for run in runs {
        let start = run.fleet.spec().start.unix();
        for (from, to) in [(start, start + i64::from(run.fleet.hours()) * 3_600), (run.began.unix(), now)] {
            let at = |seconds: i64| At::from_unix(seconds.max(0)).unwrap_or(At::MAX);
            days.extend(Day::between(at(from - MARGIN), at(to + MARGIN)));
        }
    }
    days
}

/// The keys in `new/`.
pub(super) async fn new_keys(store: &impl ObjectStore) -> Result<BTreeSet<String>, Problem> {
    Ok(list(store, NEW).await?.into_iter().map(|listed| listed.key).collect())
}

pub(super) async fn list(store: &impl ObjectStore, prefix: &str) -> Result<Vec<Listed>, StoreError> {
    let mut all: Vec<Listed> = Vec::new();
    loop {
        let page = store.list(prefix, all.last().map(|last| last.key.as_str()), soon()).await?;
        all.extend(page.objects);
        if !page.truncated {
            return Ok(all);
        }
    }
}
