//! The rows of days in the archive, compared with those that are computed from the uplinks.

use std::collections::BTreeMap;

use pulsegate_model::assignment::Zone;
use pulsegate_model::at::At;
use pulsegate_model::day::DayRow;
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::archive::days::{DAYS, file};
use pulsegate_pipeline::archive::reader::ArchiveError;
use pulsegate_pipeline::archive::store::{Get, Got, ObjectStore, Part};

use super::super::archive::list;
use super::super::expected_run::ExpectedRun;
use super::super::findings::ConsumptionFindings;
use super::super::read::soon;
use super::computed::Computed;
use crate::Problem;

/// Seconds before and after a fleet's hours in which its meters can have readings.
const MARGIN: i64 = 2 * 86_400;

/// Rows of days of the fleets' devices.
#[derive(Debug, Default)]
pub(in crate::audit) struct StoredDays {
    rows: BTreeMap<DeviceId, Vec<DayRow>>,
    /// By time zone, the end of the last day of which there is any row.
    until: BTreeMap<Zone, At>,
}

/// Reads the rows of the runs' devices and days. None, if the daily pass has not made any.
pub(in crate::audit) async fn read(store: &impl ObjectStore, runs: &[ExpectedRun]) -> Result<StoredDays, Problem> {
    let mut days = StoredDays::default();
    for listed in list(store, DAYS).await? {
        let get = Get { key: &listed.key, part: Part::Whole, version: None };
        let Got::Object(object) = store.get(get, soon()).await? else { continue };
        let content =
            file::read(object.content).map_err(|source| ArchiveError::File { key: listed.key.clone(), source })?;
        content.rows.into_iter().filter(|row| is_of(runs, row)).for_each(|row| days.add(row));
    }
    Ok(days)
}

fn is_of(runs: &[ExpectedRun], row: &DayRow) -> bool {
    runs.iter().any(|run| {
        let start = run.fleet.spec().start.unix();
        let end = start + i64::from(run.fleet.hours()) * 3_600;
        run.fleet.number(&row.device).is_some() && row.end.unix() > start - MARGIN && row.start.unix() < end + MARGIN
    })
}

impl StoredDays {
    fn add(&mut self, row: DayRow) {
        let until = self.until.entry(row.zone.clone()).or_insert(row.end);
        *until = row.end.max(*until);
        self.rows.entry(row.device).or_default().push(row);
    }

    /// Compares the rows of a device. Days that are not over have none.
    ///
    /// # Errors
    /// The first difference.
    pub(super) fn compare(
        &self,
        device: DeviceId,
        computed: &Computed,
        found: &mut ConsumptionFindings,
    ) -> Result<(), String> {
        let rows = self.rows.get(&device).map_or(&[][..], Vec::as_slice);
        for row in &computed.rows {
            if self.until.get(&row.zone).is_none_or(|until| *until < row.end) {
                continue;
            }
            let stored = rows.iter().find(|stored| (&stored.channel, stored.day) == (&row.channel, row.day));
            let what = || format!("{} on {} in days/", row.channel, row.day);
            let Some(stored) = stored else { return Err(format!("no row of {}", what())) };
            // The rest is not the fleet's: battery and conditions of the device.
            let of = |row: &DayRow| {
                let intervals = (row.total, row.quality, row.flags, row.hours.clone(), row.hour_qualities.clone());
                (
                    row.zone.clone(),
                    row.unit,
                    row.start,
                    row.end,
                    intervals,
                    row.ledger,
                    row.night_minimum,
                    row.longest_still,
                )
            };
            if of(stored) != of(row) {
                return Err(format!("another row of {}: {:?}, and it must be {:?}", what(), of(stored), of(row)));
            }
            found.stored_days += 1;
        }
        Ok(())
    }
}
