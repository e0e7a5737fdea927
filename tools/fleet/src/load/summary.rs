//! Summary of a run as a table.

use crate::print::Table;
use crate::run::{Measured, Run};

/// The table of a run's measurements.
pub(super) fn table(run: &Run) -> Table {
    let Measured { sent, acknowledged, given_up, .. } = run.measured;
    let measured = &run.measured;
    let mut rows = vec![
        ("meters", run.spec.devices.to_string()),
        ("seconds", format!("{:.1}", measured.seconds)),
        ("messages sent", sent.to_string()),
        ("acknowledged", acknowledged.to_string()),
        ("given up", given_up.to_string()),
        ("unsettled at the end", sent.saturating_sub(acknowledged + given_up).to_string()),
        ("datagrams and requests", measured.attempts.to_string()),
        ("dropped on purpose", measured.lost.to_string()),
        ("sent twice on purpose", measured.duplicated.to_string()),
        ("sessions delayed on purpose", measured.reordered.to_string()),
        ("most messages in a second", format!("{:.0}", measured.peak_rate)),
    ];
    rows.extend(latencies(measured));
    rows.push(("load generator, peak memory, MB", megabytes(measured.simulator_rss)));
    let mut rows: Vec<Vec<String>> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    rows.extend(measured.callbacks.iter().map(|(status, count)| match status {
        0 => vec!["callbacks without an answer".to_owned(), count.to_string()],
        _ => vec![format!("callbacks answered {status}"), count.to_string()],
    }));
    rows.extend(
        measured.cpu_seconds.iter().map(|(part, s)| vec![format!("{part}, processor time, s"), format!("{s:.1}")]),
    );
    rows.extend(measured.rss.iter().map(|(part, bytes)| vec![format!("{part}, peak memory, MB"), megabytes(*bytes)]));
    Table { title: "The run".to_owned(), head: vec!["what".to_owned(), "value".to_owned()], rows }
}

fn latencies(measured: &Measured) -> Vec<(&'static str, String)> {
    let latencies = [
        ("NB-IoT acknowledged after, ms: median, 99 %, longest", measured.nbiot_ack_ms),
        ("callbacks answered after, ms: median, 99 %, longest", measured.callback_ms),
        ("in the pulses table after, ms: median, 99 %, longest", measured.to_pulses_ms),
    ];
    let text = |[median, _, p99, _, longest]: [f64; 5]| format!("{median:.1}, {p99:.1}, {longest:.1}");
    latencies.into_iter().filter_map(|(name, times)| Some((name, text(times?)))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}
