//! The output, in Markdown.

use pulsegate_model::consumption::StepKind;

use crate::figures::Figures;

/// Prints the meters whose volume is not the difference of their register's readings, and why.
pub(crate) fn print_differences(meters: &[(&str, Figures)]) {
    println!("| Meter | Register, L | Volume, L | Volume - register, L | by decreases | Breaks |");
    println!("|---|---:|---:|---:|---:|---|");
    for (name, of) in meters.iter().filter(|(_, of)| of.exact == 0) {
        let name: String = name.chars().take(8).collect();
        let small: u64 = of.falls.iter().map(|(litres, _)| litres).filter(|litres| **litres <= 100).sum();
        let breaks: Vec<String> = of.breaks.iter().map(|(kind, count)| format!("{count} {}", named(*kind))).collect();
        println!(
            "| {name} | {} | {} | {} | {small} | {} |",
            of.register,
            of.volume,
            of.volume - of.register,
            breaks.join(", ")
        );
    }
    println!();
}

/// Prints all figures of several sets, beside those of the study.
pub(crate) fn print(columns: &[(String, Figures)]) {
    let heads: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    println!("| | {} | Study |\n|---|{}---:|", heads.join(" | "), "---:|".repeat(columns.len()));
    let row = |name: &str, study: &str, cell: &dyn Fn(&Figures) -> String| {
        let cells: Vec<String> = columns.iter().map(|(_, figures)| cell(figures)).collect();
        println!("| {name} | {} | {study} |", cells.join(" | "));
    };
    let falls =
        |of: &Figures, is: fn(&(u64, bool)) -> bool| of.falls.iter().filter(|fall| is(fall)).count().to_string();
    let breaks = |of: &Figures, kind| of.breaks.get(&kind).copied().unwrap_or(0).to_string();
    row("Readings", "822,503", &|of| of.readings.to_string());
    row("Meters", "92", &|of| of.meters.to_string());
    row("Last reading less first, L", "", &|of| of.register.to_string());
    row("V(end) - V(start), L", "", &|of| of.volume.to_string());
    row("Meters of which both are equal", "", &|of| of.exact.to_string());
    row("Falls of the register", "246", &|of| of.falls.len().to_string());
    row("on so many meters", "28", &|of| of.fallen.to_string());
    row("of at most 100 L", "238", &|of| falls(of, |(litres, _)| *litres <= 100));
    row("of 1 L", "149", &|of| falls(of, |(litres, _)| *litres == 1));
    row("of at most 100 L, recovered at the next reading", "146", &|of| {
        falls(of, |(litres, recovered)| *litres <= 100 && *recovered)
    });
    row("Breaks: decrease", "", &|of| breaks(of, StepKind::Decrease));
    row("Breaks: reset", "", &|of| breaks(of, StepKind::Reset));
    row("Breaks: implausible", "", &|of| breaks(of, StepKind::Implausible));
    row("Outliers, left out", "", &|of| of.outliers.to_string());
    row("Times with two readings", "78", &|of| of.repeated.to_string());
    row("that contradict each other", "8", &|of| of.contradicted.to_string());
    row("Volume in steps of at most 1.5 h", "86.3 %", &|of| by_length(of, 0, 4));
    row("of at most 24 h", "96.9 %", &|of| by_length(of, 1, 4));
    row("of at most 72 h", "98.1 %", &|of| by_length(of, 2, 4));
    row("of at most 1.5 h, steps over 60 days left out", "", &|of| by_length(of, 0, 3));
    row("of at most 24 h, steps over 60 days left out", "", &|of| by_length(of, 1, 3));
    row("of at most 72 h, steps over 60 days left out", "", &|of| by_length(of, 2, 3));
    row("Ledger: timed", "", &|of| share(of.timed, of.volume));
    row("Ledger: spread", "", &|of| share(of.spread, of.volume));
    row("Ledger: unplaced", "", &|of| share(of.unplaced, of.volume));
    for (nth, name) in ["measured", "interpolated", "partial", "missing"].into_iter().enumerate() {
        row(&format!("Hours {name}"), "", &|of| percent(of.hours[nth], of.hours.iter().sum()));
    }
    row("Clock hours read", "85.6 %", &|of| percent(of.clock_hours_read, of.clock_hours));
    row("Days with a reading", "96.5 %", &|of| percent(of.days_read, of.days));
    row("Days with 24 readings", "58.2 %", &|of| percent(of.days_of_24, of.days));
    row("Days complete by the ledger", "", &|of| percent(of.days_complete, of.days));
    for (name, study, part) in
        [("p99", "106", 9_900), ("p99.9", "214", 9_990), ("p99.99", "537", 9_999), ("highest", "", 10_000)]
    {
        row(&format!("Litres an hour of a step, {name}"), study, &|of| percentile(&of.rates, part));
        row(&format!("of a clock hour, {name}"), "", &|of| percentile(&of.flows, part));
        row(&format!("of a measured clock hour, {name}"), "", &|of| percentile(&of.measured_flows, part));
    }
}

fn named(kind: StepKind) -> String {
    format!("{kind:?}").to_lowercase()
}

fn by_length(of: &Figures, length: usize, all: usize) -> String {
    share(of.by_length[length], of.by_length[all])
}

fn percent(some: usize, all: usize) -> String {
    share(i64::try_from(some).unwrap_or(i64::MAX), i64::try_from(all).unwrap_or(i64::MAX))
}

/// A share of all, rounded to a tenth of a per cent.
fn share(some: i64, all: i64) -> String {
    let tenths = (2_000 * some + all) / (2 * all).max(1);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// The value that so many of ten thousand do not exceed, in litres.
fn percentile(thousandths: &[i64], part: usize) -> String {
    let mut sorted = thousandths.to_vec();
    sorted.sort_unstable();
    let nth = (sorted.len() * part).div_ceil(10_000).saturating_sub(1);
    sorted.get(nth).map_or_else(String::new, |thousandths| ((thousandths + 500) / 1_000).to_string())
}
