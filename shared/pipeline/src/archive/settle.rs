//! Merges `new/` into the files: compare and swap, the rest put back, deletion last.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use pulsegate_model::uplink::Uplink;
use serde::Serialize;
use tokio::time::Instant;

use super::columns::FileError;
use super::file;
use super::object::{self, ObjectError};
use super::place::{NEW, PartitionBits, Place};
use super::row::Row;
use super::store::{Condition, Get, Got, Object, ObjectStore, Put, StoreError};
use super::tombstones;
use crate::telemetry::is_zero;
use crate::tombstones::Tombstones;

/// Objects that are read at once. A GET takes tens of milliseconds, so a thousand of them one after another would take most
/// of a minute.
const READS_AT_ONCE: usize = 16;

/// The memory, in bytes, that the uplinks of a run may take: 1.2 million short ones, more than 3.6 million meters send in a
/// quarter of an hour. The rows of the file that is being merged take as much again at the most, if all are of one
/// partition. With the file that is together less than half of the function's 1,769 MB.
pub const MAX_MEMORY: usize = 400_000_000;

/// The memory of an uplink beside its payload: 168 bytes and three short texts.
const UPLINK_MEMORY: usize = 300;

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Settled {
    /// Objects of `new/` that were read.
    pub objects: usize,
    /// Their rows, without those of erased devices.
    pub rows: usize,
    /// Rows of erased devices, which are dropped. A metric without values costs nothing.
    #[serde(skip_serializing_if = "is_zero")]
    pub erased: usize,
    /// Files that were replaced or created.
    pub files: usize,
    /// Files that held all rows already.
    pub unchanged: usize,
    /// Swaps that another run won, and that were made again.
    pub conflicts: usize,
    /// Rows for which the time did not suffice. They are in new objects of `new/`.
    pub remaining: usize,
    /// Objects that this code cannot read, and files. They stay as they are, with the rows that belong there.
    pub unreadable: usize,
    /// True if `new/` held more than a run reads. The caller may begin another run at once.
    pub more: bool,
    /// The time at which the oldest object of `new/` was written, in seconds since 1970; `None` if there was no object.
    pub oldest: Option<i64>,
}

/// The cause of an early end of a run. Its rows are still in `new/`, or in files and in `new/`.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The store cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rest cannot be encoded.
    #[error("the rest cannot be encoded: {0}")]
    Encode(#[from] std::io::Error),
}

/// A run.
#[derive(Debug)]
pub struct Settle<'a, S> {
    /// The archive.
    pub store: &'a S,
    /// The number of partitions.
    pub bits: &'a PartitionBits,
    /// No file is begun after this time.
    pub stop: Instant,
    /// No request is made after this time. The rest is put back between the two.
    pub deadline: Instant,
}

impl Settled {
    /// The outcome of this run and a later one together.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        Self {
            objects: self.objects + later.objects,
            rows: self.rows + later.rows,
            erased: self.erased + later.erased,
            files: self.files + later.files,
            unchanged: self.unchanged + later.unchanged,
            conflicts: self.conflicts + later.conflicts,
            remaining: later.remaining,
            unreadable: self.unreadable.max(later.unreadable),
            more: later.more,
            oldest: [self.oldest, later.oldest].into_iter().flatten().min(),
        }
    }
}

