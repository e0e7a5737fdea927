//! Looks at processes and at the bridge's counters while a fleet sends.

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

/// For the bridge to tell its counters.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was used and counted since the start.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Seconds of processor time, by part.
    pub(super) cpu_seconds: BTreeMap<String, f64>,
    /// Bytes of memory, by part.
    pub(super) rss: BTreeMap<String, u64>,
    /// The bridge's counters.
    pub(super) bridge: BTreeMap<String, f64>,
}

/// Somebody who looks.
pub(super) struct Watching {
    task: JoinHandle<()>,
    end: oneshot::Sender<()>,
}

impl Watching {
    /// Once more, and no more.
    pub(super) async fn end(self) {
        drop(self.end);
        // It looked in vain, at worst.
        let _ = self.task.await;
    }
}

/// Looks.
pub(super) struct Watch {
    bridge: Option<String>,
    cloud: Option<String>,
    metrics: Option<String>,
    web: Web,
    cpu_before: BTreeMap<String, f64>,
    bridge_before: BTreeMap<String, f64>,
    seen: Arc<Mutex<Seen>>,
}

impl Watch {
    /// At what can be seen of a stack: `BRIDGE_PID` and `CLOUD_PID` on this machine, and the metrics beside
    /// `BRIDGE_HEALTH_URL`. What was there before is not counted.
    pub(super) async fn of(stack: &Stack, seen: Arc<Mutex<Seen>>) -> Result<Self, Problem> {
        let health = stack.optional("BRIDGE_HEALTH_URL");
        let metrics = health.and_then(|url| Some(format!("{}/metrics", url.rsplit_once('/')?.0)));
        let pid = |name| stack.optional(name).map(str::to_owned);
        Self::at(pid("BRIDGE_PID"), pid("CLOUD_PID"), metrics, seen).await
    }

    /// The same, by process IDs and the address of the bridge's metrics.
    pub(super) async fn at(
        bridge: Option<String>,
        cloud: Option<String>,
        metrics: Option<String>,
        seen: Arc<Mutex<Seen>>,
    ) -> Result<Self, Problem> {
        let mut watch = Self {
            bridge,
            cloud,
            web: Web::new(metrics.as_deref().unwrap_or_default(), 1)?,
            metrics,
            cpu_before: BTreeMap::new(),
            bridge_before: BTreeMap::new(),
            seen,
        };
        watch.cpu_before = watch.processes().into_iter().map(|(part, usage)| (part, usage.cpu_seconds)).collect();
        watch.bridge_before = watch.counters().await.unwrap_or_default();
        Ok(watch)
    }

    /// Looks again and again, until it is told to end.
    pub(super) fn begin(mut self) -> Watching {
        let (end, mut ended) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let mut tick = interval(EVERY);
            while tokio::select! { _ = tick.tick() => true, _ = &mut ended => false } {
                self.look().await;
            }
            self.look().await;
        });
        Watching { task, end }
    }

    async fn look(&mut self) {
        let processes = self.processes();
        let counters = self.counters().await;
        let mut seen = lock(&self.seen);
        let cpu: BTreeMap<String, f64> =
            processes.iter().map(|(part, usage)| (part.clone(), usage.cpu_seconds)).collect();
        prometheus::add(&mut seen.cpu_seconds, &self.cpu_before, &cpu);
        self.cpu_before = cpu;
        for (part, usage) in processes {
            let most = seen.rss.entry(part).or_default();
            *most = usage.rss.max(*most);
        }
        if let Some(counters) = counters {
            prometheus::add(&mut seen.bridge, &self.bridge_before, &counters);
            self.bridge_before = counters;
        }
    }

    fn processes(&self) -> BTreeMap<String, Usage> {
        let bridge = self.bridge.as_deref().and_then(procfs::process);
        let cloud = self.cloud.as_deref().and_then(procfs::tree);
        let parts = [("simulator", Some(procfs::own())), ("bridge", bridge), ("cloud", cloud)];
        parts.into_iter().filter_map(|(part, usage)| Some((part.to_owned(), usage?))).collect()
    }

    async fn counters(&self) -> Option<BTreeMap<String, f64>> {
        let text = tokio::time::timeout(PATIENCE, self.web.get(self.metrics.as_ref()?)).await;
        Some(prometheus::counters(&text.ok()??))
    }
}
