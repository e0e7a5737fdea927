//! All activity at once: batches are put and delivered again, runs of `settle`, of `derive` and of days overlap, devices are
//! read. Meanwhile the calendar goes on: a round of the storm lasts seconds, and days or weeks pass.
//!
//! `daily` has all that is about days, `erasure` the erasure of a device.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::archive::object;
use pulsegate_pipeline::archive::place::NEW;
use pulsegate_pipeline::archive::points::{Derive, decoder};
use pulsegate_pipeline::archive::reader::{Archive, ArchiveError};
use pulsegate_pipeline::archive::row::Row;
use pulsegate_pipeline::archive::settle::{MAX_MEMORY, Settle, SettleError};
use pulsegate_pipeline::archive::store::{Condition, ObjectStore as _};
use pulsegate_pipeline::archive::tombstones;
use tokio::time::{Instant, sleep};

use super::client::{Bug, Client, Role};
use super::faults::ArchiveFault as Fault;
use super::messages::{self, Messages};
use super::meters::Sent;
use super::objects::ObjectsModel;
use super::verdict;
use crate::simulation::lambda::killed;
use crate::simulation::world::World;

mod daily;
mod erasure;

use daily::Daily;
pub(super) use daily::rewritten;
use erasure::Erasure;

/// Maximum number of uplinks of a batch.
const MAX_BATCH: usize = 4;

/// Maximum number of awaits before the raw stage is killed, and before a run of `settle` is.
const AWAITS_OF_RAW: u32 = 6;
const AWAITS_OF_SETTLE: u32 = 50;

/// The same before a run of `derive` is, which makes a few requests for each file.
const AWAITS_OF_DERIVE: u32 = 150;

/// The time limit of a process that has enough time.
const LONG: Duration = Duration::from_mins(5);

/// Maximum time, in milliseconds, of a run of `settle` that is to have none left.
const SHORT: u64 = 250;

/// The same for `derive`, which reads more.
const SHORT_DERIVE: u64 = 4_000;

/// Maximum number of runs of `settle` until `new/` is empty.
const MAX_CALM_RUNS: usize = 200;

/// Everything that uses the archive.
#[derive(Debug)]
pub struct Activity {
    /// The run.
    pub world: Arc<World<Fault>>,
    /// The delivered uplinks.
    pub messages: Messages,
    /// The bucket.
    pub objects: ObjectsModel,
    bug: Option<Bug>,
    /// Positions of uplinks that are delivered until they are acknowledged and this is not lost.
    pending: RefCell<BTreeSet<usize>>,
    acknowledged: RefCell<BTreeSet<Row>>,
    settling: Cell<usize>,
    /// True if `derive` has a part in this run.
    pub derives: bool,
    deriving: Cell<usize>,
    /// The days, if they have a part in this run.
    pub daily: Option<Daily>,
    /// The time outside: that of messages and days, not that of requests.
    calendar: Cell<At>,
    made: Cell<Made>,
    /// The device that is erased in this run, if one is.
    pub erasing: Option<DeviceId>,
    /// The progress of the erasure.
    erasure: Cell<Erasure>,
    wrong: RefCell<Vec<String>>,
}

/// Counts of completed activities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Made {
    /// Runs of `settle` that ended.
    pub settled: usize,
    /// Runs of `derive` that ended.
    pub derived: usize,
    /// Points files that they wrote.
    pub points_files: usize,
    /// Runs of days that ended.
    pub daily: usize,
    /// Files of days that they wrote.
    pub days_files: usize,
    /// Reads that ended and were checked.
    pub reads: usize,
}

