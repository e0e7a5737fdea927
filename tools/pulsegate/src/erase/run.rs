//! The steps of a run.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pulsegate_aws::DeviceItems;
use pulsegate_pipeline::archive::erase::Erase;
use pulsegate_pipeline::archive::store::{Condition, Get, Got, Put};
use pulsegate_pipeline::archive::tombstones;
use pulsegate_pipeline::archive::versions::VersionedStore;
use pulsegate_pipeline::ports::{Queue, ReceiveQueue, Received};
use tokio::time::{Instant, sleep};

use super::messages::{self, Verdict};
use super::report::{Count, Report};
use super::{Order, Places, QueueEnds, REQUEST_TIMEOUT, deadline, undelivered};
use crate::progress::Progress;
use crate::redrive::walk::Walk;
use crate::stop::Stop;
use crate::{CommandOutput, Problem};

/// Time between two looks at the stop flag while waiting.
const WAIT_INTERVAL: Duration = Duration::from_secs(1);

const STOPPED: Problem = Problem::Stopped(": the same command continues");

/// A running command.
struct Run<'a, S, T, I, A> {
    places: &'a Places<S, T, I, A>,
    order: &'a Order,
    stop: &'a Stop,
    progress: Mutex<Progress>,
}

/// Erases the device, or shows what would be removed. If the run ends early, or something is left, the output has the
/// problem beside the report.
pub async fn run<S, T, I, A>(places: &Places<S, T, I, A>, order: &Order, stop: &Stop) -> CommandOutput
where
    S: VersionedStore + Sync,
    T: DeviceItems,
    I: ReceiveQueue,
    A: Queue,
{
    let mut report = Report::default();
    let run = Run { places, order, stop, progress: Mutex::new(Progress::new()) };
    let ended = run.all(&mut report).await;
    report.finished = ended.is_ok();
    CommandOutput { text: report.print(order), problem: ended.err().or_else(|| report.problem(order)) }
}

