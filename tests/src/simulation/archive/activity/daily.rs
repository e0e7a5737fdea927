//! Days: plans, runs of partitions, assignments that people change, and an operator who deletes files.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use pulsegate_model::assignment::{Assignment, Assignments};
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::archive::assignments::{self, AssignmentsError};
use pulsegate_pipeline::archive::days::{self, DAYS, Days, Partition, file};
use pulsegate_pipeline::archive::points::POINTS;
use pulsegate_pipeline::archive::reader::ArchiveError;
use pulsegate_pipeline::archive::reports::REPORTS;
use pulsegate_pipeline::archive::store::{Condition, ObjectStore as _};
use tokio::time::Instant;

use super::{Activity, Client, Fault, LONG, Role};
use crate::simulation::archive::messages::DAY;
use crate::simulation::archive::meters::Fleet;

/// Maximum number of awaits before a plan or a run is killed, and before a change of assignments is.
const AWAITS_OF_DAYS: u32 = 200;
const AWAITS_OF_ASSIGN: u32 = 8;

/// Maximum time, in milliseconds, of a run of days that is to have none left.
const SHORT: u64 = 6_000;

/// The rules of a version before.
const OLDER: &str = "0 tzdb 2020a";

/// The kinds of facts that have a part in days.
#[derive(Debug)]
pub struct Daily {
    /// The queue of partitions.
    queue: RefCell<Vec<Partition>>,
    running: Cell<usize>,
    /// Changes of assignments, in order: from this time on the device has these.
    changes: RefCell<VecDeque<(At, DeviceId, Vec<Assignment>)>>,
    /// One person changes assignments.
    is_assigning: Cell<bool>,
}

impl Daily {
    pub(super) fn new(fleet: &Fleet) -> Self {
        let of_meters = fleet.meters.iter().flat_map(|meter| {
            meter.assigned.iter().map(|(due, assignments)| (*due, meter.device, assignments.clone()))
        });
        let mut changes: Vec<_> = of_meters.collect();
        changes.sort_by_key(|(due, ..)| *due);
        Self {
            queue: RefCell::default(),
            running: Cell::default(),
            changes: RefCell::new(changes.into()),
            is_assigning: Cell::default(),
        }
    }
}

impl Activity {
    /// Starts what a round of the storm has of days.
    pub(super) fn start_daily(self: &Rc<Self>) {
        self.start(1, |this| async move { this.assign().await });
        self.start(2, |this| async move { this.plan().await });
        self.start(3, |this| async move { this.make_days().await });
        if self.world.is_due(Fault::FileRemoved) {
            self.start(1, |this| async move { this.remove().await });
        }
        if self.world.is_due(Fault::DaysOutdated) {
            self.start(1, |this| async move { this.outdate().await });
        }
    }

    /// Plans the days as the scheduled invocation does. Its clock may be some days old when it is carried out.
    pub(super) async fn plan(&self) {
        let Some(daily) = &self.daily else { return };
        let store = self.client(Role::Days);
        let ended = self.mortal(Fault::PlanKilled, AWAITS_OF_DAYS, self.pass(&store, LONG).plan()).await;
        match ended {
            None => {}
            Some(Ok(partitions)) => daily.queue.borrow_mut().extend(partitions),
            Some(Err(ArchiveError::Store(_))) => self.world.faults.happened(Fault::PlanFailed, 1),
            Some(Err(error)) => self.report(format!("the plan of days: {error}")),
        }
    }

    /// Makes the days of a partition from the queue, or of all if somebody sends that by hand.
    pub(super) async fn make_days(&self) {
        let Some(daily) = &self.daily else { return };
        let taken = self.world.draw(|rng| {
            let mut queue = daily.queue.borrow_mut();
            match queue.len() {
                0 => rng.bool().then_some(Partition::ALL),
                count => Some(queue.swap_remove(rng.usize(..count))),
            }
        });
        let Some(partition) = taken else { return };
        if daily.running.replace(daily.running.get() + 1) > 0 {
            self.world.faults.happened(Fault::DaysOverlap, 1);
        }
        let store = self.client(Role::Days);
        let limit = if self.world.is_due(Fault::DaysOutOfTime) { self.world.span(0..=SHORT) } else { LONG };
        let ended = self.mortal(Fault::DaysKilled, AWAITS_OF_DAYS, self.pass(&store, limit).run(partition)).await;
        daily.running.set(daily.running.get() - 1);
        let is_done = match ended {
            None => false,
            Some(Ok(made)) => {
                self.count(|all| {
                    all.daily += 1;
                    all.days_files += made.files;
                });
                self.world.faults.happened(Fault::DaysOutOfTime, usize::from(made.remaining > 0));
                self.world.faults.happened(Fault::DaysOutrun, made.conflicts);
                if made.unreadable > 0 {
                    self.report("days cannot read a source".to_owned());
                }
                made.remaining == 0 && made.changed == 0
            }
            Some(Err(ArchiveError::Store(_))) => {
                self.world.faults.happened(Fault::DaysFailed, 1);
                false
            }
            Some(Err(error)) => {
                self.report(format!("days: {error}"));
                true
            }
        };
        if !is_done || self.world.occurs(Fault::DaysTwice) {
            daily.queue.borrow_mut().push(partition);
        }
    }

