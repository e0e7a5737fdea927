//! The archive: objects of the raw stages, the files that `settle`, `derive` and `days` make of them, and their older versions.
//!
//! With `r` rows a day, files of `2^bits` partitions, and `s` runs of `settle` a day:
//!
//! - a run reads and writes today's files, which hold `r / 2` rows on average, and the new rows: `r / s`;
//! - it does so in several passes if there are more objects than a list has;
//! - it takes `rows * settle_row_us + requests * request_ms`;
//! - older versions are `s * r / 2 * day_row_bytes` for a day and a half, and the newest four of each file for 35 days.

use rust_decimal::{Decimal, dec};

use super::days::Pass;
use super::flow::Flow;
use super::setup::Setup;
use super::tables::MONTH_DAYS;
use crate::aws::GIB;
use crate::bill::monthly::Item;
use crate::limits::{FILE_ROWS, LISTED, MAX_BITS, ROW_GROUP};
use crate::load::Load;
use crate::measurement::archive::{Archive, Value};
use crate::money::whole;
use crate::template::{DERIVE_RUNS, NEWEST_VERSION_DAYS, NEWEST_VERSIONS, VERSION_DAYS};

/// Minutes of a day.
const DAY: Decimal = dec!(1440);

/// Passes of a run of `settle` that are still calculated. No fleet has as many, but numbers of a file may,
/// and would overflow.
const MAX_PASSES: Decimal = dec!(1000);

/// The archive's work in a month.
#[derive(Debug, Clone)]
pub struct Work {
    /// Rows of a day.
    pub day_rows: Decimal,
    /// Bits of a partition.
    pub bits: u32,
    /// Runs of `settle`.
    pub settle: Run,
    /// Runs of `derive`.
    pub derive: Run,
    /// The daily pass.
    pub days: Pass,
    /// Objects that raw stages put.
    pub objects: Decimal,
    /// Files of `day/` at the fleet's age.
    pub files: Decimal,
    /// Rows of the archive at the fleet's age.
    pub rows: Decimal,
}

/// The mean run of a scheduled function.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Runs a month.
    pub runs: Decimal,
    /// Rows that a run reads, old and new ones.
    pub rows: Decimal,
    /// Files that a run writes.
    pub puts: Decimal,
    /// Objects, files and their metadata that a run reads.
    pub gets: Decimal,
    /// Lists of a run; one of `settle` makes a pass over the day's files for each.
    pub lists: Decimal,
    /// Seconds of a run.
    pub seconds: Decimal,
}

/// Bits of a partition so that a day's file has about [`FILE_ROWS`] at most.
pub fn bits(day_rows: Decimal) -> u32 {
    (0..MAX_BITS).find(|bits| day_rows <= FILE_ROWS * Decimal::from(1_u64 << bits)).unwrap_or(MAX_BITS)
}

impl Work {
    /// Calculates the work for what `load` sends, repeated uplinks not included: they are rows only in `new/`.
    pub fn of(setup: &Setup, load: &Load, flow: &Flow, of: &Archive) -> Self {
        let day_rows = load.hour() * dec!(24);
        let bits = bits(day_rows);
        let partitions = Decimal::from(1_u64 << bits);
        let objects = flow.raw_invocations() * of.objects_per_invocation.decimal();
        let months = setup.archive_days.map_or(setup.months, |days| (days / MONTH_DAYS).min(setup.months));
        let files = whole(months * MONTH_DAYS) * partitions;
        Self {
            day_rows,
            bits,
            settle: settle(setup, day_rows, partitions, objects, of),
            derive: derive(day_rows, partitions, files, of),
            days: Pass::of(load.devices.into(), day_rows, partitions, months, of),
            objects,
            files,
            rows: load.month() * months,
        }
    }