impl Activity {
    /// Nothing has been delivered yet. Erases a device if one is given.
    pub fn new(world: &Arc<World<Fault>>, messages: Messages, erasing: Option<DeviceId>, bug: Option<Bug>) -> Rc<Self> {
        let sent = || messages.fleet.iter().flat_map(|fleet| &fleet.meters).flat_map(|meter| &meter.sent);
        world.faults.happened(Fault::UplinkLost, sent().filter(|sent| sent.arrives.is_empty()).count());
        let is_late = |sent: &&Sent| sent.arrives.iter().any(|(due, _)| *due > sent.at);
        world.faults.happened(Fault::UplinkLate, sent().filter(is_late).count());
        Rc::new(Self {
            world: Arc::clone(world),
            objects: ObjectsModel::new(world),
            bug,
            pending: RefCell::new((0..messages.uplinks.len()).collect()),
            acknowledged: RefCell::default(),
            erasing,
            erasure: Cell::new(Erasure::None),
            settling: Cell::default(),
            derives: derives(world, bug) || messages.fleet.is_some(),
            deriving: Cell::default(),
            daily: messages.fleet.as_ref().map(Daily::new),
            calendar: Cell::new(messages.span.0),
            made: Cell::default(),
            wrong: RefCell::default(),
            messages,
        })
    }

