//! The assignments of all devices: 64 Parquet files, each of those devices whose SHA-256 begins with the same six bits.
//!
//! ```text
//! assignments/2a.parquet     the assignments of some devices, in order of device, channel and time
//! ```
//!
//! These files are the only place where assignments are kept. A device has one file, so a change of a device is atomic:
//! [`update`] replaces its file by compare-and-swap. The number of files does not depend on
//! [`PartitionBits`](super::place::PartitionBits): a setting of the archive cannot hide an assignment.
//!
//! The meters of 3.6 million channels take some 150 MB in all, so a file has a single row group and is read as a whole.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use pulsegate_model::assignment::{Assignment, Assignments};
use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use super::columns::FileError;
use super::place::{self, Place};
use super::store::{Condition, ETag, Get, Got, Object, ObjectStore, Put, StoreError};

pub mod file;
#[cfg(test)]
mod tests;

/// The prefix of the files.
pub const ASSIGNMENTS: &str = "assignments/";

/// The bits of the SHA-256 of a device's ID that name its file.
pub const BITS: u8 = 6;

/// Files that are read at once.
const READS_AT_ONCE: usize = 16;

/// Assignments, and the versions of the files that they were read from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// The assignments.
    pub assignments: Assignments,
    /// Each file that exists, by its key. A device has other assignments only if a version differs.
    pub versions: BTreeMap<String, ETag>,
}

/// Assignments that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum AssignmentsError {
    /// The store cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file is not one of assignments.
    #[error("the file {key} of the archive cannot be read: restore an older version of it")]
    File {
        /// Its key.
        key: String,
        /// The reason.
        #[source]
        error: FileError,
    },
}

/// The key of the file of a device.
pub fn key_of(device: DeviceId) -> String {
    key(place::partition_of(device, BITS))
}

/// The keys of the files with the devices of a place's partition: one of these, if the partition has six bits or more.
pub fn keys_of(place: Place) -> Vec<String> {
    let files = if place.bits < BITS {
        let more = BITS - place.bits;
        (place.partition << more)..((place.partition + 1) << more)
    } else {
        let file = place.partition >> (place.bits - BITS);
        file..file + 1
    };
    files.map(key).collect()
}

fn key(file: u16) -> String {
    format!("{ASSIGNMENTS}{file:02x}.parquet")
}

/// The versions of all files, by their keys: one request.
///
/// # Errors
/// [`StoreError`].
pub async fn versions(store: &impl ObjectStore, deadline: Instant) -> Result<BTreeMap<String, ETag>, StoreError> {
    let mut versions = BTreeMap::new();
    loop {
        let after = versions.last_key_value().map(|(key, _): (&String, _)| key.as_str());
        let page = store.list(ASSIGNMENTS, after, deadline).await?;
        versions.extend(page.objects.into_iter().map(|listed| (listed.key, listed.etag)));
        if !page.truncated {
            return Ok(versions);
        }
    }
}

/// Loads the assignments of all devices.
///
/// # Errors
/// [`AssignmentsError`] if a file cannot be read.
pub async fn load(store: &impl ObjectStore, deadline: Instant) -> Result<Assignments, AssignmentsError> {
    let keys = versions(store, deadline).await?.into_keys().collect();
    Ok(read_all(store, keys, |_| true, deadline).await?.assignments)
}

/// Loads the assignments of the devices of a place's partition. The day of the place does not matter.
///
/// # Errors
/// [`AssignmentsError`] if a file cannot be read.
pub async fn load_partition(
    store: &impl ObjectStore,
    place: Place,
    deadline: Instant,
) -> Result<Loaded, AssignmentsError> {
    let mut keys = keys_of(place);
    if keys.len() > 1 {
        // Most stacks with few partitions have few files.
        let existing = versions(store, deadline).await?;
        keys.retain(|key| existing.contains_key(key));
    }
    read_all(store, keys, |device| place::partition_of(device, place.bits) == place.partition, deadline).await
}

/// Loads the assignments of a device: one request.
///
/// # Errors
/// [`AssignmentsError`] if its file cannot be read.
pub async fn load_device(
    store: &impl ObjectStore,
    device: DeviceId,
    deadline: Instant,
) -> Result<Assignments, AssignmentsError> {
    Ok(read_all(store, vec![key_of(device)], |other| other == device, deadline).await?.assignments)
}

/// Changes the assignments of the devices of one file. `change` is called again, with what is there then, if another writer
/// was faster or the answer to a write was lost; so it must leave assignments as they are that it has changed before.
/// Returns true if the file was written.
///
/// A file of which no assignment is left is written without rows: a deletion could remove what another writer adds, since
/// it has no condition.
///
/// # Errors
/// [`AssignmentsError`] if the file cannot be read or written, and the errors of `change`: nothing is written then.
pub async fn update<E: From<AssignmentsError>>(
    store: &impl ObjectStore,
    key: &str,
    deadline: Instant,
    mut change: impl FnMut(&mut Assignments) -> Result<(), E>,
) -> Result<bool, E> {
    let unreadable = |error| AssignmentsError::File { key: key.to_owned(), error };
    loop {
        let old = get(store, key, deadline).await?;
        let mut assignments = Assignments::default();
        if let Some(old) = &old {
            add(&mut assignments, file::decode(old.content.clone()).map_err(unreadable)?).map_err(unreadable)?;
        }
        change(&mut assignments)?;
        let new = file::encode(assignments.iter()).map_err(unreadable)?;
        let is_same = match &old {
            Some(old) => old.content == new,
            None => assignments.iter().next().is_none(),
        };
        if is_same {
            return Ok(false);
        }
        let condition = old.as_ref().map_or(Condition::Absent, |old| Condition::Version(&old.etag));
        if let Put::Done(_) = store.put(key, new, condition, deadline).await.map_err(AssignmentsError::Store)? {
            return Ok(true);
        }
    }
}

/// Reads the files with these keys, several at once, and of these the devices that `is_wanted`.
async fn read_all(
    store: &impl ObjectStore,
    keys: Vec<String>,
    is_wanted: impl Fn(DeviceId) -> bool,
    deadline: Instant,
) -> Result<Loaded, AssignmentsError> {
    let read = async |key: String| Ok::<_, AssignmentsError>((get(store, &key, deadline).await?, key));
    let mut objects = stream::iter(keys).map(read).buffer_unordered(READS_AT_ONCE);
    let mut loaded = Loaded::default();
    while let Some((object, key)) = objects.try_next().await? {
        let Some(Object { content, etag, .. }) = object else { continue };
        let added = file::decode(content).and_then(|mut read| {
            read.retain(|assignment| is_wanted(assignment.device));
            add(&mut loaded.assignments, read)
        });
        added.map_err(|error| AssignmentsError::File { key: key.clone(), error })?;
        loaded.versions.insert(key, etag);
    }
    Ok(loaded)
}

fn add(assignments: &mut Assignments, more: Vec<Assignment>) -> Result<(), FileError> {
    Ok(more.into_iter().try_for_each(|assignment| assignments.add(assignment))?)
}

async fn get(store: &impl ObjectStore, key: &str, deadline: Instant) -> Result<Option<Object>, AssignmentsError> {
    match store.get(Get::whole(key), deadline).await? {
        Got::Object(object) => Ok(Some(object)),
        Got::Absent | Got::Changed => Ok(None),
    }
}
