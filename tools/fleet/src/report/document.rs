//! The report, as markdown.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use super::invocations::Functions;
use super::recorded::Recorded;
use super::study;
use crate::chart::Chart;
use crate::print::{Format, Table};

const HEAD: &str = "\
# Load tests

Written by `fleet report` from the files of recorded runs; do not edit. Each run is `fleet load` against a stack, then
`fleet audit`, and `fleet report --record` for the functions' logs; its files are in its directory. Numbers of messages are uplinks of meters: a
series of four counts as four. Runs of `fleet simulate`, the former name, are from before the archive: raw uplinks were in a table then.
";

const DELIVERED: &str = "
Delivered: found by `fleet audit` in the pulses table or, in a stack without one, decoded from the archive. Accounted for: every
acknowledged message is in the archive and among the pulses, as its meter sent it; the points of every meter are what it counted; queues and
dead-letter queues are empty.
";

const FAULTS: &str = "
Messages, or requests in the case of callbacks, that were dropped, sent twice or delayed on purpose. Kills of the bridge are not included.
";

const BURST: &str = "
Against the bridge alone, with a stream in memory; the function on the stream puts objects into an archive in memory, which takes 150 ms for
each. Durable: found in the stream as its meter sent it. Lost: acknowledged, but not in the stream. Strange: in the stream, but not as any
meter sent it.
";

const FUNCTIONS: &str = "
Run time is that of the handler, from its log. The local cloud gathers a stream's records for the template's window, as Lambda does, and
takes from a queue all that is there: the number of uplinks per invocation behind queues differs on AWS.
";

const MACHINE: &str = "
Processor time as reported by Linux; 100 % is one core. The local cloud stands in for AWS, with the functions as its children. All of it runs
on the machine that also runs the bridge and the load generator.
";

const LATENCY: &str = "
From the first transmission to the acknowledgement, repetitions included; and, for a sample, from transmission to the item in the pulses table.
";

const STUDY: &str = "
## What the study measured

A study of 2020 built the same pipeline twice and loaded it with an hour of messages from hourly meters. Its serverless build:

";

/// The whole document. Links to charts are relative to its directory.
pub(super) fn text(runs: &[Recorded], charts: &[(Chart, PathBuf)], directory: &Path) -> String {
    let mut text = HEAD.to_owned();
    machines(runs, &mut text);
    commands(runs, &mut text);
    for (table, after) in sections(runs) {
        let (title, table) = (table.title.clone(), Table { title: String::new(), ..table });
        // Writing to a string cannot fail.
        let _ = write!(text, "\n## {title}\n\n{}{after}", table.text(Format::Markdown));
    }
    for (n, (chart, file)) in charts.iter().enumerate() {
        let head = if n == 0 { "\n## Over time\n" } else { "" };
        let _ = write!(text, "{head}\n![{}]({})\n", chart.title, relative(file, directory).display());
    }
    text.push_str(STUDY);
    text.push_str(&study::serverless().text(Format::Markdown));
    text.push_str("\nIts build on rented machines:\n\n");
    text.push_str(&study::cluster().text(Format::Markdown));
    text
}

/// The tables alone.
pub(super) fn tables(runs: &[Recorded]) -> Vec<Table> {
    sections(runs).into_iter().map(|(table, _)| table).collect()
}

/// The tables that have rows, each with its explanation.
fn sections(runs: &[Recorded]) -> Vec<(Table, &'static str)> {
    let all = [
        ("Messages", messages(runs), DELIVERED),
        ("Faults", faults(runs), FAULTS),
        ("Bursts", bursts(runs), BURST),
        ("Functions", functions(runs), FUNCTIONS),
        ("Processors and memory", processors(runs), MACHINE),
        ("Latency", latency(runs), LATENCY),
    ];
    let some = all.into_iter().filter(|(_, table, _)| !table.rows.is_empty());
    some.map(|(title, table, after)| (Table { title: title.to_owned(), ..table }, after)).collect()
}

/// Path of a file relative to a directory.
fn relative(file: &Path, directory: &Path) -> PathBuf {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (file, directory) = (whole(file), whole(directory));
    let common = file.components().zip(directory.components()).take_while(|(a, b)| a == b).count();
    let up = directory.components().skip(common).map(|_| Component::ParentDir);
    up.chain(file.components().skip(common)).collect()
}

/// The machines of the runs, each once.
fn machines(runs: &[Recorded], text: &mut String) {
    let mut told = Vec::new();
    for run in runs {
        let Some(machine) = run.machine() else { continue };
        let day = run.day().map_or_else(String::new, |day| format!(" on {day}"));
        let line = format!("\nMeasured{day}, on {machine}.\n");
        if !told.contains(&line) {
            text.push_str(&line);
            told.push(line);
        }
    }
}

/// The command of each run.
fn commands(runs: &[Recorded], text: &mut String) {
    let commands: Vec<String> =
        runs.iter().filter_map(|run| Some(format!("    {}\n", run.option("command")?))).collect();
    if !commands.is_empty() {
        let _ = write!(text, "\n{}", commands.concat());
    }
}

fn messages(runs: &[Recorded]) -> Table {
    let head =
        ["run", "devices", "on Sigfox", "sending, s", "messages a second", "most in a second", "sent", "acknowledged"];
    let more = ["given up", "delivered", "accounted for"];
    let mut table = Table::new("", &[&head[..], &more[..]].concat());
    for run in runs.iter().filter(|run| run.run.measured.burst.is_none()) {
        let (spec, measured, counts) = (&run.run.spec, &run.run.measured, run.counts());
        let audited =
            |of: fn(&crate::audit::NetworkCounts) -> u64| counts.as_ref().map_or_else(dash, |c| of(c).to_string());
        table.row([
            run.name.clone(),
            spec.devices.to_string(),
            format!("{:.0} %", spec.sigfox_share * 100.0),
            format!("{:.0}", run.sending()),
            format!("{:.0}", run.rate()),
            format!("{:.0}", measured.peak_rate),
            measured.sent.to_string(),
            audited(|c| c.acknowledged),
            audited(|c| c.given_up),
            audited(|c| c.pulses),
            run.is_accounted_for().map_or_else(dash, |yes| if yes { "yes" } else { "no" }.to_owned()),
        ]);
    }
    table
}

