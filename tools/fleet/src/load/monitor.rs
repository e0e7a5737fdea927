//! Monitor: samples processes and the bridge's counters during a run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::interval;

use super::http::Web;
use super::procfs::{self, Usage};
use super::prometheus;
use super::sigfox::lock;
use crate::Problem;
use crate::stack::Stack;

const EVERY: Duration = Duration::from_secs(2);

/// Time-out of a request for the bridge's metrics.
const METRICS_TIMEOUT: Duration = Duration::from_secs(2);

/// Resource usage and counters since the start.
#[derive(Debug, Clone, Default)]
pub(super) struct ResourceUsage {
    /// Seconds of processor time, by part.
    pub(super) cpu_seconds: BTreeMap<String, f64>,
    /// Bytes of memory, by part.
    pub(super) rss: BTreeMap<String, u64>,
    /// The bridge's counters.
    pub(super) bridge: BTreeMap<String, f64>,
}

/// Handle that stops the monitor.
pub(super) struct RunningMonitor {
    task: JoinHandle<()>,
    end: oneshot::Sender<()>,
}

impl RunningMonitor {
    /// Takes a last sample and stops.
    pub(super) async fn end(self) {
        drop(self.end);
        // An error only means that the last sample is missing.
        let _ = self.task.await;
    }
}

/// Samples CPU, memory and metrics.
pub(super) struct Monitor {
    /// Its file names the process of a restarted bridge.
    stack: Option<Stack>,
    bridge: Option<String>,
    cloud: Option<String>,
    metrics: Option<String>,
    web: Web,
    counted: CountedCpu,
    /// `None` until the bridge's counters were read once.
    bridge_before: Option<BTreeMap<String, f64>>,
    seen: Arc<Mutex<ResourceUsage>>,
}

/// Part, process ID and usage.
type Used = (&'static str, String, Usage);

/// Seconds of processor time already counted, by part and process.
#[derive(Debug, Default)]
struct CountedCpu(BTreeMap<(&'static str, String), f64>);

impl CountedCpu {
    /// The increase since the highest value so far. A value may drop briefly, while the time of an ended child is not
    /// yet added to its parent's. For a process that did not exist at the start, all of its time counts.
    fn more(&mut self, (part, pid, usage): &Used) -> f64 {
        let counted = self.0.entry((*part, pid.clone())).or_default();
        let more = (usage.cpu_seconds - *counted).max(0.0);
        *counted += more;
        more
    }
}

impl Monitor {
    /// Monitors a stack: `BRIDGE_PID` and `CLOUD_PID` on this machine, and the metrics beside
    /// `BRIDGE_HEALTH_URL`. Earlier usage is not counted.
    pub(super) async fn of(stack: Stack, seen: Arc<Mutex<ResourceUsage>>) -> Result<Self, Problem> {
        let health = stack.optional("BRIDGE_HEALTH_URL");
        let metrics = health.and_then(|url| Some(format!("{}/metrics", url.rsplit_once('/')?.0)));
        let pid = |name| stack.optional(name).map(str::to_owned);
        let watch = Self::at(pid("BRIDGE_PID"), pid("CLOUD_PID"), metrics, seen).await?;
        Ok(Self { stack: Some(stack), ..watch })
    }

    /// The same, by process IDs and the address of the bridge's metrics.
    pub(super) async fn at(
        bridge: Option<String>,
        cloud: Option<String>,
        metrics: Option<String>,
        seen: Arc<Mutex<ResourceUsage>>,
    ) -> Result<Self, Problem> {
        let web = Web::new(metrics.as_deref().unwrap_or_default(), 1)?;
        let (counted, bridge_before) = (CountedCpu::default(), None);
        let mut watch = Self { stack: None, bridge, cloud, metrics, web, counted, bridge_before, seen };
        for used in watch.processes() {
            watch.counted.more(&used);
        }
        watch.bridge_before = watch.counters().await;
        Ok(watch)
    }

    /// Samples repeatedly, until it is stopped.
    pub(super) fn begin(mut self) -> RunningMonitor {
        let (end, mut ended) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let mut tick = interval(EVERY);
            while tokio::select! { _ = tick.tick() => true, _ = &mut ended => false } {
                self.look().await;
            }
            self.look().await;
        });
        RunningMonitor { task, end }
    }

    async fn look(&mut self) {
        let processes = self.processes();
        let counters = self.counters().await;
        let mut seen = lock(&self.seen);
        for used in processes {
            let more = self.counted.more(&used);
            let (part, _, usage) = used;
            *seen.cpu_seconds.entry(part.to_owned()).or_default() += more;
            let most = seen.rss.entry(part.to_owned()).or_default();
            *most = usage.rss.max(*most);
        }
        if let Some(counters) = counters {
            if let Some(before) = &self.bridge_before {
                prometheus::add(&mut seen.bridge, before, &counters);
            }
            self.bridge_before = Some(counters);
        }
    }

    fn processes(&mut self) -> Vec<Used> {
        let of = |pid: &Option<String>, look: fn(&str) -> Option<Usage>| {
            let pid = pid.clone()?;
            let usage = look(&pid)?;
            Some((pid, usage))
        };
        let bridge = of(&self.bridge, procfs::process).or_else(|| {
            // The bridge was killed; whoever restarted it has written its new process ID to the file.
            self.bridge = Some(self.stack.as_ref()?.again()?.optional("BRIDGE_PID")?.to_owned());
            of(&self.bridge, procfs::process)
        });
        let parts = [
            ("simulator", Some(("self".to_owned(), procfs::own()))),
            ("bridge", bridge),
            ("cloud", of(&self.cloud, procfs::tree)),
        ];
        parts.into_iter().filter_map(|(part, found)| found.map(|(pid, usage)| (part, pid, usage))).collect()
    }

    async fn counters(&self) -> Option<BTreeMap<String, f64>> {
        let text = tokio::time::timeout(METRICS_TIMEOUT, self.web.get(self.metrics.as_ref()?)).await;
        Some(prometheus::counters(&text.ok()??))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn time_that_is_told_less_of_for_a_moment_is_not_counted_twice() {
        let mut counted = CountedCpu::default();
        let mut more = |pid: &str, cpu_seconds| counted.more(&("cloud", pid.to_owned(), Usage { cpu_seconds, rss: 0 }));
        let added: f64 = [10.0, 15.0, 12.0, 15.0, 16.0].map(|seconds| more("1", seconds)).iter().sum();
        assert!((added - 16.0).abs() < 1e-9, "{added}");
        assert!((more("2", 3.0) - 3.0).abs() < 1e-9, "of a process that is new all is counted");
    }

    #[tokio::test]
    async fn a_bridge_that_was_started_anew_is_found_again() {
        let file = std::env::temp_dir().join(format!("pulsegate-env-{:016x}", fastrand::u64(..)));
        let mut ended = Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        std::fs::write(&file, format!("BRIDGE_PID={}\n", ended.id())).unwrap();
        let seen = Arc::default();
        let mut watch = Monitor::of(Stack::read(Some(&file)).unwrap(), Arc::clone(&seen)).await.unwrap();
        watch.look().await;
        assert!(!lock(&seen).rss.contains_key("bridge"));
        std::fs::write(&file, format!("BRIDGE_PID={}\n", std::process::id())).unwrap();
        watch.look().await;
        std::fs::remove_file(&file).unwrap();
        assert!(lock(&seen).rss["bridge"] > 1024 * 1024);
    }
}