impl<S: ObjectStore> Settle<'_, S> {
    /// Merges up to a page of objects, and up to [`MAX_MEMORY`].
    ///
    /// # Errors
    /// [`SettleError`]. Nothing is lost: the next run begins anew.
    pub async fn run(&self) -> Result<Settled, SettleError> {
        self.run_within(MAX_MEMORY).await
    }

    /// The same with uplinks of at most this many bytes of memory, and at least one object.
    ///
    /// # Errors
    /// As of [`Self::run`].
    pub async fn run_within(&self, memory: usize) -> Result<Settled, SettleError> {
        let mut settled = Settled::default();
        let tombstones = tombstones::load(self.store, self.deadline).await?;
        let (names, rows) = self.read(memory, &tombstones, &mut settled).await?;
        let mut files: BTreeMap<Place, Vec<Uplink>> = BTreeMap::new();
        for uplink in rows {
            files.entry(self.bits.place(&uplink)).or_default().push(uplink);
        }
        let mut rest = Vec::new();
        for (place, uplinks) in files {
            if Instant::now() < self.stop && self.merge(place, &uplinks, &mut settled).await? {
                continue;
            }
            rest.extend(uplinks);
        }
        self.put_back(&names, &rest, &mut settled).await?;
        // Deletion last: each row of these objects is in a file or in the rest by now.
        let undeleted = self.store.delete(&names, self.deadline).await;
        if !undeleted.is_empty() {
            tracing::warn!(objects = undeleted.len(), "settled objects are not deleted yet");
        }
        Ok(settled)
    }

    /// Reads objects of the first page, in its order. An object that another run has deleted meanwhile is in the files.
    /// Drops the rows of erased devices.
    async fn read(
        &self,
        memory: usize,
        tombstones: &Tombstones,
        settled: &mut Settled,
    ) -> Result<(Vec<String>, Vec<Uplink>), SettleError> {
        let page = self.store.list(NEW, None, self.deadline).await?;
        settled.more = page.truncated;
        settled.oldest = page.objects.iter().map(|listed| listed.modified).min();
        let reads = page.objects.into_iter().map(|listed| self.object(listed.key));
        let mut reads = stream::iter(reads).buffered(READS_AT_ONCE);
        let (mut names, mut uplinks, mut taken) = (Vec::new(), Vec::new(), 0);
        while let Some(read) = reads.next().await {
            if taken > memory {
                settled.more = true;
                break;
            }
            let (key, Got::Object(object)) = read? else { continue };
            match object::decode(&key, &object.content) {
                Ok(of_object) => {
                    taken += of_object.iter().map(|uplink| UPLINK_MEMORY + uplink.payload.bytes().len()).sum::<usize>();
                    uplinks.extend(of_object);
                    names.push(key);
                }
                Err(error) => {
                    settled.unreadable += 1;
                    report_object(&key, &error);
                }
            }
        }
        let all = uplinks.len();
        uplinks.retain(|uplink: &Uplink| !tombstones.contains(uplink.device));
        (settled.objects, settled.rows, settled.erased) = (names.len(), uplinks.len(), all - uplinks.len());
        Ok((names, uplinks))
    }

    async fn object(&self, key: String) -> Result<(String, Got), StoreError> {
        let got = self.store.get(Get::whole(&key), self.deadline).await?;
        Ok((key, got))
    }

    /// Replaces a file by its union with these uplinks. Returns false if it cannot be read.
    async fn merge(&self, place: Place, uplinks: &[Uplink], settled: &mut Settled) -> Result<bool, SettleError> {
        let key = place.to_string();
        loop {
            let old = match self.store.get(Get::whole(&key), self.deadline).await? {
                Got::Object(object) => Some(object),
                Got::Absent | Got::Changed => None,
            };
            let new = match union(old.as_ref(), uplinks) {
                Ok(new) => new,
                Err(error) => {
                    settled.unreadable += 1;
                    report_file(&key, &error);
                    return Ok(false);
                }
            };
            if old.as_ref().is_some_and(|old| old.content == new) {
                settled.unchanged += 1;
                return Ok(true);
            }
            let condition = old.as_ref().map_or(Condition::Absent, |old| Condition::Version(&old.etag));
            match self.store.put(&key, new, condition, self.deadline).await? {
                Put::Done(_) => {
                    settled.files += 1;
                    return Ok(true);
                }
                Put::Conflict => settled.conflicts += 1,
            }
        }
    }

    /// Puts what is left of these objects into new ones, which are in none's way: see [`object`].
    async fn put_back(&self, of: &[String], rest: &[Uplink], settled: &mut Settled) -> Result<(), SettleError> {
        settled.remaining = rest.len();
        for part in rest.chunks(object::MAX_REST) {
            let object = object::encode_rest(of, part)?;
            self.store.put(&object.key, object.content, Condition::Always, self.deadline).await?;
        }
        Ok(())
    }
}

fn union(old: Option<&Object>, uplinks: &[Uplink]) -> Result<Bytes, FileError> {
    file::union(old.map(|old| old.content.clone()), uplinks.iter().map(Row::from).collect())
}

fn report_object(key: &str, error: &ObjectError) {
    tracing::error!(key, reason = %error, "an object of the archive cannot be read and stays where it is");
}

fn report_file(key: &str, error: &FileError) {
    tracing::error!(key, reason = %error, "a file of the archive cannot be read; its new rows stay in new/");
}
