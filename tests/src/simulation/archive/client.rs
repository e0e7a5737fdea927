//! The connection of one process to the bucket. It may have a planted bug: bugs are in the harness, never in the product.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use pulsegate_model::consumption;
use pulsegate_model::day::Carry;
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::archive::assignments::ASSIGNMENTS;
use pulsegate_pipeline::archive::days::DAYS;
use pulsegate_pipeline::archive::place::{DAY, NEW};
use pulsegate_pipeline::archive::points::POINTS;
use pulsegate_pipeline::archive::reports::REPORTS;
use pulsegate_pipeline::archive::store::{Condition, ETag, Get, Got, ObjectStore, Page, Part, Put, StoreError};
use pulsegate_pipeline::archive::versions::{Version, VersionPage, VersionedStore};
use pulsegate_pipeline::ports::Refused;
use pulsegate_pipeline::tombstones::ERASED;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::activity::rewritten;
use super::faults::ArchiveFault as Fault;
use super::objects::{ObjectsModel, part_of};
use crate::simulation::world::{World, lock};

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The raw stage acknowledges a batch before it puts it.
    AcknowledgesBeforeThePut,
    /// Conditions of puts are ignored.
    NoCompare,
    /// `settle` deletes objects before it swaps the files.
    DeletesFirst,
    /// `settle` does not put back the rows for which it has no time.
    ForgetsTheRest,
    /// `settle` puts the rest back under the name that a batch of the same rows has.
    NamesTheRestAsABatch,
    /// Batches are named after one digit of their hash, and this is not checked.
    ShortNames,
    /// The reader reads the files before it lists the objects.
    ReadsFilesFirst,
    /// The reader skips an object that is gone.
    SkipsGoneObjects,
    /// `derive` claims the newest version of a source, but has read the one before.
    ClaimsWhatItHasNotRead,
    /// `derive` reads the rows of a source at whatever version it is, not at that of the footer.
    MixesVersions,
    /// `erase` adds the tombstone last.
    TombstoneLast,
    /// `erase` deletes an object before it puts the one without the device.
    EraseDeletesFirst,
    /// `erase` deletes no older versions.
    KeepsOlderVersions,
    /// The raw stage does not read the tombstones.
    RawIgnoresTombstones,
    /// Days claim the newest version of a points file, but have read the one before: a late uplink is ignored.
    DaysIgnoreLatePoints,
    /// The same of a file of assignments.
    DaysIgnoreAssignments,
    /// The same of a file of reports.
    DaysReadOldReports,
    /// Days do not look at the points of the first day of a month, where the month before goes on.
    DaysSkipTheNextMonth,
    /// Days take nothing over from the month before.
    DaysWithoutCarry,
    /// Days skip the last devices of the month before, as if they did not read its last row group.
    DaysSkipARowGroup,
    /// Days do not compare the rules that a file was made by.
    DaysIgnoreRules,
    /// Lost uplinks are not counted where the number wraps.
    DaysCountWithoutModulo,
    /// Unplaced volume is dropped.
    DaysDropUnplaced,
    /// `erase` does not search the files of days.
    EraseSkipsDays,
    /// A change of assignments that conflicts with another one is taken for done.
    ConflictIsSuccess,
}

impl Bug {
    /// True if it shows only where `derive` has a part.
    pub fn is_of_derive(self) -> bool {
        matches!(self, Self::ClaimsWhatItHasNotRead | Self::MixesVersions)
    }

    /// True if it shows only where days are made.
    pub fn is_of_days(self) -> bool {
        use Bug::{
            ConflictIsSuccess, DaysCountWithoutModulo, DaysDropUnplaced, DaysIgnoreAssignments, DaysIgnoreLatePoints,
            DaysIgnoreRules, DaysReadOldReports, DaysSkipARowGroup, DaysSkipTheNextMonth, DaysWithoutCarry,
            EraseSkipsDays,
        };
        matches!(
            self,
            DaysIgnoreLatePoints
                | DaysIgnoreAssignments
                | DaysReadOldReports
                | DaysSkipTheNextMonth
                | DaysWithoutCarry
                | DaysSkipARowGroup
                | DaysIgnoreRules
                | DaysCountWithoutModulo
                | DaysDropUnplaced
                | EraseSkipsDays
                | ConflictIsSuccess
        )
    }

