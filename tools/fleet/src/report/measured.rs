//! The measurement file, from which costs are calculated.

use cost::measurement::{self, Measurement};

use super::document::cpu_per_million;
use super::fit::Sums;
use super::invocations::{Functions, RUNTIME_MS};
use super::record::PULSE_FUNCTIONS;
use super::recorded::Recorded;
use crate::Problem;
use crate::audit::Sizes;
use crate::run::Volume;

/// Memory of each of these functions in the template, MB: its default. A test compares both.
pub(super) const MEMORY_MB: f64 = 256.0;

/// Measurements of recorded runs: batch sizes are those of the run with the highest rate; times and sizes are from all
/// runs.
pub(super) fn measurement(runs: &[Recorded]) -> Result<Measurement, Problem> {
    let recorded: Vec<&Recorded> = runs.iter().filter(|run| run.functions.is_some() && run.audit.is_some()).collect();
    let fastest = recorded.iter().copied().max_by(|a, b| a.rate().total_cmp(&b.rate()));
    let (Some(fastest), Some(functions)) = (fastest, fastest.and_then(|run| run.functions.as_ref())) else {
        return Err(Problem::Wrong(
            "no run has both audit.json and functions.json: run `fleet audit` and `fleet report --record` first"
                .to_owned(),
        ));
    };
    if fastest.option("callbacks").is_some_and(|channel| channel != "batch") {
        return Err(Problem::Wrong(format!(
            "{} has the highest rate, and called back one by one; what a batch costs is measured with --callbacks batch",
            fastest.name
        )));
    }
    let mut all = Measurement::built_in()?;
    let mut not = Vec::new();
    if !fill_functions(&mut all, &recorded, fastest, functions)? {
        not.push("the functions behind the pulse queues");
    }
    fill_sizes(&mut all, &recorded);
    if !fill_traffic(&mut all, fastest) {
        not.push("bytes of datagrams, acknowledgements, callbacks and answers");
    }
    if !fill_stream(&mut all, fastest) {
        not.push("the stream's records");
    }
    // The bridge's batches grow with the rate. Its processors must suffice at the peak, so the highest rate counts.
    let busiest = runs.iter().max_by(|a, b| a.rate().total_cmp(&b.rate()));
    match busiest.and_then(cpu_per_million) {
        Some(seconds) => all.bridge.cpu_seconds_per_million = seconds,
        None => not.push("the bridge's processor time"),
    }
    match functions.bridge_log_bytes_per_minute {
        Some(bytes) => {
            all.bridge.log_bytes_per_minute = bytes;
            all.metrics = u32::try_from(functions.metrics.len()).unwrap_or(u32::MAX);
        }
        None => not.push("the bridge's log and metrics"),
    }
    all.runs = runs.iter().map(of_run).collect();
    all.provisional = !not.is_empty();
    all.source = source(fastest, &not);
    Ok(all)
}

fn source(fastest: &Recorded, not: &[&str]) -> String {
    let not = match not {
        [] => String::new(),
        not => format!(" Not measured in runs, but taken from elsewhere: {}.", not.join("; ")),
    };
    format!(
        "Measured by fleet load, fleet audit and fleet report. Uplinks of an invocation and of a record are those of the run {}; the \
         bridge's processor time is that of the highest rate. Billed is \
         the handler's own time and an assumed {RUNTIME_MS} ms for the runtime, in whole milliseconds, and what is fixed of it and \
         what each uplink adds is the straight line through all invocations of all runs. The local cloud gathers a stream's records for the template's window, \
         and takes from a queue whatever is there.{not}",
        fastest.name,
    )
}

fn of_run(run: &Recorded) -> measurement::Recorded {
    let option = |name| run.option(name);
    measurement::Recorded {
        date: run.day().unwrap_or_else(|| "unknown".to_owned()),
        machine: run.machine().unwrap_or_else(|| "unknown".to_owned()),
        command: option("command").unwrap_or_else(|| format!("fleet load --devices {}", run.run.spec.devices)),
        devices: run.run.spec.devices,
        uplinks_per_second: run.rate(),
    }
}

