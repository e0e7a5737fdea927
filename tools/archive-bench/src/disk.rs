//! An object store in a directory, for one process. It counts requests and bytes.

use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use pulsegate_pipeline::archive::store::{
    Condition, ETag, Get, Got, Listed, MAX_LISTED, Object, ObjectStore, Page, Part, Put, StoreError,
};
use pulsegate_pipeline::ports::Refused;
use tokio::time::Instant;

/// The store. A file's version is the time of its last change.
#[derive(Debug)]
pub(crate) struct Disk {
    home: PathBuf,
    pub(crate) counted: Counted,
}

/// Requests and bytes since the start.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) lists: AtomicU64,
    pub(crate) gets: AtomicU64,
    pub(crate) absent: AtomicU64,
    pub(crate) puts: AtomicU64,
    pub(crate) read: AtomicU64,
    pub(crate) written: AtomicU64,
}

impl Disk {
    pub(crate) fn new(home: &Path) -> Self {
        Self { home: home.to_owned(), counted: Counted::default() }
    }

    fn listed(&self, prefix: &str) -> std::io::Result<Vec<Listed>> {
        let mut objects = Vec::new();
        self.walk("", &mut objects)?;
        objects.retain(|listed| listed.key.starts_with(prefix));
        objects.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(objects)
    }

    fn walk(&self, folder: &str, objects: &mut Vec<Listed>) -> std::io::Result<()> {
        for entry in std::fs::read_dir(self.home.join(folder))? {
            let entry = entry?;
            let key = format!("{folder}{}", entry.file_name().to_string_lossy());
            let of = entry.metadata()?;
            if of.is_dir() {
                self.walk(&format!("{key}/"), objects)?;
            } else {
                objects.push(Listed { key, size: of.len(), etag: etag(&of), modified: 0 });
            }
        }
        Ok(())
    }

    fn read(&self, request: &Get<'_>) -> std::io::Result<Got> {
        let file = match std::fs::File::open(self.home.join(request.key)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Got::Absent),
            file => file?,
        };
        let of = file.metadata()?;
        if request.version.is_some_and(|version| *version != etag(&of)) {
            return Ok(Got::Changed);
        }
        let size = of.len();
        let range = match &request.part {
            Part::Whole => 0..size,
            Part::Range(range) => range.start.min(size)..range.end.min(size),
            Part::Last(last) => size.saturating_sub(*last)..size,
        };
        let mut content = vec![0; usize::try_from(range.end - range.start).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut content, range.start)?;
        Ok(Got::Object(Object { content: content.into(), size, etag: etag(&of) }))
    }

    fn write(&self, key: &str, content: &[u8], condition: Condition<'_>) -> std::io::Result<Put> {
        let path = self.home.join(key);
        let now = path.metadata().ok().map(|of| etag(&of));
        let holds = match condition {
            Condition::Always => true,
            Condition::Absent => now.is_none(),
            Condition::Version(version) => now.as_ref() == Some(version),
        };
        if !holds {
            return Ok(Put::Conflict);
        }
        std::fs::create_dir_all(path.parent().unwrap_or(&self.home))?;
        std::fs::write(&path, content)?;
        Ok(Put::Done(etag(&path.metadata()?)))
    }
}

fn etag(of: &std::fs::Metadata) -> ETag {
    let changed = of.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    ETag(changed.as_nanos().to_string())
}

fn failed(what: &str) -> impl FnOnce(std::io::Error) -> StoreError {
    move |error| StoreError { what: what.to_owned(), source: error.into() }
}

impl ObjectStore for Disk {
    async fn list(&self, prefix: &str, after: Option<&str>, _: Instant) -> Result<Page, StoreError> {
        self.counted.lists.fetch_add(1, Relaxed);
        let mut objects = self.listed(prefix).map_err(failed(prefix))?;
        objects.retain(|listed| after.is_none_or(|after| listed.key.as_str() > after));
        let truncated = objects.len() > MAX_LISTED;
        objects.truncate(MAX_LISTED);
        Ok(Page { objects, truncated })
    }

    async fn get(&self, request: Get<'_>, _: Instant) -> Result<Got, StoreError> {
        let got = self.read(&request).map_err(failed(request.key))?;
        self.counted.gets.fetch_add(1, Relaxed);
        match &got {
            Got::Object(object) => self.counted.read.fetch_add(object.content.len() as u64, Relaxed),
            Got::Absent | Got::Changed => self.counted.absent.fetch_add(1, Relaxed),
        };
        Ok(got)
    }

    async fn put(&self, key: &str, content: Bytes, condition: Condition<'_>, _: Instant) -> Result<Put, StoreError> {
        self.counted.puts.fetch_add(1, Relaxed);
        self.counted.written.fetch_add(content.len() as u64, Relaxed);
        self.write(key, &content, condition).map_err(failed(key))
    }

    async fn delete(&self, keys: &[String], _: Instant) -> Refused {
        let is_left = |key: &String| {
            let path = self.home.join(key);
            std::fs::remove_file(&path).is_err() && path.exists()
        };
        keys.iter().enumerate().filter(|(_, key)| is_left(key)).map(|(position, _)| position).collect()
    }
}
