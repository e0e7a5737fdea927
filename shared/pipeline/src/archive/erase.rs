//! Removes a device from the archive, while raw stages, runs of `settle` and readers go on.
//!
//! 1. The tombstone ([`bury`](super::tombstones::bury)): from then on, no invocation that begins writes rows of the device.
//! 2. [`Erase::objects`]: an object of `new/` that holds rows of the device is replaced by one without them. The new one
//!    is put before the old one is deleted, and its name is that of a rest of the old one: see [`object`].
//! 3. [`Erase::files`]: a file of `day/` is swapped for one without the rows.
//! 4. [`Erase::points`]: a file of `points/` is deleted. `derive` makes it again from the files of `day/`.
//! 5. [`Erase::days`]: a file of `days/` is deleted, too. The daily pass makes it again from `points/`.
//! 6. [`Erase::older_versions`]: deletes older versions that hold the device.
//!
//! So each row of another device is in an object or in a file at any moment, as with `settle`: only rows of the device
//! leave the set. Each step can be repeated, and a run that follows a crash finds what is left.
//!
//! An invocation that began before the tombstone was there may write rows of the device later. So the steps are made
//! again once all of these have ended, [`MAX_INVOCATION`] after the tombstone.
//!
//! A file is found by all names that it can have, with any number of partitions, so that a wrong setting cannot hide one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;
use std::time::Duration;

use futures_util::future::ready;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::Uplink;
use tokio::time::Instant;

use super::days::DAYS;
use super::file;
use super::object;
use super::place::{self, DAY, NEW};
use super::points::POINTS;
use super::store::{Condition, Get, Got, Part, Put, StoreError};
use super::versions::{ListedVersion, Version, VersionedStore};

mod devices;

/// The longest that an invocation of a function can last.
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>)
pub const MAX_INVOCATION: Duration = Duration::from_mins(15);

/// Objects and files that are examined at once.
const CONCURRENCY: usize = 8;

/// A run.
pub struct Erase<'a, S> {
    /// The archive.
    pub store: &'a S,
    /// The device.
    pub device: DeviceId,
    /// False: it only counts what it would remove.
    pub write: bool,
    /// The time limit of each request.
    pub timeout: Duration,
    /// True if no further object is to be begun. Once true, it stays so.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

/// Counts of a step, in objects, files or versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Erased {
    /// Examined.
    pub read: usize,
    /// Held rows of the device.
    pub found: usize,
    /// The rows of the device in these.
    pub rows: usize,
    /// Hold no rows of the device any more, or are gone.
    pub removed: usize,
    /// Cannot be read, so they may hold rows of the device. They stay as they are.
    pub unreadable: usize,
}

/// The cause of an early end of a step. The next run continues.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The store cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rest of an object cannot be encoded.
    #[error("the rest of an object cannot be encoded: {0}")]
    Encode(#[from] std::io::Error),
}

