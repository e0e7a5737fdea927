//! Counts of each second of a burst, and their charts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::archive::ArchiveContents;
use super::drain::DrainProgress;
use super::stream::Stream;
use crate::Problem;
use crate::chart::{Axis, Chart, Line};
use crate::run::{Measured, Second};

/// Totals at a whole second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) put: u64,
    pub(super) written: u64,
    pub(super) passed: u64,
}

/// Handle of the thread that samples every second.
pub(super) struct Sampler {
    thread: JoinHandle<Vec<Totals>>,
    end: Sender<()>,
}

impl Sampler {
    /// Starts sampling.
    pub(super) fn start(stream: Arc<Stream>, contents: Arc<ArchiveContents>, progress: Arc<DrainProgress>) -> Self {
        let (end, ended) = channel::<()>();
        let began = Instant::now();
        let look = move || Totals {
            // In this order, because the counts grow while they are read.
            passed: progress.passed.load(Ordering::Relaxed),
            written: contents.rows.load(Ordering::Relaxed),
            put: stream.put(),
        };
        let thread = std::thread::spawn(move || {
            let mut totals = Vec::new();
            for second in 1.. {
                let at = began + Duration::from_secs(second);
                let waited = ended.recv_timeout(at.saturating_duration_since(Instant::now()));
                totals.push(look());
                if waited != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
            totals
        });
        Self { thread, end }
    }

    /// Takes the last sample and stops.
    pub(super) fn end(self) -> Result<Vec<Totals>, Problem> {
        drop(self.end);
        self.thread.join().map_err(|_| Problem::Wrong("counting the seconds failed".to_owned()))
    }
}

/// Counts of each second, from the load generator's rates and the samples behind the bridge.
pub(super) fn seconds(measured: &Measured, totals: &[Totals]) -> Vec<Second> {
    let (mut all, mut before) = (Second::default(), Totals::default());
    let mut of_second = |n: usize| {
        let rate = |rates: &[u32]| u64::from(rates.get(n).copied().unwrap_or_default());
        let now = totals.get(n).or(totals.last()).copied().unwrap_or_default();
        let (sent, acknowledged) = (rate(&measured.seconds_sent), rate(&measured.seconds_acknowledged));
        all = Second {
            sent,
            acknowledged,
            put: now.put - before.put,
            drained: now.written - before.written,
            in_bridge: (all.in_bridge + sent).saturating_sub(acknowledged),
            in_stream: now.put.saturating_sub(now.passed),
        };
        before = now;
        all
    };
    (0..totals.len().max(measured.seconds_sent.len())).map(&mut of_second).collect()
}

/// The charts, each with its file name.
pub(crate) fn charts(seconds: &[Second]) -> [(Chart, &'static str); 2] {
    let rates: [(&str, Value); 3] = [
        ("sent", |second| second.sent),
        ("acknowledged", |second| second.acknowledged),
        ("drained", |second| second.drained),
    ];
    let waiting: [(&str, Value); 2] = [
        ("in the bridge (sent, not acknowledged)", |second| second.in_bridge),
        ("in the stream (put, not stored)", |second| second.in_stream),
    ];
    [
        (chart("A burst: messages a second", "messages a second", seconds, &rates), "burst.svg"),
        (chart("A burst: what waits", "messages", seconds, &waiting), "backlog.svg"),
    ]
}

type Value = fn(&Second) -> u64;

#[expect(clippy::cast_precision_loss, reason = "for the eye")]
fn chart(title: &str, y: &str, seconds: &[Second], lines: &[(&str, Value)]) -> Chart {
    let line = |&(name, value): &(&str, Value)| Line {
        name: name.to_owned(),
        points: seconds.iter().enumerate().map(|(n, second)| ((n + 1) as f64, value(second) as f64)).collect(),
    };
    let (x, y) = (Axis::even("seconds since the first message"), Axis::even(y));
    Chart { title: title.to_owned(), x, y, lines: lines.iter().map(line).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_what_came_in_and_has_not_gone_out() {
        let measured = Measured { seconds_sent: vec![10, 5], seconds_acknowledged: vec![4, 11], ..Measured::default() };
        let totals =
            [(6, 0, 0), (15, 8, 7), (15, 15, 16)].map(|(put, written, passed)| Totals { put, written, passed });
        let seconds = seconds(&measured, &totals);
        let told: Vec<_> = seconds.iter().map(|s| (s.put, s.drained, s.in_bridge, s.in_stream)).collect();
        assert_eq!(told, [(6, 0, 6, 6), (9, 8, 0, 8), (0, 7, 0, 0)]);
        assert_eq!(seconds.iter().map(|s| s.sent).collect::<Vec<_>>(), [10, 5, 0]);
    }
}
