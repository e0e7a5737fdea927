//! A plan as tables, and as lines for `samconfig.toml`.

use std::fmt::Write as _;

use rust_decimal::{Decimal, dec};

use super::options::Options;
use super::requirements::Requirements;
use crate::bill::pulsegate::setup::{Database, Store};
use crate::measurement::Measurement;
use crate::money::rounded;
use crate::print::Table;
use crate::template::DAYS_CONCURRENCY;

/// The template parameters that a plan sets, each with value and reason.
pub fn overrides(options: &Options, requirements: &Requirements) -> Vec<(&'static str, String, String)> {
    let mut all = Vec::new();
    let mut set = |name: &'static str, value: String, why: String| all.push((name, value, why));
    let archive = options.store == Store::Archive;
    let why = if archive { "pulses are decoded when they are read" } else { "as requested" };
    set("PulseTable", (!archive).to_string(), why.to_owned());
    if archive {
        // The table's parameters have no effect.
    } else if options.database == Database::Provisioned {
        let used = options.utilisation.normalize();
        set("BillingMode", "PROVISIONED".to_owned(), "the load is known".to_owned());
        let why =
            format!("writes of {} uplinks a second, {used} of the capacity used", rounded(requirements.average, 1));
        set("TableWriteCapacity", requirements.writes.to_string(), why);
    } else {
        set("BillingMode", "PAY_PER_REQUEST".to_owned(), "as requested".to_owned());
    }
    if !archive {
        set("PulseRetentionDays", options.pulse_days.to_string(), "as requested; 0: for ever".to_owned());
    }
    set("ArchiveRetentionDays", options.archive_days.to_string(), "as requested; 0: for ever".to_owned());
    let settling = &requirements.settling;
    let bits = format!("{} rows in a file of a whole day", rounded(settling.file_rows, 0));
    set("PartitionBits", format!("{}={}", options.from_day, settling.bits), bits);
    let last = format!(
        "the last run of a day takes {} s and {} MB",
        rounded(settling.seconds.1, 0),
        rounded(settling.memory, 0)
    );
    set("SettleSchedule", settling.schedule(), last);
    if let Some(schedule) = settling.derive_schedule() {
        set("DeriveSchedule", schedule.to_owned(), "a run has hardly the time for a night's files".to_owned());
    }
    if settling.days_concurrency() > DAYS_CONCURRENCY.into() {
        let why = "all days are made within an hour at the end of a month".to_owned();
        set("DaysConcurrency", settling.days_concurrency().to_string(), why);
    }
    let stream = format!(
        "{} MB and {} records a second at most",
        rounded(requirements.stream_bytes / Decimal::from(1_000_000), 2),
        rounded(requirements.stream_records, 0)
    );
    set("StreamShards", requirements.shards.to_string(), stream);
    set("StreamRetentionHours", options.stream_hours.to_string(), "as requested".to_owned());
    let give_up = options.give_up_seconds().to_string();
    set("StreamGiveUpSeconds", give_up, "before the stream deletes the record".to_owned());
    let concurrency = match options.store {
        Store::Archive => "drains the queue at twice the average, or a burst within ten minutes; at least 2",
        Store::Pulses | Store::Tables => "for each queue: twice as many as use the table's capacity, at least 2",
    }
    .to_owned();
    set("MaximumConcurrency", requirements.concurrency.to_string(), concurrency);
    let callbacks = format!("twice the {} callbacks of the busiest second", rounded(requirements.callbacks, 1));
    set("ThrottleRate", requirements.throttle.0.to_string(), format!("{callbacks}, at least 100"));
    set("ThrottleBurst", requirements.throttle.1.to_string(), "twice that".to_owned());
    let busy = format!(
        "{} datagrams in the busiest second: {} % of {} tasks",
        rounded(requirements.datagrams, 1),
        rounded(requirements.busy * Decimal::ONE_HUNDRED, 1),
        requirements.bridge.tasks
    );
    set("BridgeCpu", requirements.bridge.size.to_string(), busy);
    set("BridgeMinTasks", requirements.bridge.tasks.to_string(), "a burst is over before scaling reacts".to_owned());
    let most = requirements.bridge.tasks.saturating_mul(3);
    set("BridgeMaxTasks", most.to_string(), "limit of scaling".to_owned());
    all
}

/// The template parameters as a table.
pub fn parameters(options: &Options, requirements: &Requirements) -> Table {
    let title = format!("Parameters of template.yaml for {} devices", options.devices);
    let mut table = Table::new(title, &["parameter", "value", "why"]);
    for (name, value, why) in overrides(options, requirements) {
        table.row([name.to_owned(), value, why]);
    }
    table
}

/// How an hour's uplinks drain, as a table.
pub fn burst(options: &Options, requirements: &Requirements) -> Table {
    let drain = &requirements.drain;
    let mut table = Table::new("An hour's uplinks", &["what", "value"]);
    let mut set = |what: &str, value: String| table.row([what.to_owned(), value]);
    set("uplinks", rounded(drain.uplinks, 0).to_string());
    set("uplinks a second, average", rounded(requirements.average, 1).to_string());
    set("uplinks a second, maximum", rounded(requirements.peak, 1).to_string());
    set("minutes in which they arrive", rounded(minutes(drain.arrives_in), 1).to_string());
    set("uplinks a second that table and functions process", rounded(drain.rate, 1).to_string());
    set("minutes until the last uplink is stored", rounded(minutes(drain.takes), 1).to_string());
    set("maximum backlog", rounded(drain.backlog, 0).to_string());
    let give_up = Decimal::from(options.give_up_seconds());
    let held = drain.takes <= give_up && drain.rate >= requirements.average;
    let verdict = if held { "long enough" } else { "NOT long enough" };
    set("the stream keeps records for", format!("{} hours: {verdict}", options.stream_hours));
    for note in &requirements.notes {
        set("note", note.clone());
    }
    table
}

/// The archive, as a table.
pub fn archive(requirements: &Requirements) -> Table {
    let mut table = Table::new("The archive", &["what", "value"]);
    for (what, value) in requirements.settling.rows() {
        table.row([what.to_owned(), value]);
    }
    table
}

/// The sources of the numbers.
pub fn inputs(options: &Options, measured: &Measurement) -> Table {
    let mut table = Table::new("Inputs", &["input", "source"]);
    table.row(["measurements", measured.source.as_str()]);
    for run in &measured.runs {
        table.row(["measured".to_owned(), format!("{}: `{}`; {}", run.date, run.command, run.machine)]);
    }
    let slower = options.slower.normalize();
    table.row(["functions' time".to_owned(), format!("{slower} times the measured time (`--slower`)")]);
    table.row(["limits", "AWS's documentation, with links in tools/cost/src/limits.rs"]);
    table
}

/// Lines for `samconfig.toml`, to merge into a section such as `[prod.deploy.parameters]`, which may set other parameters as well.
pub fn samconfig(options: &Options, requirements: &Requirements) -> String {
    let mut text =
        format!("# {}\n# Merge this into the section's own list.\nparameter_overrides = [\n", options.command());
    for (name, value, _) in overrides(options, requirements) {
        // SAM ends a value at a space unless it is quoted. Writing to a string cannot fail.
        let value = if value.contains(' ') { format!("\\\"{value}\\\"") } else { value };
        let _ = writeln!(text, "    \"{name}={value}\",");
    }
    text.push_str("]\n");
    for note in &requirements.notes {
        text.push_str("# ");
        text.push_str(note);
        text.push('\n');
    }
    text
}

/// Converts seconds to minutes.
fn minutes(seconds: Decimal) -> Decimal {
    seconds / dec!(60)
}
