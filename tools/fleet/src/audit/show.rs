//! Tables of the audit's result.

use super::check::{AuditResult, all};
use super::findings::{Audit, ConsumptionFindings, NetworkCounts, Sources, networks};
use crate::print::{Format, Table, several};

/// Selects a count.
type One = fn(&NetworkCounts) -> u64;

/// Counts of messages, in the order of the pipeline.
const COUNTS: [(&str, One); 11] = [
    ("sent", |c| c.sent),
    ("acknowledged", |c| c.acknowledged),
    ("never acknowledged", |c| c.given_up),
    ("never acknowledged, but stored", |c| c.given_up_stored),
    ("in the archive, to the byte", |c| c.raw),
    ("as pulses", |c| c.pulses),
    ("in quarantine", |c| c.quarantined),
    ("among dead letters", |c| c.dead_letters),
    ("not stored as sent", |c| c.altered),
    ("stored, but not noted as sent", |c| c.unnoted),
    ("acknowledged, but lost on the way", |c| c.lost),
];

/// All tables.
pub(super) fn text(found: &AuditResult, list: usize, format: Format) -> String {
    let audit = &found.audit;
    let mut tables = vec![sources(&audit.sources), messages(audit), meters(audit)];
    tables.extend(audit.consumption.as_ref().map(consumption));
    tables.push(queues(audit));
    if !found.missing.is_empty() {
        tables.push(missing(found, list));
    }
    tables.extend([examples(&found.audit), verdict(&found.audit)].into_iter().filter(|table| !table.rows.is_empty()));
    several(&tables, format)
}

fn sources(sources: &Sources) -> Table {
    let Sources { objects, object_bytes, files, file_bytes, rows, pulses_table } = sources;
    let mut table = Table::new("Read from", &["", "source"]);
    let archive = format!(
        "archive: {objects} objects in new/ ({object_bytes} bytes), {files} files ({file_bytes} bytes), {rows} distinct rows"
    );
    table.row(["uplinks", &archive]);
    table.row(["pulses", if *pulses_table { "pulses table" } else { "archive, decoded by this program" }]);
    table
}

fn messages(audit: &Audit) -> Table {
    let [sigfox, nbiot] = networks();
    let mut table = Table::new("Messages", &["", &sigfox, &nbiot, "all"]);
    let of = |network: &str| audit.networks.get(network).copied().unwrap_or_default();
    let columns = [of(&sigfox), of(&nbiot), all(&audit.networks)];
    for (name, count) in COUNTS {
        table.row([name.to_owned()].into_iter().chain(columns.iter().map(|column| count(column).to_string())));
    }
    table
}

fn meters(audit: &Audit) -> Table {
    let mut table = Table::new("Meters, by their points", &["", "meters"]);
    table.row(["points match".to_owned(), audit.meters.right.to_string()]);
    table.row(["points differ".to_owned(), audit.meters.wrong.to_string()]);
    table.row(["not compared: part of a session is missing".to_owned(), audit.meters.in_part.to_string()]);
    table
}

fn consumption(found: &ConsumptionFindings) -> Table {
    let mut table = Table::new("Consumption and ledger", &["", "number"]);
    let counts = [
        ("meters right", found.right),
        ("meters wrong", found.wrong),
        ("meters not compared", found.skipped),
        ("days of channels", found.days),
        ("rows of days/ that are equal", found.stored_days),
    ];
    for (name, count) in counts {
        table.row([name.to_owned(), count.to_string()]);
    }
    for (quality, hours) in &found.hours {
        table.row([format!("hours {quality}"), hours.to_string()]);
    }
    table.row(["uplinks lost between others".to_owned(), found.lost.to_string()]);
    table.row(["of which covered".to_owned(), found.covered.to_string()]);
    for (name, count) in &found.happened {
        table.row([format!("with: {name}"), count.to_string()]);
    }
    for name in &found.not_happened {
        table.row([format!("did not happen: {name}"), "0".to_owned()]);
    }
    table
}

fn queues(audit: &Audit) -> Table {
    let mut table = Table::new("Queues", &["", "waiting", "in flight", "delayed"]);
    for (name, waiting) in &audit.queues {
        let counts = [waiting.visible, waiting.in_flight, waiting.delayed];
        table.row([name.clone()].into_iter().chain(counts.iter().map(ToString::to_string)));
    }
    table
}

fn missing(found: &AuditResult, list: usize) -> Table {
    let title = format!("Missing, or not as sent (the first {list}; all of them with --missing FILE)");
    let mut table = Table::new(title, &["device", "uplink", "hour", "last seen", "why"]);
    for each in &found.missing {
        let why = each.why.clone().unwrap_or_default();
        let (device, hour) = (each.device.to_string(), each.session.to_string());
        table.row([device, each.uplink.clone(), hour, each.stage.text().to_owned(), why]);
    }
    table
}

fn examples(audit: &Audit) -> Table {
    let mut table = Table::new("Some of what is wrong", &["what", "which"]);
    audit.strange.examples.iter().for_each(|each| table.row(["sent by no session", each]));
    audit.meters.examples.iter().for_each(|each| table.row(["points", each]));
    let consumption = audit.consumption.iter().flat_map(|found| &found.examples);
    consumption.for_each(|each| table.row(["consumption", each]));
    table
}

fn verdict(audit: &Audit) -> Table {
    let counts = all(&audit.networks);
    let delivered = if counts.sent == counts.pulses {
        format!("yes: {} of {}", counts.pulses, counts.sent)
    } else {
        format!("no: {} of {}", counts.pulses, counts.sent)
    };
    let mut table = Table::new("", &["", "verdict"]);
    table.row(["sent = delivered".to_owned(), delivered]);
    table.row(["items of other devices".to_owned(), audit.foreign.to_string()]);
    table.row(["in quarantine, uplink unknown".to_owned(), audit.quarantined_unknown.to_string()]);
    for not in &audit.not_looked_at {
        table.row(["not looked at", not]);
    }
    let ok = if audit.ok { "yes".to_owned() } else { format!("no: {}", audit.wrong.join("; ")) };
    table.row(["all accounted for".to_owned(), ok]);
    table
}