    /// True if it shows only where a device is erased.
    pub fn is_of_erasure(self) -> bool {
        use Bug::{EraseDeletesFirst, EraseSkipsDays, KeepsOlderVersions, RawIgnoresTombstones, TombstoneLast};
        let of_days = self == EraseSkipsDays;
        of_days || matches!(self, TombstoneLast | EraseDeletesFirst | KeepsOlderVersions | RawIgnoresTombstones)
    }
}

/// The user of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The raw stage.
    Writer,
    /// A run of `settle`.
    Settle,
    /// A run of `derive`.
    Derive,
    /// A reader.
    Reader,
    /// A run of `erase`.
    Erase,
    /// A plan or a run of days.
    Days,
    /// A person who changes assignments or deletes files.
    Operator,
}

/// The connection of one process.
#[derive(Debug)]
pub struct Client {
    world: Arc<World<Fault>>,
    objects: ObjectsModel,
    role: Role,
    bug: Option<Bug>,
    /// Objects of `new/` that this process has read; for bugs.
    read: Mutex<Vec<String>>,
    /// The rest that this process has put back; for bugs.
    kept: Mutex<Vec<String>>,
    /// Files or objects that were read too early; for bugs.
    early: Mutex<BTreeMap<String, Got>>,
}

impl Client {
    /// Connects a process.
    pub fn new(world: &Arc<World<Fault>>, objects: &ObjectsModel, role: Role, bug: Option<Bug>) -> Self {
        Self {
            world: Arc::clone(world),
            objects: objects.clone(),
            role,
            bug,
            read: Mutex::default(),
            kept: Mutex::default(),
            early: Mutex::default(),
        }
    }

    fn has(&self, bug: Bug, role: Role) -> bool {
        self.bug == Some(bug) && self.role == role
    }