    fn pass<'a>(&'a self, store: &'a Client, limit: std::time::Duration) -> Days<'a, Client> {
        let stop = Instant::now() + limit;
        // A run that has waited for long.
        let late = if self.world.faults.are_active() { self.world.draw(|rng| rng.i64(0..4) * DAY) } else { 0 };
        let now = self.calendar.get().unix() - late;
        let now = At::from_unix(now).unwrap_or(At::EPOCH);
        Days { store, bits: &self.messages.bits, now, stop, deadline: stop + LONG }
    }

    /// Makes the next change of assignments that is due, and makes it again until it is known to be stored.
    async fn assign(&self) {
        let Some(daily) = &self.daily else { return };
        let now = self.calendar.get();
        let next = daily.changes.borrow().front().filter(|(due, ..)| *due <= now).cloned();
        let Some((_, device, wanted)) = next.filter(|_| !daily.is_assigning.replace(true)) else { return };
        let store = self.client(Role::Operator);
        let change = |assignments: &mut Assignments| {
            replace(assignments, device, &wanted);
            Ok(())
        };
        let key = assignments::key_of(device);
        let update = assignments::update(&store, &key, Instant::now() + LONG, change);
        match self.mortal(Fault::AssignmentKilled, AWAITS_OF_ASSIGN, update).await {
            None => {}
            Some(Ok(is_written)) => {
                self.world.faults.happened(Fault::AssignmentChanged, usize::from(is_written));
                daily.changes.borrow_mut().pop_front();
            }
            Some(Err(AssignmentsError::Store(_))) => self.world.faults.happened(Fault::AssignmentFailed, 1),
            Some(Err(error)) => self.report(format!("a change of assignments: {error}")),
        }
        daily.is_assigning.set(false);
    }

    /// Makes all changes of assignments that are left.
    pub(super) async fn assign_all(&self) {
        while self.daily.as_ref().is_some_and(|daily| !daily.changes.borrow().is_empty()) {
            // In the end all are due.
            let calendar = self.calendar.replace(At::MAX);
            self.assign().await;
            self.calendar.set(calendar);
        }
    }

    /// Deletes a file that can be made again.
    async fn remove(&self) {
        let Some(key) = self.some_key(&[POINTS, REPORTS, DAYS]) else { return };
        let refused = self.client(Role::Operator).delete(&[key], Instant::now() + LONG).await;
        self.world.faults.happened(Fault::FileRemoved, usize::from(refused.is_empty()));
    }

    /// Replaces a file of days by one that older rules have made.
    async fn outdate(&self) {
        let Some(key) = self.some_key(&[DAYS]) else { return };
        let (Some(content), Some(version)) = (self.objects.all().remove(&key), self.objects.etags().remove(&key))
        else {
            return;
        };
        let Some(older) = rewritten(&content, |file| {
            for row in &mut file.rows {
                row.ledger.timed += 1;
            }
            file.carries.clear();
            file.origin.iter_mut().for_each(|origin| OLDER.clone_into(&mut origin.rules));
        }) else {
            return;
        };
        let deadline = Instant::now() + LONG;
        let put = self.objects.put(&key, older, Condition::Version(&version), deadline).await;
        self.world.faults.happened(Fault::DaysOutdated, usize::from(put.is_ok()));
    }

    fn some_key(&self, prefixes: &[&str]) -> Option<String> {
        let keys = self.objects.all().into_keys();
        let keys: Vec<String> = keys.filter(|key| prefixes.iter().any(|prefix| key.starts_with(prefix))).collect();
        self.world.draw(|rng| rng.choice(keys))
    }

    async fn plan_and_make(&self, daily: &Daily) {
        self.plan().await;
        while !daily.queue.borrow().is_empty() {
            self.make_days().await;
        }
    }

    /// Makes days until nothing is left to do. One plan must be enough.
    pub(super) async fn make_all_days(&self) {
        let Some(daily) = &self.daily else { return };
        daily.queue.borrow_mut().clear();
        self.plan_and_make(daily).await;
        // Older code was the last to write, and a file is gone.
        if self.world.coin() {
            self.outdate().await;
            self.remove().await;
            self.derive().await;
            self.plan_and_make(daily).await;
        }
        self.plan().await;
        if !std::mem::take(&mut *daily.queue.borrow_mut()).is_empty() {
            self.report("a plan of days finds something to do, although nothing changed".to_owned());
        }
        let before = self.objects.etags();
        daily.queue.borrow_mut().push(Partition::ALL);
        self.make_days().await;
        if self.objects.etags() != before {
            self.report("a run of days writes something, although nothing changed".to_owned());
        }
    }
}

/// Sets the assignments of a device.
fn replace(assignments: &mut Assignments, device: DeviceId, wanted: &[Assignment]) {
    let old: Vec<Assignment> = assignments.iter().filter(|assignment| assignment.device == device).cloned().collect();
    for Assignment { channel, from, .. } in &old {
        assignments.remove(device, channel, *from);
    }
    for assignment in wanted {
        assignments.add(assignment.clone()).unwrap_or_else(|e| panic!("{e}"));
    }
}

/// A file of days with something changed; `None` if it is none of this code.
pub fn rewritten(content: &bytes::Bytes, change: impl FnOnce(&mut file::DaysFile)) -> Option<bytes::Bytes> {
    let mut read = file::read(content.clone()).ok()?;
    change(&mut read);
    let origin: days::Origin = read.origin?;
    file::encode(&read.rows, &read.carries, &origin).ok()
}