impl<S: VersionedStore + Sync> Erase<'_, S> {
    /// Replaces the objects of `new/` that hold the device.
    ///
    /// # Errors
    /// [`EraseError`].
    pub async fn objects(&self) -> Result<Erased, EraseError> {
        let latest = self.latest(NEW, |_| true).await?;
        self.each(latest.into_iter().map(|version| self.object(version.key))).await
    }

    /// Swaps the files of `day/` that hold the device.
    ///
    /// # Errors
    /// [`EraseError`].
    pub async fn files(&self) -> Result<Erased, EraseError> {
        let latest = self.latest(DAY, self.names()).await?;
        self.each(latest.into_iter().map(|version| self.file(version))).await
    }

    /// Deletes the files of `points/` that hold the device.
    ///
    /// # Errors
    /// [`EraseError`].
    pub async fn points(&self) -> Result<Erased, EraseError> {
        self.delete_files(POINTS).await
    }

    /// Deletes the files of `days/` that hold the device.
    ///
    /// # Errors
    /// [`EraseError`].
    pub async fn days(&self) -> Result<Erased, EraseError> {
        self.delete_files(DAYS).await
    }

    /// Deletes the files with this prefix that hold the device.
    async fn delete_files(&self, prefix: &str) -> Result<Erased, EraseError> {
        let latest = self.latest(prefix, self.names()).await?;
        self.each(latest.into_iter().map(|version| self.delete_file(version))).await
    }

    /// Deletes the older versions of objects and files that hold the device; markers of deletion too, of objects of
    /// which no version is left.
    ///
    /// # Errors
    /// [`EraseError`].
    pub async fn older_versions(&self) -> Result<Erased, EraseError> {
        let mut erased = Erased::default();
        let names = self.names();
        for prefix in [NEW, DAY, POINTS, DAYS] {
            let mut of_key: BTreeMap<String, Vec<ListedVersion>> = BTreeMap::new();
            for listed in self.list(prefix, |key| prefix == NEW || names(key)).await? {
                of_key.entry(listed.version.key.clone()).or_default().push(listed);
            }
            erased += self.each(of_key.into_values().map(|versions| self.versions_of_key(versions))).await?;
        }
        Ok(erased)
    }

    /// Tells the files in which the device may be.
    fn names(&self) -> impl Fn(&str) -> bool + use<S> {
        let names: BTreeSet<String> = place::names_of(self.device).collect();
        move |key| key.rsplit('/').next().is_some_and(|name| names.contains(name))
    }

    async fn object(&self, key: String) -> Result<Erased, EraseError> {
        let Got::Object(object) = self.store.get(Get::whole(&key), self.deadline()).await? else {
            return Ok(Erased::default());
        };
        let uplinks = match object::decode(&key, &object.content) {
            Ok(uplinks) => uplinks,
            Err(error) => return Ok(unreadable(&key, &error)),
        };
        let (own, others): (Vec<Uplink>, Vec<Uplink>) =
            uplinks.into_iter().partition(|uplink| uplink.device == self.device);
        let removed = self.write && !own.is_empty() && self.replace(key, &others).await?;
        Ok(Erased::of_one(own.len(), removed))
    }

    /// Replaces an object of `new/` by one with these uplinks.
    async fn replace(&self, key: String, others: &[Uplink]) -> Result<bool, EraseError> {
        let old = [key];
        for part in others.chunks(object::MAX_REST) {
            let rest = object::encode_rest(&old, part)?;
            self.store.put(&rest.key, rest.content, Condition::Always, self.deadline()).await?;
        }
        Ok(self.store.delete(&old, self.deadline()).await.is_empty())
    }

    async fn file(&self, version: Version) -> Result<Erased, EraseError> {
        let rows = match devices::rows_of(self, &version).await? {
            Ok(rows) => rows,
            Err(error) => return Ok(unreadable(&version.key, &error)),
        };
        if rows == 0 || !self.write {
            return Ok(Erased::of_one(rows, false));
        }
        loop {
            let Got::Object(old) = self.store.get(Get::whole(&version.key), self.deadline()).await? else {
                return Ok(Erased::of_one(rows, true));
            };
            let new = match file::without(old.content, self.device) {
                Ok(Some(new)) => new,
                // A run that was repeated, or another one, has swapped it.
                Ok(None) => return Ok(Erased::of_one(rows, true)),
                Err(error) => return Ok(unreadable(&version.key, &error)),
            };
            let condition = Condition::Version(&old.etag);
            if let Put::Done(_) = self.store.put(&version.key, new, condition, self.deadline()).await? {
                return Ok(Erased::of_one(rows, true));
            }
        }
    }

    async fn delete_file(&self, version: Version) -> Result<Erased, EraseError> {
        let rows = match devices::rows_of(self, &version).await? {
            Ok(rows) => rows,
            Err(error) => return Ok(unreadable(&version.key, &error)),
        };
        let removed = rows > 0 && self.write && self.store.delete(&[version.key], self.deadline()).await.is_empty();
        Ok(Erased::of_one(rows, removed))
    }

    /// Deletes those of the versions of one object that are not the latest and hold the device.
    async fn versions_of_key(&self, versions: Vec<ListedVersion>) -> Result<Erased, EraseError> {
        let (markers, contents): (Vec<ListedVersion>, Vec<ListedVersion>) =
            versions.into_iter().partition(|listed| listed.is_marker);
        let mut erased = Erased::default();
        let mut doomed = Vec::new();
        for listed in contents.iter().filter(|listed| !listed.is_latest) {
            let version = &listed.version;
            match self.rows_of_version(version).await? {
                Ok(rows) => {
                    erased += Erased::of_one(rows, false);
                    doomed.extend((rows > 0).then(|| version.clone()));
                }
                Err(unreadable) => erased += unreadable,
            }
        }
        if self.write && !doomed.is_empty() {
            let left = self.store.delete_versions(&doomed, self.deadline()).await;
            erased.removed += doomed.len() - left.len();
            // While a version is left, a marker keeps it from being the object again.
            if left.is_empty() && doomed.len() == contents.len() {
                let markers: Vec<Version> = markers.into_iter().map(|listed| listed.version).collect();
                self.store.delete_versions(&markers, self.deadline()).await;
            }
        }
        Ok(erased)
    }

    /// The number of rows of the device in a version; the count of an unreadable one if it cannot be read.
    async fn rows_of_version(&self, version: &Version) -> Result<Result<usize, Erased>, EraseError> {
        if !version.key.starts_with(NEW) {
            return Ok(devices::rows_of(self, version).await?.map_err(|error| unreadable(&version.key, &error)));
        }
        let Got::Object(object) = self.store.version(version, Part::Whole, self.deadline()).await? else {
            return Ok(Ok(0));
        };
        let uplinks = object::decode(&version.key, &object.content);
        let count = |uplinks: Vec<Uplink>| uplinks.iter().filter(|uplink| uplink.device == self.device).count();
        Ok(uplinks.map(count).map_err(|error| unreadable(&version.key, &error)))
    }

    /// Examines objects, several at once, until the last or the stop.
    async fn each<F>(&self, work: impl Iterator<Item = F>) -> Result<Erased, EraseError>
    where
        F: Future<Output = Result<Erased, EraseError>>,
    {
        let begun = stream::iter(work).take_while(|_| ready(!(self.stop)()));
        let add = async |sum: Erased, erased: Erased| Ok(sum + erased);
        begun.buffer_unordered(CONCURRENCY).try_fold(Erased::default(), add).await
    }

    /// The latest versions of the objects with this prefix that exist and have a name like that.
    async fn latest(&self, prefix: &str, name: impl Fn(&str) -> bool) -> Result<Vec<Version>, StoreError> {
        let listed = self.list(prefix, name).await?;
        let latest = listed.into_iter().filter(|listed| listed.is_latest && !listed.is_marker);
        Ok(latest.map(|listed| listed.version).collect())
    }

    /// All versions of the objects with this prefix that have a name like that.
    async fn list(&self, prefix: &str, name: impl Fn(&str) -> bool) -> Result<Vec<ListedVersion>, StoreError> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = self.store.versions(prefix, after.as_ref(), self.deadline()).await?;
            all.extend(page.versions.into_iter().filter(|listed| name(&listed.version.key)));
            after = page.next;
            if after.is_none() || (self.stop)() {
                return Ok(all);
            }
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }
}

impl Erased {
    /// The count of one object with so many rows of the device.
    fn of_one(rows: usize, removed: bool) -> Self {
        Self { read: 1, found: usize::from(rows > 0), rows, removed: usize::from(removed), unreadable: 0 }
    }
}

impl std::ops::Add for Erased {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            read: self.read + other.read,
            found: self.found + other.found,
            rows: self.rows + other.rows,
            removed: self.removed + other.removed,
            unreadable: self.unreadable + other.unreadable,
        }
    }
}

impl AddAssign for Erased {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

fn unreadable(key: &str, error: &impl ToString) -> Erased {
    let reason = error.to_string();
    tracing::error!(key, reason, "an object of the archive cannot be read, and may hold the device");
    Erased { read: 1, unreadable: 1, ..Erased::default() }
}

#[cfg(test)]
mod tests;