    /// The key under which an object is stored.
    fn stored<'a>(&self, key: &'a str) -> &'a str {
        let is_short = self.bug == Some(Bug::ShortNames) && key.starts_with(NEW) && !key.contains('-');
        if is_short { &key[..=NEW.len()] } else { key }
    }

    /// Shows names that fit the contents, so that the check of names passes.
    fn show_long_names(&self, page: &mut Page) {
        let all = self.objects.all();
        for listed in page.objects.iter_mut().filter(|listed| listed.key.len() == NEW.len() + 1) {
            listed.key = all.get(&listed.key).map_or_else(String::new, |content| batch_key(content));
        }
        page.objects.retain(|listed| !listed.key.is_empty());
    }

    /// Reads all objects with this prefix, to be returned later.
    async fn read_early(&self, prefix: &str, deadline: Instant) -> Result<(), StoreError> {
        let keys: Vec<String> = self.objects.all().into_keys().filter(|key| key.starts_with(prefix)).collect();
        for key in keys {
            let got = self.objects.get(Get::whole(&key), deadline).await?;
            lock(&self.early).insert(key, got);
        }
        Ok(())
    }

    /// Gets a source of points, with the planted bug if there is one.
    async fn get_source(&self, request: Get<'_>, deadline: Instant) -> Result<Got, StoreError> {
        let version = request.version.filter(|_| !self.has(Bug::MixesVersions, Role::Derive));
        let got = self.objects.get(Get { version, ..request.clone() }, deadline).await?;
        match (got, self.objects.replaced(request.key)) {
            (Got::Object(now), Some(before)) if self.has(Bug::ClaimsWhatItHasNotRead, Role::Derive) => {
                Ok(Got::Object(part_of(&before, &now.etag, &request.part)))
            }
            (got, _) => Ok(self.counted(got, request.key)),
        }
    }

    /// Gets what days read, with the planted bug if there is one.
    async fn get_for_days(&self, request: Get<'_>, deadline: Instant) -> Result<Got, StoreError> {
        let Get { key, .. } = request;
        let is_stale = self.bug == Some(Bug::DaysIgnoreLatePoints) && key.starts_with(POINTS)
            || self.bug == Some(Bug::DaysReadOldReports) && key.starts_with(REPORTS)
            || self.bug == Some(Bug::DaysIgnoreAssignments) && key.starts_with(ASSIGNMENTS);
        let got = self.objects.get(request.clone(), deadline).await?;
        let Got::Object(now) = &got else { return Ok(self.counted(got, key)) };
        let shown = match self.objects.replaced(key) {
            Some(before) if is_stale => Some(before),
            _ if key.starts_with(DAYS) => self.objects.all().get(key).and_then(|content| self.misread(content)),
            _ => None,
        };
        Ok(shown.map_or(got.clone(), |content| Got::Object(part_of(&content, &now.etag, &request.part))))
    }

    /// A file of days as a planted bug reads it.
    fn misread(&self, content: &Bytes) -> Option<Bytes> {
        match self.bug? {
            Bug::DaysWithoutCarry => rewritten(content, |file| file.carries.clear()),
            Bug::DaysSkipARowGroup => rewritten(content, |file| drop(file.carries.pop_last())),
            Bug::DaysIgnoreRules => rewritten(content, |file| {
                file.origin.iter_mut().for_each(|origin| origin.rules = consumption::version());
            }),
            _ => None,
        }
    }

    /// A file of days as a planted bug writes it.
    fn miswritten(&self, content: &Bytes) -> Option<Bytes> {
        match self.bug? {
            Bug::DaysCountWithoutModulo => rewritten(content, |file| {
                let wraps = |carry: &Carry| carry.numbers.is_sorted_by_key(|(_, number)| *number);
                let wrapping = file.carries.iter().filter(|(_, carry)| !wraps(carry)).map(|(device, _)| *device);
                let wrapping: Vec<DeviceId> = wrapping.collect();
                for row in file.rows.iter_mut().filter(|row| wrapping.contains(&row.device)) {
                    row.ledger.uplinks_lost = 0;
                }
            }),
            Bug::DaysDropUnplaced => {
                rewritten(content, |file| file.rows.iter_mut().for_each(|row| row.ledger.unplaced = 0))
            }
            _ => None,
        }
    }

    /// Counts that a reader begins anew.
    fn counted(&self, got: Got, key: &str) -> Got {
        match got {
            Got::Changed if self.role == Role::Derive => self.world.faults.happened(Fault::SourceChanged, 1),
            Got::Changed if self.role == Role::Days => self.world.faults.happened(Fault::DaysSourceChanged, 1),
            Got::Absent if self.role == Role::Reader && key.starts_with(NEW) => {
                self.world.faults.happened(Fault::ObjectGone, 1);
            }
            Got::Changed if self.role == Role::Reader => self.world.faults.happened(Fault::FileChanged, 1),
            _ => {}
        }
        got
    }
}

impl ObjectStore for Client {
    async fn list(&self, prefix: &str, after: Option<&str>, deadline: Instant) -> Result<Page, StoreError> {
        if self.has(Bug::ReadsFilesFirst, Role::Reader) && after.is_none() {
            self.read_early(DAY, deadline).await?;
        }
        let mut page = self.objects.list(prefix, after, deadline).await?;
        if self.bug == Some(Bug::ShortNames) {
            self.show_long_names(&mut page);
        }
        if self.has(Bug::DaysSkipTheNextMonth, Role::Days) {
            page.objects.retain(|listed| !(listed.key.starts_with(POINTS) && listed.key.contains("-01/")));
        }
        if self.has(Bug::SkipsGoneObjects, Role::Reader) {
            self.read_early(NEW, deadline).await?;
            let early = lock(&self.early);
            page.objects.retain(|listed| matches!(early.get(&listed.key), Some(Got::Object(_))));
        }
        Ok(page)
    }