    /// Delivers, settles, derives, reads and erases, several at once and with faults.
    pub async fn storm(self: &Rc<Self>) {
        let rounds = self.world.draw(|rng| rng.u32(4..12));
        for round in 0..rounds {
            self.advance(round, rounds);
            self.start(4, |this| async move { this.deliver().await });
            self.start(3, |this| async move { this.settle().await });
            if self.derives {
                self.start(2, |this| async move { this.derive().await });
            }
            if self.daily.is_some() {
                self.start_daily();
            }
            self.start(4, |this| async move { this.read().await });
            if self.erasing.is_some() && round >= rounds / 2 {
                self.start(1, |this| async move { this.erase().await });
            }
            sleep(self.world.span(100..=8_000)).await;
        }
        self.world.faults.end();
        while !self.world.is_quiet() {
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Delivers the rest, settles until nothing is left to do, derives, and makes days, without faults.
    pub async fn calm(self: &Rc<Self>) {
        self.calendar.set(self.messages.span.1);
        self.assign_all().await;
        while !self.pending.borrow().is_empty() {
            self.deliver().await;
        }
        if self.erasing.is_some() {
            self.erase_at_last().await;
        }
        for _ in 0..MAX_CALM_RUNS {
            if !self.objects.all().keys().any(|key| key.starts_with(NEW)) {
                break;
            }
            self.settle().await;
        }
        if !self.derives {
            return;
        }
        self.derive().await;
        let before = self.objects.etags();
        self.derive().await;
        if self.objects.etags() != before {
            self.report("a second run of derive writes something, although nothing changed".to_owned());
        }
        self.make_all_days().await;
    }

    /// Lets the time outside pass, from the first day of the run to the last.
    fn advance(&self, round: u32, rounds: u32) {
        let (first, last) = self.messages.span;
        let passed = (last.unix() - first.unix()) * i64::from(round + 1) / i64::from(rounds);
        let now = At::from_unix(first.unix() + passed).unwrap_or(last);
        let is_new = month(self.calendar.replace(now)) != month(now) && self.daily.is_some();
        self.world.faults.happened(Fault::MonthEnded, usize::from(is_new));
    }

    /// Starts up to so many processes, at about the same time.
    fn start<W: Future + 'static>(self: &Rc<Self>, most: u32, process: impl Fn(Rc<Self>) -> W) {
        for _ in 0..self.world.draw(|rng| rng.u32(..=most)) {
            let (work, delay, busy) = (process(Rc::clone(self)), self.world.span(0..=600), self.world.busy());
            self.world.spawn(async move {
                sleep(delay).await;
                work.await;
                drop(busy);
            });
        }
    }

    /// Delivers a batch to the raw stage.
    async fn deliver(&self) {
        let now = self.calendar.get();
        let mut due = self.pending.borrow().clone();
        // In the end all are due.
        due.retain(|&position| self.messages.due[position] <= now || now == self.messages.span.1);
        let batch = self.world.draw(|rng| batch(rng, &due));
        if batch.is_empty() {
            return;
        }
        let uplinks: Vec<&Uplink> = batch.iter().map(|&position| &self.messages.uplinks[position]).collect();
        let put = self.mortal(Fault::WriterKilled, AWAITS_OF_RAW, self.put(&uplinks)).await;
        if put == Some(true) && !self.world.occurs(Fault::Redelivered) {
            self.pending.borrow_mut().retain(|position| !batch.contains(position));
        }
    }

    /// Puts a batch as the raw stage does. Returns whether it is acknowledged.
    async fn put(&self, uplinks: &[&Uplink]) -> bool {
        let acknowledge = |uplinks: &[&Uplink]| {
            self.acknowledged.borrow_mut().extend(uplinks.iter().map(|&uplink| Row::from(uplink)));
        };
        if self.bug == Some(Bug::AcknowledgesBeforeThePut) {
            acknowledge(uplinks);
        }
        let store = self.client(Role::Writer);
        let Ok(tombstones) = tombstones::load(&store, Instant::now() + LONG).await else { return false };
        let (erased, uplinks): (Vec<&Uplink>, Vec<&Uplink>) =
            uplinks.iter().partition(|uplink| tombstones.contains(uplink.device));
        self.world.faults.happened(Fault::ErasedDropped, erased.len());
        if uplinks.is_empty() {
            return true;
        }
        let object = object::encode(uplinks.iter().copied()).unwrap_or_else(|e| panic!("{e}"));
        let put = store.put(&object.key, object.content, Condition::Always, Instant::now() + LONG).await;
        if put.is_ok() {
            acknowledge(&uplinks);
        }
        put.is_ok() || self.bug == Some(Bug::AcknowledgesBeforeThePut)
    }

    async fn settle(&self) {
        let limit = if self.world.is_due(Fault::SettleOutOfTime) { self.world.span(0..=SHORT) } else { LONG };
        let stop = Instant::now() + limit;
        // The rest may have no time either.
        let deadline = stop + if self.world.coin() { LONG } else { self.world.span(0..=1_000) };
        if self.settling.replace(self.settling.get() + 1) > 0 {
            self.world.faults.happened(Fault::SettlesOverlap, 1);
        }
        let store = self.client(Role::Settle);
        let run = Settle { store: &store, bits: &self.messages.bits, stop, deadline };
        // One object uses it up.
        let memory = if self.world.is_due(Fault::SettleBounded) { 0 } else { MAX_MEMORY };
        let ended = self.mortal(Fault::SettleKilled, AWAITS_OF_SETTLE, run.run_within(memory)).await;
        self.settling.set(self.settling.get() - 1);
        match ended {
            None => {}
            Some(Ok(settled)) => {
                self.count(|made| made.settled += 1);
                self.world.faults.happened(Fault::SettleOutOfTime, usize::from(settled.remaining > 0));
                self.world.faults.happened(Fault::SettleBounded, usize::from(settled.more && memory == 0));
                if settled.unreadable > 0 {
                    self.report("settle cannot read an object or a file".to_owned());
                }
            }
            Some(Err(SettleError::Store(_))) => self.world.faults.happened(Fault::SettleFailed, 1),
            Some(Err(error)) => self.report(format!("settle: {error}")),
        }
    }

    async fn derive(&self) {
        let limit = if self.world.is_due(Fault::DeriveOutOfTime) { self.world.span(0..=SHORT_DERIVE) } else { LONG };
        let stop = Instant::now() + limit;
        if self.deriving.replace(self.deriving.get() + 1) > 0 {
            self.world.faults.happened(Fault::DerivesOverlap, 1);
        }
        let store = self.client(Role::Derive);
        let is_older = self.world.is_due(Fault::DeriveOutdated);
        let decoder = if is_older { |_, _: &str| "an older version".to_owned() } else { decoder };
        let run = Derive { store: &store, bits: &self.messages.bits, decoder, stop, deadline: stop + LONG };
        let ended = self.mortal(Fault::DeriveKilled, AWAITS_OF_DERIVE, run.run()).await;
        self.deriving.set(self.deriving.get() - 1);
        match ended {
            None => {}
            Some(Ok(derived)) => {
                self.count(|made| {
                    made.derived += 1;
                    made.points_files += derived.files;
                });
                self.world.faults.happened(Fault::DeriveOutOfTime, usize::from(derived.remaining > 0));
                self.world.faults.happened(Fault::DeriveOutrun, derived.conflicts);
                self.world.faults.happened(Fault::DeriveOutdated, usize::from(is_older && derived.files > 0));
                if derived.unreadable > 0 {
                    self.report("derive cannot read a source".to_owned());
                }
            }
            Some(Err(_)) => self.world.faults.happened(Fault::DeriveFailed, 1),
        }
    }

    async fn read(&self) {
        let (device, (from, to)) = self.world.draw(|rng| (messages::device(rng), self.messages.span_to_read(rng)));
        let is_buried = self.erasing == Some(device) && self.erasure.get() == Erasure::Buried;
        let due: Vec<Row> = self.acknowledged.borrow().iter().filter(|row| row.device() == device).cloned().collect();
        let archive = Archive { store: self.client(Role::Reader), bits: self.messages.bits.clone() };
        match archive.uplinks(device, from, to, Instant::now() + LONG).await {
            Ok(uplinks) => {
                self.count(|made| made.reads += 1);
                if is_buried && !uplinks.is_empty() {
                    self.report("a reader shows an erased device".to_owned());
                }
                let may_miss = self.erasing == Some(device) && self.erasure.get() != Erasure::None;
                let due = due.into_iter().filter(|row| !may_miss && (from..=to).contains(&row.at()));
                for wrong in verdict::wrong_read(due, &uplinks, &self.messages) {
                    self.report(wrong);
                }
            }
            Err(ArchiveError::Store(_) | ArchiveError::Restless) => self.world.faults.happened(Fault::ReadFailed, 1),
            Err(error) => self.report(format!("a reader: {error}")),
        }
    }

    /// Runs a process, which may be killed at any await.
    async fn mortal<W: Future>(&self, fault: Fault, awaits: u32, work: W) -> Option<W::Output> {
        if !self.world.is_due(fault) {
            return Some(work.await);
        }
        let ended = killed(work, self.world.draw(|rng| rng.u32(..=awaits))).await;
        self.world.faults.happened(fault, usize::from(ended.is_none()));
        ended
    }

    fn client(&self, role: Role) -> Client {
        Client::new(&self.world, &self.objects, role, self.bug)
    }

    fn count(&self, count: impl FnOnce(&mut Made)) {
        let mut made = self.made.get();
        count(&mut made);
        self.made.set(made);
    }

    fn report(&self, wrong: String) {
        self.wrong.borrow_mut().push(wrong);
    }

    /// Counts of completed activities.
    pub fn made(&self) -> Made {
        self.made.get()
    }

    /// The errors so far.
    pub fn errors(&self) -> Vec<String> {
        self.wrong.borrow().clone()
    }
}

/// Draws whether `derive` has a part, in every second run; in each if the bug shows only then, and in none if it shows
/// otherwise.
fn derives(world: &World<Fault>, bug: Option<Bug>) -> bool {
    let is_due = world.coin();
    bug.map_or(is_due, Bug::is_of_derive)
}

/// The month of a time: `2026-11`.
fn month(at: At) -> String {
    at.to_string().chars().take(7).collect()
}

/// Draws a batch: some of the pending uplinks, sometimes one of them twice.
fn batch(rng: &mut Rng, pending: &BTreeSet<usize>) -> Vec<usize> {
    let count = rng.usize(1..=MAX_BATCH);
    let mut batch = rng.choose_multiple(pending.iter().copied(), count);
    if rng.u8(..5) == 0 {
        batch.extend(batch.first().copied());
    }
    batch
}