    /// The archive's part of AWS's bill, without the functions' duration.
    pub fn items(&self, setup: &Setup, of: &Archive) -> Vec<Item> {
        let request = |purpose, price, quantity| Item { service: "S3 requests", purpose, price, quantity };
        let stored = |purpose, bytes: Decimal| Item {
            service: "S3 storage",
            purpose,
            price: "s3-gb-month",
            quantity: bytes / GIB,
        };
        let (settle, derive) = (&self.settle, &self.derive);
        let puts = [
            request("PUT of new/ by raw stages", "s3-put", self.objects),
            request("PUT of day/ by settle", "s3-put", settle.runs * settle.puts),
            request("LIST of new/ by settle", "s3-put", settle.runs * settle.lists),
            request("PUT of points/ by derive", "s3-put", derive.runs * derive.puts),
            request("LIST of day/ and points/ by derive", "s3-put", derive.runs * derive.lists),
        ];
        let gets = [
            request("GET of new/ and day/ by settle", "s3-get", settle.runs * settle.gets),
            request("GET and HEAD by derive", "s3-get", derive.runs * derive.gets),
        ];
        let sent = self.day_rows * (Decimal::ONE + setup.repeats);
        // A row waits for half of the time between two runs.
        let waiting = sent * setup.settle_minutes / DAY / dec!(2);
        let (day, points) = (of.day_row_bytes.decimal(), of.points_row_bytes.decimal());
        let new = of.new_row_bytes.decimal();
        let runs = settle.runs / MONTH_DAYS;
        let newest = NEWEST_VERSIONS.min(runs) * NEWEST_VERSION_DAYS.min(setup.months * MONTH_DAYS);
        let storage = [
            stored("new/, to be settled", waiting * new),
            stored("new/, deleted, for a day", sent * new * VERSION_DAYS),
            stored("day/", self.rows * day),
            stored("points/", self.rows * points),
            stored("day/, all older versions for a day", runs * self.day_rows / dec!(2) * day * VERSION_DAYS),
            stored("day/, the newest four for 35 days", newest * self.day_rows * day),
            stored("points/, older versions for a day", self.rewritten_points(of) * points * VERSION_DAYS),
        ];
        let days = self.days.items(self.day_rows, self.rows, of);
        let keys = if setup.kms { self.keys(&[&puts[..], &gets[..], &days[..]].concat()) } else { Vec::new() };
        puts.into_iter().chain(gets).chain(storage).chain(days).chain(keys).collect()
    }

    /// Rows of points that a night makes anew; those of the last day are new.
    fn rewritten_points(&self, of: &Archive) -> Decimal {
        self.day_rows * (of.derive_days.decimal() - Decimal::ONE).max(Decimal::ZERO)
    }

    /// The key, and one request to it for each request to an object. With a bucket key it is up to a hundredth.
    fn keys(&self, requests: &[Item]) -> Vec<Item> {
        let lists = self.settle.runs * self.settle.lists + self.derive.runs * self.derive.lists + self.days.lists;
        let requests = requests.iter().filter(|item| item.service == "S3 requests");
        let requests: Decimal = requests.map(|item| item.quantity).sum();
        let item = |purpose, price, quantity| Item { service: "KMS", purpose, price, quantity };
        vec![
            item("key of the bucket", "kms-key-month", Decimal::ONE),
            item("requests for objects", "kms-request", requests - lists),
        ]
    }
}

fn settle(setup: &Setup, day_rows: Decimal, partitions: Decimal, objects: Decimal, of: &Archive) -> Run {
    let runs_a_day = DAY / setup.settle_minutes;
    let runs = runs_a_day * MONTH_DAYS;
    let new = day_rows / runs_a_day;
    let objects = objects / runs;
    // A pass merges as many objects as a list has; more take further passes over the same files.
    let passes = whole(objects / LISTED).clamp(Decimal::ONE, MAX_PASSES);
    let days = Decimal::ONE / dec!(2) + of.settle_older_days.decimal();
    let files = partitions.min(new) * (Decimal::ONE + of.settle_older_days.decimal()) * passes;
    let rows = day_rows * days * passes + new;
    let requests = objects + dec!(2) * files + passes;
    Run {
        runs,
        rows,
        puts: files,
        gets: objects + files,
        lists: passes,
        seconds: seconds(rows, &of.settle_row_us, requests * of.request_ms.decimal()),
    }
}

fn derive(day_rows: Decimal, partitions: Decimal, files: Decimal, of: &Archive) -> Run {
    let made = partitions.min(day_rows) * of.derive_days.decimal();
    let rows = day_rows * of.derive_days.decimal();
    // Both folders, each file of `day/` has one of `points/`.
    let lists = dec!(2) * whole(files / LISTED);
    // A file is read group by group: its footer, and each row group.
    let groups = whole(day_rows / partitions / ROW_GROUP);
    let gets = made * (Decimal::ONE + groups);
    let checks = files * of.derive_checks_per_file.decimal();
    let waiting = (gets + made + lists) * of.request_ms.decimal() + checks * of.derive_check_ms.decimal();
    Run {
        runs: DERIVE_RUNS,
        rows,
        puts: made,
        gets: gets + checks,
        lists,
        seconds: seconds(rows, &of.derive_row_us, waiting),
    }
}

/// Seconds of a run. These functions have a whole processor, as in the measurement.
fn seconds(rows: Decimal, row_us: &Value, waiting_ms: Decimal) -> Decimal {
    rows * row_us.decimal() / dec!(1_000_000) + waiting_ms / dec!(1000)
}
