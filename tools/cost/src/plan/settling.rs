//! The archive's part of a plan: partitions, runs of `settle`, and their time and memory.

use rust_decimal::{Decimal, dec};

use super::options::{Options, SETTLE_CHOICES};
use super::requirements::full_batch;
use crate::bill::pulsegate::archive::Work;
use crate::bill::pulsegate::flow::Flow;
use crate::limits::MAX_BITS;
use crate::load::{Arrival, Load};
use crate::measurement::Measurement;
use crate::money::{rounded, whole};
use crate::template::{DAYS_CONCURRENCY, DERIVE_RUNS, RUN_SECONDS, SETTLE_MINUTES};

/// Planned part of a run's time, of its memory, and of a list.
const PLANNED: Decimal = dec!(0.8);

/// Seconds of an hour.
const HOUR: Decimal = dec!(3600);

/// The most that Lambda starts for a queue
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>).
const MAX_CONCURRENCY: Decimal = dec!(1000);

/// Bytes of a MB of memory.
const MB: Decimal = dec!(1_048_576);

/// The needs of a fleet's archive.
#[derive(Debug, Clone, PartialEq)]
pub struct Settling {
    /// Bits of a partition.
    pub bits: u32,
    /// Rows of a file of a whole day.
    pub file_rows: Decimal,
    /// Minutes between runs of `settle`.
    pub minutes: u32,
    /// Objects of a run.
    pub objects: Decimal,
    /// Passes over the day's files, one for each list of objects.
    pub passes: Decimal,
    /// Seconds of the mean run, and of the last one of a day.
    pub seconds: (Decimal, Decimal),
    /// MB of the largest run.
    pub memory: Decimal,
    /// Memory size of the function, MB.
    pub memory_size: Decimal,
    /// PUTs of a month, by raw stages and by `settle`.
    pub puts: (Decimal, Decimal),
    /// Seconds of a run of `derive`.
    pub derive: Decimal,
    /// Seconds of the longest run of `days`, and of all that a night starts.
    pub days: (Decimal, Decimal),
    /// Meters up to which a run merges a whole day's files in time.
    pub most: Decimal,
}

impl Settling {
    /// The longest of [`SETTLE_CHOICES`] with which a run has the memory for its rows, and the time if fewer passes help; the
    /// default if there is none.
    ///
    /// `rate` is the number of uplinks a second that the raw stages process in a burst.
    pub fn of(options: &Options, load: &Load, rate: Decimal, of: &Measurement) -> Self {
        let each = |minutes| Self::with(minutes, options, load, rate, of);
        let in_time = |one: &Self| one.passes == Decimal::ONE || one.seconds.1 <= RUN_SECONDS * PLANNED;
        let fits = |one: &Self| in_time(one) && one.memory <= one.memory_size * PLANNED;
        SETTLE_CHOICES.into_iter().map(each).find(fits).unwrap_or_else(|| each(SETTLE_MINUTES))
    }

    fn with(minutes: u32, options: &Options, load: &Load, rate: Decimal, of: &Measurement) -> Self {
        let (setup, archive) = (options.setup(minutes), &of.archive);
        let work = Work::of(&setup, load, &Flow::of(&setup, load, of), archive);
        let passes = work.settle.lists;
        // The mean run merges half of the day's rows in each pass.
        let rest_of_day = work.day_rows / dec!(2) * passes;
        let last = work.settle.seconds + rest_of_day * archive.settle_row_us.decimal() / dec!(1_000_000);
        let file_rows = work.day_rows / Decimal::from(1_u64 << work.bits);
        let minutes_of = Decimal::from(minutes);
        let mean = load.hour() * minutes_of / dec!(60);
        let rows = match options.sending.arrival {
            Arrival::Uniform | Arrival::Jitter => mean,
            Arrival::TopOfHour => load.hour().min(rate * minutes_of * dec!(60)).max(mean),
        };
        // A burst makes batches longer, and then more of them.
        let objects = work.objects / work.settle.runs + (rows - mean) / full_batch(of.queues.raw_sigfox.uplink_bytes);
        let memory = file_rows * archive.settle_file_row_memory.decimal()
            + rows / passes * archive.settle_new_row_memory.decimal();
        let in_time = RUN_SECONDS * PLANNED * dec!(1_000_000) / archive.settle_row_us.decimal();
        Self {
            bits: work.bits,
            file_rows,
            minutes,
            objects,
            passes,
            seconds: (work.settle.seconds, last),
            memory: memory / MB,
            memory_size: archive.memory_mb.decimal(),
            puts: (work.objects, work.settle.runs * work.settle.puts),
            derive: work.derive.seconds,
            days: (work.days.longest, work.days.longest * work.days.partitions),
            most: in_time / dec!(24) / load.per_hour,
        }
    }

