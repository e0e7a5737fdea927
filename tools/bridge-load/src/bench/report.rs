//! The report in Markdown.

use std::fmt::Write as _;

use hdrhistogram::Histogram;

use super::sample::{Sample, float};
use super::{Comparison, Options};

/// The whole report.
pub fn markdown(options: &Options, samples: &[Sample], comparisons: &[Comparison]) -> String {
    let mut text = format!("{}\n{}", head(options), table(samples));
    if !comparisons.is_empty() {
        text.push_str(&comparison(options, comparisons));
    }
    text
}

fn head(options: &Options) -> String {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    let (cpus, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let kilobytes = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    let gigabytes = kilobytes.and_then(|text| text.parse().ok()).unwrap_or(0.0) * 1024.0 / 1e9;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = read("/proc/loadavg");
    format!(
        "Measured on {cores} cores of {model}, {gigabytes:.0} GB of memory, Linux {kernel}; load at the end: {load}.\n\
         The fleet, the bridge and the stand-in for Kinesis share these cores. Kinesis answers after {delay} ms.\n\
         Command: `{command}`\n",
        model = model.trim_start_matches([' ', '\t', ':']),
        kernel = read("/proc/sys/kernel/osrelease").trim(),
        load = load.split(' ').next().unwrap_or_default(),
        delay = options.delay.as_millis(),
        command = std::env::args().collect::<Vec<_>>().join(" "),
    )
}

fn table(samples: &[Sample]) -> String {
    let mut text = String::from(
        "| Readings/s | Reached | Seconds | Sent | Acknowledged | Repeated | Given up | CPU s per million: user | system | Peak MB | p50 ms \
         | p99 ms | p99.9 ms | First try p99 ms | Records/put | kB/put | User records/record |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for sample in samples {
        let (report, taken) = (&sample.report, sample.taken);
        let _ = writeln!(
            text,
            "| {} | {:.0} | {} | {} | {} | {} | {} | {:.2} | {:.2} | {:.1} | {} | {} | {} | {} | {:.0} | {:.0} | {:.0} |",
            sample.rate,
            float(report.readings) / report.sending.as_secs_f64(),
            sample.seconds,
            report.readings,
            report.acknowledged,
            report.datagrams - report.readings,
            report.given_up,
            sample.per_million(sample.used.user),
            sample.per_million(sample.used.system),
            sample.used.peak_memory,
            milliseconds(&report.latency, 0.5),
            milliseconds(&report.latency, 0.99),
            milliseconds(&report.latency, 0.999),
            milliseconds(&report.first_try, 0.99),
            ratio(taken.records, taken.requests),
            ratio(taken.bytes, taken.requests) / 1e3,
            ratio(taken.user_records, taken.records),
        );
    }
    text.push_str(
        "\nLatency is from the first sending of a reading to its acknowledgement, repetitions included; it is up to 0.5 ms too \
         high. CPU is of the bridge alone, per million datagrams that got through.\n",
    );
    if samples.iter().any(|sample| sample.report.unexpected > 0) {
        text.push_str("\n**There were answers that acknowledge no reading.**\n");
    }
    text
}

fn comparison(options: &Options, comparisons: &[Comparison]) -> String {
    let mut text = format!(
        "\nAgainst a bare loop (recvmmsg, the same authentication, {} or not, and nothing stored) at {}/s; medians of {} runs in turns:\n\n\
         | | Bridge: CPU s per million | system share | got through | Bare: CPU s per million | system share | got through | Bridge / bare |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n",
        "an answer by sendmmsg", options.compared, options.runs
    );
    for Comparison { answers, bridge, bare } in comparisons {
        let cells = |samples: &[Sample]| {
            let through = |sample: &Sample| 100.0 * ratio(sample.through, sample.report.datagrams);
            let (cost, share) = (median(samples, Sample::cost), 100.0 * median(samples, Sample::system_share));
            format!("{cost:.2} | {share:.0} % | {:.2} %", median(samples, through))
        };
        let times = median(bridge, Sample::cost) / median(bare, Sample::cost);
        let what = if *answers { "acknowledging" } else { "silent" };
        let _ = writeln!(text, "| {what} | {} | {} | {times:.2} |", cells(bridge), cells(bare));
    }
    text
}

/// A quantile of a histogram of microseconds.
pub(super) fn milliseconds(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    (float(histogram.value_at_quantile(quantile)) / 100.0).round() / 10.0
}

fn ratio(of: u64, by: u64) -> f64 {
    float(of) / float(by.max(1))
}

fn median(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