/// Sets the functions. `false` if those behind the pulse queues are unknown: the stack has no pulses table.
fn fill_functions(
    all: &mut Measurement,
    runs: &[&Recorded],
    run: &Recorded,
    fastest: &Functions,
) -> Result<bool, Problem> {
    let mut is_whole = true;
    let functions = &mut all.functions;
    for (name, to) in [
        ("sigfox-callback", &mut functions.sigfox_callback),
        ("raw-sigfox", &mut functions.raw_sigfox),
        ("pulse-sigfox", &mut functions.pulse_sigfox),
        ("raw-nbiot", &mut functions.raw_nbiot),
        ("pulse-nbiot", &mut functions.pulse_nbiot),
    ] {
        let mut sums = Sums::default();
        let of_runs = runs.iter().filter_map(|run| run.functions.as_ref()?.functions.get(name));
        of_runs.for_each(|function| sums.add(&function.billed_sums));
        let of_fastest = fastest.functions.get(name).filter(|function| function.uplinks > 0);
        let (Some(function), Some(line)) = (of_fastest, sums.line()) else {
            if PULSE_FUNCTIONS.contains(&name) && !fastest.functions.contains_key(name) {
                is_whole = false;
                continue;
            }
            return Err(Problem::Wrong(format!(
                "the run with the highest rate has no invocation of {name}: record one of both networks"
            )));
        };
        *to = measurement::Function {
            memory_mb: MEMORY_MB,
            uplinks_per_invocation: function.uplinks_per_invocation(),
            uplinks_per_second: float(function.uplinks) / run.sending(),
            billed_ms: function.billed_ms,
            fixed_ms: line.fixed,
            per_uplink_ms: line.each,
            log_bytes: function.log_bytes,
        };
    }
    Ok(is_whole)
}

/// Sizes of pulse items, and of the same uplinks in messages of queues.
fn fill_sizes(all: &mut Measurement, runs: &[&Recorded]) {
    let audits = || runs.iter().filter_map(|run| run.audit.as_ref());
    let of = |network: &str| {
        let sizes = audits().filter_map(|audit| audit.sizes.get(network));
        sizes.fold(Sizes::default(), |mut sum, sizes| {
            sum.add(sizes);
            sum
        })
    };
    let (sigfox, nbiot) = (of("sigfox"), of("nbiot"));
    let each = |sum: u64, count: u64, or: f64| if count > 0 && sum > 0 { float(sum) / float(count) } else { or };
    // One comma per uplink separates the uplinks of a message.
    let message = |sizes: &Sizes, or| each(sizes.message_bytes + sizes.uplinks, sizes.uplinks, or);
    all.queues.raw_sigfox.uplink_bytes = message(&sigfox, all.queues.raw_sigfox.uplink_bytes);
    all.queues.pulse_sigfox.uplink_bytes = message(&sigfox, all.queues.pulse_sigfox.uplink_bytes);
    all.queues.pulse_nbiot.uplink_bytes = message(&nbiot, all.queues.pulse_nbiot.uplink_bytes);
    let mut both = sigfox;
    both.add(&nbiot);
    let tables = &mut all.tables;
    tables.pulse_bytes = each(both.pulses.bytes, both.pulses.items, tables.pulse_bytes);
    tables.pulse_units = each(both.pulses.units, both.pulses.items, tables.pulse_units);
}

/// Sets the bytes on the wire. `false` if they are unknown.
fn fill_traffic(all: &mut Measurement, run: &Recorded) -> bool {
    let mean = |name| run.run.measured.traffic.get(name).filter(|volume| volume.count > 0).copied().map(Volume::mean);
    let means = (mean("datagrams"), mean("acknowledgements"), mean("uplinks"), mean("answers"));
    let (Some(datagram), Some(acknowledgement), Some(line), Some(answer)) = means else { return false };
    (all.bridge.datagram_bytes, all.bridge.acknowledgement_bytes) = (datagram, acknowledgement);
    (all.callbacks.line_bytes, all.callbacks.answer_bytes) = (line, answer);
    true
}

/// Sets the bridge's records in the stream. `false` if they are unknown.
fn fill_stream(all: &mut Measurement, run: &Recorded) -> bool {
    let measured = &run.run.measured;
    let counter = |name: &str| measured.bridge.get(&format!("pulsegate_bridge_{name}")).copied().filter(|n| *n > 0.0);
    let counters =
        (counter("put_records_count"), counter("put_records_sum"), counter("put_bytes_sum"), counter("durable_total"));
    let (Some(puts), Some(records), Some(bytes), Some(durable)) = counters else { return false };
    all.stream = measurement::Stream {
        uplinks_per_record: durable / records,
        record_bytes: bytes / records,
        records_per_put: records / puts,
        uplinks_per_second: durable / run.sending(),
        bridges: 1.0,
    };
    true
}

#[expect(clippy::cast_precision_loss, reason = "counts of runs")]
fn float(count: u64) -> f64 {
    count as f64
}
