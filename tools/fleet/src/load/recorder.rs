//! Recorder: writes the files of a run, and displays its progress.

use std::collections::BTreeMap;
use std::ops::Add as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::counters::{Callbacks, Probed, Udp};
use super::engine::{Observer, View};
use super::monitor::ResourceUsage;
use super::sigfox::lock;
use crate::Problem;
use crate::run::{Measured, Run, Volume};

/// Counters that other tasks update.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedCounters {
    pub(super) callbacks: Arc<Mutex<Callbacks>>,
    pub(super) probed: Arc<Mutex<Probed>>,
    pub(super) seen: Arc<Mutex<ResourceUsage>>,
}

/// Writes the directory of a run.
pub(super) struct Recorder {
    directory: PathBuf,
    run: Run,
    /// Measurements from before `--resume`.
    before: Measured,
    shared: SharedCounters,
    bar: ProgressBar,
    shown: (Duration, u64),
}

impl Recorder {
    /// For a run of so many sessions. Adds to its earlier measurements.
    pub(super) fn new(directory: PathBuf, run: Run, shared: SharedCounters, sessions: Option<u64>) -> Self {
        let before = run.measured.clone();
        Self { directory, run, before, shared, bar: bar(sessions), shown: (Duration::ZERO, 0) }
    }

    /// Adds the last samples and resource usage, and writes `run.json`.
    pub(super) fn finish(mut self) -> Result<Run, Problem> {
        self.bar.finish_and_clear();
        self.with_others();
        self.run.write(&self.directory)?;
        Ok(self.run)
    }

    fn measure(&mut self, view: &View<'_>) {
        let none = Udp::default();
        let udp = view.udp.unwrap_or(&none);
        let rates = |before: &[u32], since: &[u32]| before.iter().chain(since).copied().collect::<Vec<u32>>();
        let (before, ledger) = (&self.before, view.ledger);
        let seconds_sent = rates(&before.seconds_sent, &view.rates.sent);
        self.run.measured = Measured {
            complete: view.is_over,
            seconds: before.seconds + view.elapsed.as_secs_f64(),
            sent: ledger.sent(),
            acknowledged: ledger.acknowledged(),
            given_up: ledger.given_up,
            attempts: before.attempts + udp.attempts,
            lost: before.lost + udp.lost,
            duplicated: before.duplicated + udp.duplicated,
            reordered: view.reordered,
            late: view.late,
            unexpected: before.unexpected + udp.unexpected,
            refused: before.refused + udp.refused,
            nbiot_ack_ms: udp.latency.quantiles().or(before.nbiot_ack_ms),
            peak_rate: seconds_sent.iter().max().copied().unwrap_or_default().into(),
            seconds_sent,
            seconds_acknowledged: rates(&before.seconds_acknowledged, &view.rates.acknowledged),
            ..Measured::default()
        };
        let callbacks = lock(&self.shared.callbacks).clone();
        let measured = &mut self.run.measured;
        measured.attempts += callbacks.attempts;
        measured.lost += callbacks.lost;
        measured.duplicated += callbacks.duplicated;
        measured.callbacks = sum(&before.callbacks, &callbacks.by_status, |a, b| a + b);
        measured.callback_ms = callbacks.latency.quantiles().or(before.callback_ms);
        let traffic = [
            ("datagrams", udp.datagrams),
            ("acknowledgements", udp.acknowledgements),
            ("uplinks", callbacks.uplinks),
            ("answers", callbacks.answers),
        ];
        measured.traffic =
            sum(&before.traffic, &traffic.map(|(name, volume)| (name.to_owned(), volume)).into(), Volume::add);
        self.with_others();
    }

    fn with_others(&mut self) {
        let (before, measured) = (&self.before, &mut self.run.measured);
        let probed = lock(&self.shared.probed).clone();
        measured.to_pulses_ms = probed.latency.quantiles().or(before.to_pulses_ms);
        measured.to_pulses_missed = before.to_pulses_missed + probed.missed;
        measured.to_pulses_samples = before.to_pulses_samples + probed.latency.count() + probed.missed;
        let seen = lock(&self.shared.seen).clone();
        measured.cpu_seconds = sum(&before.cpu_seconds, &seen.cpu_seconds, |a, b| a + b);
        measured.bridge = sum(&before.bridge, &seen.bridge, |a, b| a + b);
        measured.rss = sum(&before.rss, &seen.rss, u64::max);
        measured.simulator_rss = measured.rss.remove("simulator").unwrap_or_default();
        measured.simulator_rss = measured.simulator_rss.max(before.simulator_rss);
    }
}

impl Observer for Recorder {
    fn show(&mut self, view: &View<'_>) {
        let (shown, acknowledged_then) = std::mem::replace(&mut self.shown, (view.elapsed, view.ledger.acknowledged()));
        let (seconds, ledger) = (view.elapsed.saturating_sub(shown).as_secs_f64().max(0.001), view.ledger);
        let acknowledged = ledger.acknowledged();
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let rate = acknowledged.saturating_sub(acknowledged_then) as f64 / seconds;
        self.bar.set_position(view.done);
        self.bar.set_message(format!(
            "{rate:.0}/s, {acknowledged} acknowledged, {} in transit, {} delayed, {} given up",
            ledger.outstanding, view.waiting, ledger.given_up
        ));
    }

    /// Writes the sessions first, so that `run.json` never claims more sent messages than they do.
    fn write(&mut self, view: &View<'_>) -> Result<(), Problem> {
        self.measure(view);
        view.ledger.sessions.write(&self.directory)?;
        self.run.write(&self.directory)
    }
}

/// A progress bar of this length; hidden without one.
pub(super) fn bar(of: Option<u64>) -> ProgressBar {
    of.map_or_else(ProgressBar::hidden, |of| {
        let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}");
        ProgressBar::new(of).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    })
}

fn sum<K: Ord + Clone, V: Copy + Default>(
    before: &BTreeMap<K, V>,
    since: &BTreeMap<K, V>,
    add: impl Fn(V, V) -> V,
) -> BTreeMap<K, V> {
    let mut all = before.clone();
    for (name, &value) in since {
        let sum = all.entry(name.clone()).or_default();
        *sum = add(*sum, value);
    }
    all
}
