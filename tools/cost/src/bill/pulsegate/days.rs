//! The daily pass: files of days by month, made again whenever a source of theirs has changed.
//!
//! A month of a partition is one file. A pass makes that of the current month, and for [`DAYS_AHEAD`] days into the next one that
//! of the month before, because readings until then count for it. With `d` days in a mean month:
//!
//! - the current month has `(d + 1) / 2` days on average, the month before all of its days;
//! - its sources are the points and reports of these days, of [`DAYS_BEHIND`] days before the month, and of up to
//!   [`DAYS_AHEAD`] days after it;
//! - runs between that find nothing changed read lists, footers of all files of days, and assignments.

use pulsegate_model::day::{DAYS_AHEAD, DAYS_BEHIND};
use rust_decimal::{Decimal, dec};

use super::tables::MONTH_DAYS;
use crate::aws::GIB;
use crate::bill::monthly::Item;
use crate::limits::{ASSIGNMENT_FILES, DAYS_READS_AT_ONCE, LISTED, POINTS_GROUP, POLL_SECONDS, POLLERS};
use crate::measurement::archive::Archive;
use crate::money::whole;
use crate::template::{DAYS_RUNS_A_DAY, VERSION_DAYS};

/// Requests to a queue for a message: sent, received, deleted.
const REQUESTS_OF_A_MESSAGE: Decimal = dec!(3);

/// Seconds of a month, as the queue's pollers ask all the time.
const SECONDS_A_DAY: Decimal = dec!(86_400);

/// The daily pass in a month.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// Meters.
    pub meters: Decimal,
    /// Partitions.
    pub partitions: Decimal,
    /// Runs that plan, of which most find nothing.
    pub plans: Decimal,
    /// Files that are made: a month of a partition.
    pub files: Decimal,
    /// Messages to the queue, one for each partition that has work, and as many invocations.
    pub messages: Decimal,
    /// Rows that are made: a meter and a day.
    pub rows: Decimal,
    /// GETs of sources.
    pub gets: Decimal,
    /// GETs of footers and assignments by runs that plan.
    pub plan_gets: Decimal,
    /// LISTs.
    pub lists: Decimal,
    /// Seconds of all invocations that make files, and of those that plan.
    pub seconds: (Decimal, Decimal),
    /// Seconds of the longest invocation, at the end of a month.
    pub longest: Decimal,
    /// Rows of the archive's files of days.
    pub stored: Decimal,
}

impl Pass {
    /// Calculates the pass of a fleet whose uplinks are `day_rows` a day, and whose archive has so many months.
    pub fn of(meters: Decimal, day_rows: Decimal, partitions: Decimal, months: Decimal, of: &Archive) -> Self {
        let one = Decimal::ONE;
        let partitions = partitions.min(meters).max(one);
        let (behind, ahead) = (Decimal::from(DAYS_BEHIND), Decimal::from(DAYS_AHEAD));
        let passes = of.days_passes.decimal();
        // Files of the month before that a day's points make again: of one month, and some days of two.
        let before = ahead / MONTH_DAYS;
        let (mean, before_rows) = ((MONTH_DAYS + one) / dec!(2), MONTH_DAYS);
        let rows_a_day = passes * mean + before * before_rows;
        let sources = passes * (behind + mean) + before * (behind + before_rows + (ahead + one) / dec!(2));
        // A source is a file of points and one of reports; each is read by its footer, of points in
        // two requests, and its row groups.
        let of_partition = day_rows / partitions;
        let groups =
            whole(of_partition * of.points_per_row.decimal() / POINTS_GROUP) + whole(of_partition / POINTS_GROUP);
        let gets_of_a_day = dec!(3) + groups;
        let files = (passes + before) * partitions * MONTH_DAYS;
        let messages = passes * partitions * MONTH_DAYS;
        let gets = sources * gets_of_a_day * partitions * MONTH_DAYS;
        let rows = rows_a_day * meters * MONTH_DAYS;
        let plans = DAYS_RUNS_A_DAY * MONTH_DAYS;
        let day_files = whole(months * MONTH_DAYS) * partitions;
        let plan_gets = plans * (whole(months) * partitions + ASSIGNMENT_FILES);
        let lists_of_a_plan = dec!(3) * whole(day_files / LISTED);
        // A run that makes files lists what there is from the month before on.
        let lists_of_a_run = dec!(3) * whole(partitions * MONTH_DAYS * dec!(2) / LISTED);
        let lists = plans * lists_of_a_plan + messages * lists_of_a_run;
        let wait = of.request_ms.decimal() / dec!(1000);
        let waiting = |gets: Decimal| gets / DAYS_READS_AT_ONCE * wait;
        let work = |rows: Decimal| rows * of.days_row_us.decimal() / dec!(1_000_000);
        let making = work(rows) + waiting(gets) + (files + messages * lists_of_a_run) * wait;
        let planning = waiting(plan_gets) + plans * lists_of_a_plan * wait;
        let longest = work(dec!(2) * MONTH_DAYS * meters / partitions)
            + waiting(gets_of_a_day * (dec!(2) * behind + dec!(2) * MONTH_DAYS + ahead));
        Self {
            meters,
            partitions,
            plans,
            files,
            messages,
            rows,
            gets,
            plan_gets,
            lists,
            seconds: (making, planning),
            longest,
            stored: meters * whole(months * MONTH_DAYS),
        }
    }

    /// Invocations.
    pub fn invocations(&self) -> Decimal {
        self.plans + self.messages
    }

    /// Its part of AWS's bill, without the functions' duration.
    pub fn items(&self, day_rows: Decimal, uplinks: Decimal, of: &Archive) -> Vec<Item> {
        let request = |purpose, price, quantity| Item { service: "S3 requests", purpose, price, quantity };
        let stored = |purpose, bytes: Decimal| Item {
            service: "S3 storage",
            purpose,
            price: "s3-gb-month",
            quantity: bytes / GIB,
        };
        let polls = POLLERS * SECONDS_A_DAY * MONTH_DAYS / POLL_SECONDS;
        let bytes = of.days_row_bytes.decimal();
        vec![
            Item {
                service: "SQS",
                purpose: "DaysQueue",
                price: "sqs-request",
                quantity: polls + REQUESTS_OF_A_MESSAGE * self.messages,
            },
            request("PUT of days/", "s3-put", self.files),
            request("LIST by days", "s3-put", self.lists),
            request("GET of points/ and reports/ by days", "s3-get", self.gets),
            request("GET of days/ and assignments/ by days", "s3-get", self.plan_gets),
            stored("reports/", uplinks * of.reports_row_bytes.decimal()),
            // `derive` makes those of the day before again.
            stored("reports/, older versions for a day", day_rows * of.reports_row_bytes.decimal() * VERSION_DAYS),
            stored("days/", self.stored * bytes),
            stored("days/, older versions for a day", self.rows / MONTH_DAYS * bytes * VERSION_DAYS),
            stored("assignments/", self.meters * of.assignment_bytes.decimal()),
        ]
    }
}
