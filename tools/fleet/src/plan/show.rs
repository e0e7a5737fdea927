//! A plan as tables, and as lines for `samconfig.toml`.

use rust_decimal::Decimal;

use super::needs::Needs;
use super::{Options, minutes};
use crate::cost::measurement::Measurement;
use crate::cost::money::rounded;
use crate::cost::ours::Database;
use crate::print::Table;

/// The parameters of the template that a plan sets, with their values and why.
pub fn overrides(options: &Options, needs: &Needs) -> Vec<(&'static str, String, String)> {
    let mut all = Vec::new();
    let mut set = |name: &'static str, value: String, why: String| all.push((name, value, why));
    if options.database == Database::Provisioned {
        let used = options.utilisation.normalize();
        set("BillingMode", "PROVISIONED".to_owned(), "the load is known".to_owned());
        let why = format!("writes of {} uplinks a second, {used} of it used", rounded(needs.average, 1));
        set("TableWriteCapacity", needs.writes.to_string(), why);
    } else {
        set("BillingMode", "PAY_PER_REQUEST".to_owned(), "as asked for".to_owned());
    }
    set("RawRetentionDays", options.raw_days.to_string(), "as asked for".to_owned());
    let stream = format!(
        "{} MB and {} records a second at most",
        rounded(needs.stream_bytes / Decimal::from(1_000_000), 2),
        rounded(needs.stream_records, 0)
    );
    set("StreamShards", needs.shards.to_string(), stream);
    set("StreamRetentionHours", options.stream_hours.to_string(), "as asked for".to_owned());
    let give_up = options.give_up_seconds().to_string();
    set("StreamGiveUpSeconds", give_up, "before the stream forgets the record".to_owned());
    let concurrency = "for each queue: twice as many as fill the tables' capacity, at least 2".to_owned();
    set("MaximumConcurrency", needs.concurrency.to_string(), concurrency);
    let callbacks = format!("twice the {} callbacks of the fastest second", rounded(needs.callbacks, 1));
    set("ThrottleRate", needs.throttle.0.to_string(), format!("{callbacks}, at least 100"));
    set("ThrottleBurst", needs.throttle.1.to_string(), "twice that".to_owned());
    let busy = format!(
        "{} datagrams in the fastest second: {} % of {} tasks",
        rounded(needs.datagrams, 1),
        rounded(needs.busy * Decimal::ONE_HUNDRED, 1),
        needs.bridge.tasks
    );
    set("BridgeCpu", needs.bridge.size.to_string(), busy);
    set("BridgeMinTasks", needs.bridge.tasks.to_string(), "a burst is over before scaling has seen it".to_owned());
    let most = needs.bridge.tasks.saturating_mul(3);
    set("BridgeMaxTasks", most.to_string(), "room to scale".to_owned());
    all
}

/// The parameters.
pub fn parameters(options: &Options, needs: &Needs) -> Table {
    let title = format!("What {} devices need: parameters of template.yaml", options.devices);
    let mut table = Table::new(title, &["parameter", "value", "why"]);
    for (name, value, why) in overrides(options, needs) {
        table.row([name.to_owned(), value, why]);
    }
    table
}

/// How an hour's uplinks drain.
pub fn burst(options: &Options, needs: &Needs) -> Table {
    let drain = &needs.drain;
    let mut table = Table::new("An hour's uplinks", &["what", "value"]);
    let mut set = |what: &str, value: String| table.row([what.to_owned(), value]);
    set("uplinks", rounded(drain.uplinks, 0).to_string());
    set("a second, on average", rounded(needs.average, 1).to_string());
    set("a second, at most", rounded(needs.peak, 1).to_string());
    set("minutes in which they come", rounded(minutes(drain.comes), 1).to_string());
    set("a second, by tables and functions", rounded(drain.rate, 1).to_string());
    set("minutes until the last is a pulse", rounded(minutes(drain.takes), 1).to_string());
    set("most that waits", rounded(drain.backlog, 0).to_string());
    let give_up = Decimal::from(options.give_up_seconds());
    let held = drain.takes <= give_up && drain.rate >= needs.average;
    let verdict = if held { "long enough" } else { "NOT long enough" };
    set("the stream keeps records for", format!("{} hours: {verdict}", options.stream_hours));
    for note in &needs.notes {
        set("note", note.clone());
    }
    table
}

/// Where the numbers are from.
pub fn inputs(options: &Options, measured: &Measurement) -> Table {
    let mut table = Table::new("Reckoned from", &["what", "from"]);
    table.row(["measurements", measured.source.as_str()]);
    for run in &measured.runs {
        table.row(["measured".to_owned(), format!("{}: `{}`; {}", run.date, run.command, run.machine)]);
    }
    let slower = options.slower.normalize();
    table.row(["functions' time".to_owned(), format!("{slower} times what was measured (`--slower`)")]);
    table.row(["limits", "AWS's documentation, as tools/fleet/src/cost/limits.rs names it"]);
    table
}

/// Lines for `samconfig.toml`, to merge into a section such as `[prod.deploy.parameters]`, which may set other parameters as well.
pub fn samconfig(options: &Options, needs: &Needs) -> String {
    let mut text =
        format!("# {}\n# Merge this into the section's own list.\nparameter_overrides = [\n", options.command());
    for (name, value, _) in overrides(options, needs) {
        text.push_str("    \"");
        text.push_str(name);
        text.push('=');
        text.push_str(&value);
        text.push_str("\",\n");
    }
    text.push_str("]\n");
    for note in &needs.notes {
        text.push_str("# ");
        text.push_str(note);
        text.push('\n');
    }
    text
}
