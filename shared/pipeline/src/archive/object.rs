//! Objects in `new/`: distinct uplinks, sorted, as length-delimited records (see [`pulsegate_model::record`]), compressed
//! with zstd. There are two kinds:
//!
//! ```text
//! new/SHA256                  a batch: the name is the SHA-256 of the content, so a batch that is delivered again
//!                             writes the same object again
//! new/rest-00000001-SHA256    what a run of `settle` had no time for: a generation, and the SHA-256
//! ```
//!
//! The generation is one more than the highest of the objects that the rest replaces. So a rest is after all of these in
//! the order of keys, and two things hold:
//!
//! - No run writes an object again that another run deletes because its rows are in a rest. If it could, two overlapping
//!   runs could each delete the object on which the other one relies.
//! - Rows move only towards the end of a list. A reader that lists several pages cannot be overtaken by rows that move
//!   from a page that it has not read yet to one that it has read.

use std::collections::BTreeSet;

use bytes::Bytes;
use pulsegate_model::record::{self, RecordError};
use pulsegate_model::uplink::Uplink;
use sha2::{Digest as _, Sha256};

use super::place::NEW;

/// Level of compression. Higher levels cost processor time and save nothing: settled rows are compressed again.
const LEVEL: i32 = 3;

/// The longest decompressed content that is accepted. A batch of Lambda has at most 6 MB.
const MAX_CONTENT: usize = 64 * 1024 * 1024;

/// The longest rest in one object, so that the longest uplinks fit into [`MAX_CONTENT`].
pub const MAX_REST: usize = 15_000;

/// The beginning of a rest's name: all batches' names, in hex, are before it.
const REST: &str = "rest-";

/// An object to put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewObject {
    /// `new/`, for a rest its generation, and the SHA-256 of the content, in hex.
    pub key: String,
    /// The content.
    pub content: Bytes,
}

/// An object that this code did not write.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The name is not that of the content.
    #[error("its content has another SHA-256 than its name says")]
    Name,
    /// Not zstd.
    #[error("not compressed by zstd: {0}")]
    Compression(#[from] std::io::Error),
    /// A record is longer than the rest of the content, or has no length.
    #[error("a record is cut off")]
    CutOff,
    /// A record is not an uplink.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Encodes a batch.
///
/// # Errors
/// If the compression fails, for want of memory.
pub fn encode<'a>(uplinks: impl IntoIterator<Item = &'a Uplink>) -> std::io::Result<NewObject> {
    let content = compress(uplinks)?;
    Ok(NewObject { key: key(0, &content), content })
}

/// Encodes the rest of objects with these keys.
///
/// # Errors
/// If the compression fails, for want of memory.
pub fn encode_rest<'a>(of: &[String], uplinks: impl IntoIterator<Item = &'a Uplink>) -> std::io::Result<NewObject> {
    let generation = of.iter().map(|key| generation(key)).max().unwrap_or(0).saturating_add(1);
    let content = compress(uplinks)?;
    Ok(NewObject { key: key(generation, &content), content })
}

fn compress<'a>(uplinks: impl IntoIterator<Item = &'a Uplink>) -> std::io::Result<Bytes> {
    let records = uplinks.into_iter().map(|uplink| {
        let mut record = Vec::new();
        record::encode(uplink, &mut record);
        record
    });
    let records: BTreeSet<Vec<u8>> = records.collect();
    let mut content = Vec::new();
    for record in records {
        prost::encoding::encode_varint(record.len() as u64, &mut content);
        content.extend(record);
    }
    Ok(zstd::bulk::compress(&content, LEVEL)?.into())
}

/// Decodes an object.
///
/// # Errors
/// [`ObjectError`].
pub fn decode(key: &str, content: &[u8]) -> Result<Vec<Uplink>, ObjectError> {
    if self::key(generation(key), content) != key {
        return Err(ObjectError::Name);
    }
    let content = zstd::bulk::decompress(content, MAX_CONTENT)?;
    let mut rest = content.as_slice();
    let mut uplinks = Vec::new();
    while !rest.is_empty() {
        let len = prost::encoding::decode_varint(&mut rest).map_err(|_| ObjectError::CutOff)?;
        let len = usize::try_from(len).map_err(|_| ObjectError::CutOff)?;
        let (record, after) = rest.split_at_checked(len).ok_or(ObjectError::CutOff)?;
        uplinks.push(record::decode_stored(record)?);
        rest = after;
    }
    Ok(uplinks)
}

fn key(generation: u32, content: &[u8]) -> String {
    let hash = hex::encode(Sha256::digest(content));
    match generation {
        0 => format!("{NEW}{hash}"),
        _ => format!("{NEW}{REST}{generation:08x}-{hash}"),
    }
}

/// The generation of a rest; 0 for a batch.
fn generation(key: &str) -> u32 {
    let name = key.strip_prefix(NEW).and_then(|name| name.strip_prefix(REST));
    let digits = name.and_then(|name| name.get(..8));
    digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
}