    async fn get(&self, request: Get<'_>, deadline: Instant) -> Result<Got, StoreError> {
        let key = request.key;
        if self.role == Role::Derive && key.starts_with(DAY) {
            return self.get_source(request, deadline).await;
        }
        if self.role == Role::Days {
            return self.get_for_days(request, deadline).await;
        }
        if self.has(Bug::RawIgnoresTombstones, Role::Writer) && key == ERASED {
            return Ok(Got::Absent);
        }
        let is_early = self.has(Bug::ReadsFilesFirst, Role::Reader) && key.starts_with(DAY)
            || self.has(Bug::SkipsGoneObjects, Role::Reader) && key.starts_with(NEW);
        if is_early {
            return Ok(match lock(&self.early).get(key) {
                Some(Got::Object(object)) => Got::Object(part_of(&object.content, &object.etag, &request.part)),
                _ => Got::Absent,
            });
        }
        let got = self.objects.get(Get { key: self.stored(key), ..request.clone() }, deadline).await?;
        if key.starts_with(NEW) {
            lock(&self.read).push(key.to_owned());
        }
        match got {
            Got::Object(object) if self.stored(key) != key && batch_key(&object.content) != key => Ok(Got::Absent),
            got => Ok(self.counted(got, key)),
        }
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Condition<'_>,
        deadline: Instant,
    ) -> Result<Put, StoreError> {
        let is_rest = self.role == Role::Settle && key.starts_with(NEW);
        if self.has(Bug::EraseDeletesFirst, Role::Erase) && key.starts_with(NEW) {
            let read = std::mem::take(&mut *lock(&self.read));
            self.objects.delete(&read, deadline).await;
        }
        if self.has(Bug::DeletesFirst, Role::Settle) {
            let read = std::mem::take(&mut *lock(&self.read));
            self.objects.delete(&read, deadline).await;
        }
        if self.bug == Some(Bug::ForgetsTheRest) && is_rest {
            return Ok(Put::Done(ETag(String::new())));
        }
        if self.bug == Some(Bug::NamesTheRestAsABatch) && is_rest {
            let key = batch_key(&content);
            lock(&self.kept).push(key.clone());
            return self.objects.put(&key, content, condition, deadline).await;
        }
        if self.role == Role::Days && key.starts_with(DAYS) {
            let content = self.miswritten(&content).unwrap_or(content);
            return self.objects.put(key, content, condition, deadline).await;
        }
        if self.has(Bug::ConflictIsSuccess, Role::Operator) {
            self.objects.put(key, content, condition, deadline).await?;
            return Ok(Put::Done(ETag(String::new())));
        }
        let condition = if self.bug == Some(Bug::NoCompare) { Condition::Always } else { condition };
        self.objects.put(self.stored(key), content, condition, deadline).await
    }

    async fn delete(&self, keys: &[String], deadline: Instant) -> Refused {
        let kept = lock(&self.kept).clone();
        let keys: Vec<String> =
            keys.iter().filter(|key| !kept.contains(key)).map(|key| self.stored(key).to_owned()).collect();
        self.objects.delete(&keys, deadline).await
    }
}

impl VersionedStore for Client {
    async fn versions(
        &self,
        prefix: &str,
        after: Option<&Version>,
        deadline: Instant,
    ) -> Result<VersionPage, StoreError> {
        if self.bug == Some(Bug::EraseSkipsDays) && prefix == DAYS {
            return Ok(VersionPage::default());
        }
        self.objects.versions(prefix, after, deadline).await
    }

    async fn version(&self, version: &Version, part: Part, deadline: Instant) -> Result<Got, StoreError> {
        self.objects.version(version, part, deadline).await
    }

    async fn delete_versions(&self, versions: &[Version], deadline: Instant) -> Refused {
        if self.bug == Some(Bug::KeepsOlderVersions) {
            return Refused::new();
        }
        self.objects.delete_versions(versions, deadline).await
    }
}

/// The name of a batch's object.
fn batch_key(content: &[u8]) -> String {
    format!("{NEW}{}", hex::encode(Sha256::digest(content)))
}