    /// `SettleSchedule`.
    pub fn schedule(&self) -> String {
        let unit = if self.minutes == 1 { "minute" } else { "minutes" };
        format!("rate({} {unit})", self.minutes)
    }

    /// `DeriveSchedule` if a run a night is not enough: `derive` continues where the last run ended.
    pub fn derive_schedule(&self) -> Option<&'static str> {
        (self.derive > RUN_SECONDS * PLANNED).then_some("cron(0/20 1-5 * * ? *)")
    }

    /// `DaysConcurrency`: as many that a pass ends before the next hour, at least the default.
    pub fn days_concurrency(&self) -> Decimal {
        (self.days.1 / HOUR).ceil().clamp(DAYS_CONCURRENCY.into(), MAX_CONCURRENCY)
    }

    /// Consequences and limits.
    pub fn notes(&self, devices: u64) -> Vec<String> {
        let mut notes = Vec::new();
        let seconds = rounded(self.seconds.1, 0);
        if self.seconds.1 > RUN_SECONDS * PLANNED {
            let stacks = whole(Decimal::from(devices) / self.most);
            notes.push(format!(
                "settle would take {seconds} s for the last run of a day, of {RUN_SECONDS}: beyond {} meters it leaves rows in new/ from \
                 run to run, and reads get slower. Split the fleet over {stacks} stacks, each with its own bucket",
                rounded(self.most, 0)
            ));
        } else if self.seconds.1 > Decimal::from(self.minutes * 60) {
            notes.push(format!(
                "the last runs of a day take {seconds} s and overlap with the next ones. That loses nothing, but both do the same work: \
                 use larger batches (BatchingWindowSeconds) and a longer SettleSchedule"
            ));
        }
        if self.memory > self.memory_size * PLANNED {
            notes.push(format!(
                "settle needs about {} MB, and has {}: give it more memory, or split the fleet over several stacks",
                rounded(self.memory, 0),
                rounded(self.memory_size, 0)
            ));
        }
        if self.passes > Decimal::ONE {
            notes.push(format!(
                "{} objects come between two runs of settle, which take {} passes over the day's files: longer batches \
                 (BatchingWindowSeconds) make fewer and cost less",
                rounded(self.objects, 0),
                self.passes
            ));
        }
        if self.minutes < SETTLE_MINUTES {
            notes.push(format!(
                "SettleSchedule is {} instead of rate({SETTLE_MINUTES} minutes), because of the memory or the time for what comes meanwhile; \
                 each run merges the whole day's files, so settle costs about {} times as much",
                self.schedule(),
                rounded(Decimal::from(SETTLE_MINUTES) / Decimal::from(self.minutes), 1).normalize()
            ));
        }
        if self.bits == MAX_BITS {
            notes.push(format!("files have {} rows: there are at most {MAX_BITS} bits", rounded(self.file_rows, 0)));
        }
        if self.derive_schedule().is_some() {
            notes.push(format!(
                "derive takes {} s a night, of {RUN_SECONDS}; it continues in its next run, so it runs several times a night",
                rounded(self.derive, 0)
            ));
        }
        if self.days.0 > RUN_SECONDS * PLANNED {
            notes.push(format!(
                "days takes up to {} s for a partition, of {RUN_SECONDS}; it continues in its next run",
                rounded(self.days.0, 0)
            ));
        }
        notes
    }

    /// The archive's numbers, as rows of a table.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let of = |value: Decimal, of: Decimal| format!("{} of {}", rounded(value, 0), rounded(of, 0));
        let whole = |value: Decimal| rounded(value, 0).to_string();
        vec![
            ("partitions", (1_u64 << self.bits).to_string()),
            ("rows of a file of a whole day", whole(self.file_rows)),
            ("objects between two runs of settle", whole(self.objects)),
            ("passes of settle over the day's files", self.passes.to_string()),
            ("seconds of settle, mean", of(self.seconds.0, RUN_SECONDS)),
            ("seconds of settle, last run of a day", of(self.seconds.1, RUN_SECONDS)),
            ("MB of settle", of(self.memory, self.memory_size)),
            ("PUTs of raw stages a month", whole(self.puts.0)),
            ("PUTs of settle a month", whole(self.puts.1)),
            ("seconds of derive", of(self.derive, RUN_SECONDS)),
            ("runs of derive a month", rounded(DERIVE_RUNS, 1).to_string()),
            ("seconds of days, the longest run of a partition", of(self.days.0, RUN_SECONDS)),
            (
                "minutes of all runs of days at the end of a month",
                whole(self.days.1 / self.days_concurrency() / dec!(60)),
            ),
            ("meters up to which settle merges a day in time", whole(self.most)),
        ]
    }
}