fn faults(runs: &[Recorded]) -> Table {
    let mut table = Table::new("", &["run", "lost", "sent twice", "sessions held back"]);
    for run in runs {
        let measured = &run.run.measured;
        let counts = [measured.lost, measured.duplicated, measured.reordered];
        if counts.iter().any(|&count| count > 0) {
            table.row([run.name.clone()].into_iter().chain(counts.iter().map(ToString::to_string)));
        }
    }
    table
}

fn bursts(runs: &[Recorded]) -> Table {
    let head = ["run", "devices", "most in a second", "sent", "acknowledged", "durable", "lost", "most in the bridge"];
    let more = ["most in the stream", "strange", "objects", "shards", "stored", "not stored", "stored after, s"];
    let mut table = Table::new("", &[&head[..], &more[..]].concat());
    for run in runs {
        let (spec, measured) = (&run.run.spec, &run.run.measured);
        let Some(burst) = &measured.burst else { continue };
        table.row([
            run.name.clone(),
            spec.devices.to_string(),
            format!("{:.0}", measured.peak_rate),
            measured.sent.to_string(),
            burst.acknowledged.to_string(),
            burst.durable.to_string(),
            burst.lost.to_string(),
            burst.most(|second| second.in_bridge).to_string(),
            burst.most(|second| second.in_stream).to_string(),
            burst.strangers.to_string(),
            if burst.objects > 0 { burst.objects.to_string() } else { dash() },
            burst.shards.to_string(),
            burst.stored.to_string(),
            burst.unstored.to_string(),
            format!("{:.0}", burst.drained_after),
        ]);
    }
    table
}

fn functions(runs: &[Recorded]) -> Table {
    let mut table = Table::default();
    for run in runs {
        let Some(functions) = &run.functions else { continue };
        let of_run = functions_of(functions);
        table.head = [vec!["run".to_owned()], of_run.head].concat();
        table.rows.extend(of_run.rows.into_iter().map(|row| [vec![run.name.clone()], row].concat()));
    }
    table
}

/// The functions of a run.
pub(super) fn functions_of(functions: &Functions) -> Table {
    let head =
        ["function", "invocations", "uplinks each", "mean, ms", "median, ms", "99 %, ms", "longest, ms", "log, bytes"];
    let mut table = Table::new("", &head);
    for (name, function) in &functions.functions {
        table.row([
            name.clone(),
            function.invocations.to_string(),
            format!("{:.1}", function.uplinks_per_invocation()),
            format!("{:.1}", function.mean_ms),
            format!("{:.1}", function.p50_ms),
            format!("{:.1}", function.p99_ms),
            format!("{:.1}", function.max_ms),
            format!("{:.0}", function.log_bytes),
        ]);
    }
    table
}

fn processors(runs: &[Recorded]) -> Table {
    let head = ["run", "bridge, % of a core", "bridge, s per million", "bridge, MB", "local cloud, % of a core"];
    let more = ["local cloud, MB", "load generator, % of a core", "load generator, MB"];
    let mut table = Table::new("", &[&head[..], &more[..]].concat());
    for run in runs {
        let measured = &run.run.measured;
        let cpu = |part: &str| measured.cpu_seconds.get(part).copied();
        let percent =
            |part: &str| cpu(part).map_or_else(dash, |s| format!("{:.1}", s / measured.seconds.max(1.0) * 100.0));
        let memory = |part: &str| measured.rss.get(part).map_or_else(dash, |bytes| megabytes(*bytes));
        let each = cpu_per_million(run).map_or_else(dash, |seconds| format!("{seconds:.2}"));
        table.row([
            run.name.clone(),
            percent("bridge"),
            each,
            memory("bridge"),
            percent("cloud"),
            memory("cloud"),
            percent("simulator"),
            Some(measured.simulator_rss).filter(|bytes| *bytes > 0).map_or_else(dash, megabytes),
        ]);
    }
    table
}

/// The bridge's processor time per million datagrams, seconds.
pub(super) fn cpu_per_million(run: &Recorded) -> Option<f64> {
    let measured = &run.run.measured;
    let received = measured.bridge.get("pulsegate_bridge_received_total").copied().filter(|count| *count > 0.0)?;
    Some(measured.cpu_seconds.get("bridge")? / received * 1e6)
}

fn latency(runs: &[Recorded]) -> Table {
    let head = ["run", "what", "median, ms", "90 %, ms", "99 %, ms", "99.9 %, ms", "longest, ms"];
    let mut table = Table::new("", &head);
    for run in runs {
        let measured = &run.run.measured;
        let sample = format!("to the pulses table ({} samples)", measured.to_pulses_samples);
        for (what, times) in [
            ("NB-IoT, acknowledged", measured.nbiot_ack_ms),
            ("callback, answered", measured.callback_ms),
            (&sample, measured.to_pulses_ms),
        ] {
            let Some(times) = times else { continue };
            let row = [run.name.clone(), what.to_owned()].into_iter();
            table.row(row.chain(times.iter().map(|ms| format!("{ms:.1}"))));
        }
    }
    table
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

fn dash() -> String {
    "-".to_owned()
}