impl<S, T, I, A> Run<'_, S, T, I, A>
where
    S: VersionedStore + Sync,
    T: DeviceItems,
    I: ReceiveQueue,
    A: Queue,
{
    async fn all(&self, report: &mut Report) -> Result<(), Problem> {
        let &Order { device, write, grace, now, .. } = self.order;
        let archive = &self.places.archive;
        if !write {
            report.tombstone = tombstones::load(archive, deadline()).await?.of(device);
            return self.search(report).await;
        }
        // First, so that nothing which arrives from now on is stored.
        let erased = tombstones::bury(archive, device, now, deadline()).await?;
        report.tombstone = Some(erased);
        let age = u64::try_from(now.unix() - erased.unix()).unwrap_or_default();
        let safe = Instant::now() + grace.saturating_sub(Duration::from_secs(age));
        let is_final = Instant::now() >= safe;
        self.search(report).await?;
        if is_final {
            return Ok(());
        }
        self.wait(safe).await?;
        self.search(report).await
    }

    /// Waits until no invocation can still run that began before the tombstone.
    async fn wait(&self, until: Instant) -> Result<(), Problem> {
        while Instant::now() < until {
            self.check()?;
            let left = until.saturating_duration_since(Instant::now());
            self.report(|| format!("waiting {} s for invocations that began before the tombstone", left.as_secs()));
            sleep(left.min(WAIT_INTERVAL)).await;
        }
        Ok(())
    }

    /// Removes what is found of the device in each place. Sources are before what is made of them.
    async fn search(&self, report: &mut Report) -> Result<(), Problem> {
        for queue in &self.places.queues {
            report.add(queue.name, self.queue(queue).await?);
            self.check()?;
        }
        report.add("undelivered stream records", self.undelivered().await?);
        self.check()?;
        let (flag, progress) = (self.stop, &self.progress);
        let stop = || {
            said(progress, || "searching the archive".to_owned());
            flag.is_requested()
        };
        let &Order { device, write, .. } = self.order;
        let erase = Erase { store: &self.places.archive, device, write, timeout: REQUEST_TIMEOUT, stop: &stop };
        report.add("archive, new/", erase.objects().await?.into());
        report.add("archive, day/", erase.files().await?.into());
        report.add("archive, points/", erase.points().await?.into());
        report.add("archive, days/", erase.days().await?.into());
        report.add("archive, older versions", erase.older_versions().await?.into());
        self.check()?;
        for (name, table) in &self.places.tables {
            report.add(&format!("table of {name}"), self.table(name, table).await?);
        }
        self.check()
    }

    async fn table(&self, name: &str, table: &T) -> Result<Count, Problem> {
        let device = self.order.device;
        if !self.order.write {
            let found = table.count(device, deadline()).await?;
            return Ok(Count { found, rows: found, ..Count::default() });
        }
        let mut removed = 0;
        while !self.stop.is_requested() {
            let some = table.delete_some(device, deadline()).await?;
            if some == 0 {
                break;
            }
            removed += some;
            self.report(|| format!("{removed} items of the table of {name} deleted"));
        }
        Ok(Count { found: removed, rows: removed, removed, left: 0 })
    }

    async fn queue(&self, queue: &QueueEnds<I, A>) -> Result<Count, Problem> {
        // It takes messages of any age: what it sends again has nothing of the device, so it does not loop.
        let mut walk = Walk::new(&queue.inbox, u64::MAX);
        let mut count = Count::default();
        let ended = loop {
            if self.stop.is_requested() {
                break Ok(());
            }
            match walk.next().await {
                Ok(Some(messages)) => self.messages(queue, &mut walk, messages, &mut count).await,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.into()),
            }
            self.report(|| format!("{} messages of {} found", count.found, queue.name));
        };
        walk.end().await;
        ended.map(|()| count)
    }

    /// Deletes those messages that are of the device, once what they have of others is in the queue.
    async fn messages(
        &self,
        queue: &QueueEnds<I, A>,
        walk: &mut Walk<'_, I>,
        messages: Vec<Received>,
        count: &mut Count,
    ) {
        for Received { id, body, .. } in messages {
            let others = match messages::judge(self.order.device, &id, &body) {
                Verdict::Keep => continue,
                Verdict::Inseparable => {
                    eprintln!("pulsegate: the message {id} of {} has uplinks of other devices too", queue.name);
                    count.left += 1;
                    continue;
                }
                Verdict::Delete(others) => others,
            };
            count.found += 1;
            count.rows += 1;
            if self.order.write && queue.again.send(&others, deadline()).await.is_empty() {
                count.removed += 1 - walk.delete(&[&id]).await;
            }
        }
    }

    async fn undelivered(&self) -> Result<Count, Problem> {
        let store = &self.places.undelivered;
        let mut count = Count::default();
        let mut after: Option<String> = None;
        loop {
            let page = store.list("", after.as_deref(), deadline()).await?;
            for listed in &page.objects {
                if self.stop.is_requested() {
                    return Ok(count);
                }
                self.undelivered_object(&listed.key, &mut count).await?;
                self.report(|| format!("{} undelivered objects found", count.found));
            }
            after = page.objects.last().map(|listed| listed.key.clone());
            if !page.truncated {
                return Ok(count);
            }
        }
    }

    async fn undelivered_object(&self, key: &str, count: &mut Count) -> Result<(), Problem> {
        let store = &self.places.undelivered;
        let Got::Object(object) = store.get(Get::whole(key), deadline()).await? else { return Ok(()) };
        let new = match undelivered::judge(self.order.device, &object.content) {
            undelivered::Verdict::Keep => return Ok(()),
            undelivered::Verdict::Unreadable => {
                eprintln!("pulsegate: the object {key} of undelivered records cannot be read");
                count.left += 1;
                return Ok(());
            }
            undelivered::Verdict::Delete => None,
            undelivered::Verdict::Replace(content) => Some(content),
        };
        count.found += 1;
        count.rows += 1;
        let removed = match new {
            _ if !self.order.write => false,
            None => store.delete(&[key.to_owned()], deadline()).await.is_empty(),
            Some(content) => {
                let condition = Condition::Version(&object.etag);
                matches!(store.put(key, content.into(), condition, deadline()).await?, Put::Done(_))
            }
        };
        count.removed += usize::from(removed);
        Ok(())
    }

    fn check(&self) -> Result<(), Problem> {
        if self.stop.is_requested() { Err(STOPPED) } else { Ok(()) }
    }

    fn report(&self, line: impl FnOnce() -> String) {
        said(&self.progress, line);
    }
}

fn said(progress: &Mutex<Progress>, line: impl FnOnce() -> String) {
    progress.lock().unwrap_or_else(PoisonError::into_inner).report(|_| line());
}
