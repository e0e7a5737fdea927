//! The devices that were erased. Every stage drops what it receives of them, so that late and repeated messages do not
//! bring them back.
//!
//! The object `erased` has a line for each: the SHA-256 of the device's ID, in hex, and the time of the erasure. A scan
//! of the bucket for the ID finds nothing. It is no secret for somebody who can guess IDs: there are few of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use sha2::{Digest as _, Sha256};

/// The key of the object.
pub const ERASED: &str = "erased";

/// The erased devices, and when they were erased.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tombstones(BTreeMap<[u8; 32], At>);

/// The object has other content than tombstones.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("line {0} of the object {ERASED} is not a SHA-256 in hex and a time: restore an older version of the object")]
pub struct TombstoneError(usize);

impl Tombstones {
    /// Parses the content of the object.
    ///
    /// # Errors
    /// [`TombstoneError`].
    pub fn parse(content: &[u8]) -> Result<Self, TombstoneError> {
        let lines = content.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
        lines.map(|(number, line)| entry(line).ok_or(TombstoneError(number + 1))).collect::<Result<_, _>>().map(Self)
    }

    /// The content of the object: a function of the set.
    pub fn content(&self) -> Bytes {
        let mut text = String::new();
        for (hash, erased) in &self.0 {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{} {erased}", hex::encode(hash));
        }
        text.into()
    }

    /// Adds a device. An earlier tombstone of it stays.
    pub fn add(&mut self, device: DeviceId, erased: At) {
        self.0.entry(hash(device)).or_insert(erased);
    }

    /// True if the device was erased.
    pub fn contains(&self, device: DeviceId) -> bool {
        // Hardly any archive has a tombstone, and a hash takes longer than the rest.
        !self.0.is_empty() && self.0.contains_key(&hash(device))
    }

    /// The time at which the device was erased; `None` if it was not.
    pub fn of(&self, device: DeviceId) -> Option<At> {
        self.0.get(&hash(device)).copied()
    }
}

fn hash(device: DeviceId) -> [u8; 32] {
    Sha256::digest(device.to_string()).into()
}

/// A line: the hash and the time.
fn entry(line: &[u8]) -> Option<([u8; 32], At)> {
    let (hash, erased) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    Some((hex::decode(hash).ok()?.try_into().ok()?, erased.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> At {
        At::from_unix(1_795_176_000 + seconds).unwrap()
    }

    fn device(number: u32) -> DeviceId {
        format!("sigfox:{number:X}").parse().unwrap()
    }

    proptest! {
        #[test]
        fn any_set_is_read_as_it_was_written_and_names_no_device(numbers in prop::collection::btree_set(1_u32.., 0..20)) {
            let mut tombstones = Tombstones::default();
            for &number in &numbers {
                tombstones.add(device(number), at(number.into()));
            }
            let content = tombstones.content();
            prop_assert_eq!(&Tombstones::parse(&content).unwrap(), &tombstones);
            prop_assert_eq!(String::from_utf8_lossy(&content).lines().count(), numbers.len());
            prop_assert!(!String::from_utf8_lossy(&content).contains("sigfox"));
            for &number in &numbers {
                prop_assert_eq!(tombstones.of(device(number)), Some(at(number.into())));
            }
            prop_assert!(!tombstones.contains("nbiot:490154203237518".parse().unwrap()));
        }

        #[test]
        fn no_content_panics(content: Vec<u8>) {
            let _ = Tombstones::parse(&content);
        }
    }

    #[test]
    fn other_content_is_an_error_and_not_an_empty_set() {
        let mut tombstones = Tombstones::default();
        tombstones.add(device(1), at(0));
        let good = String::from_utf8(tombstones.content().into()).unwrap();
        for bad in ["x", &good[1..], &good.replace(' ', "  "), &format!("{good}noise")] {
            assert!(Tombstones::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
