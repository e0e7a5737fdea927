//! The work of a run: a partition of the devices, from a month on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::month::Month;
use super::state::overlap;
use crate::archive::place::{Day, MAX_BITS, Place};

/// The devices whose SHA-256 begins with these bits, and the first month that is due. As a message:
/// `{"partition": "2a", "bits": 6, "month": "2026-11"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Message", into = "Message")]
pub struct Partition {
    bits: u8,
    number: u16,
    month: Option<Month>,
}

/// Not a partition.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{partition:?} is not a partition of {bits} bits, such as 2a of 6")]
pub struct PartitionError {
    partition: String,
    bits: u8,
}

#[derive(Serialize, Deserialize)]
struct Message {
    partition: String,
    bits: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    month: Option<Month>,
}

impl Partition {
    /// All devices, and all months.
    pub const ALL: Self = Self { bits: 0, number: 0, month: None };

    /// The partitions of these places, each from its first month on. Of places that share devices, the one with the
    /// most devices names the partition, so that no two runs make the same file.
    pub(super) fn of_places(places: impl Iterator<Item = Place>) -> Vec<Self> {
        let mut months: BTreeMap<(u8, u16), Month> = BTreeMap::new();
        for place in places {
            let Some(month) = Month::of_place(place) else { continue };
            let first = months.entry((place.bits, place.partition)).or_insert(month);
            *first = month.min(*first);
        }
        let mut all: Vec<Self> = Vec::new();
        // The fewest bits, and so the largest partitions, come first.
        for ((bits, number), month) in months {
            let new = Self { bits, number, month: Some(month) };
            match all.iter_mut().find(|larger| overlap(larger.place(), new.place())) {
                Some(larger) => larger.month = larger.month.min(new.month),
                None => all.push(new),
            }
        }
        all
    }

    /// The first month to make; `None`: all.
    pub fn month(self) -> Option<Month> {
        self.month
    }

    pub(super) fn place(self) -> Place {
        Place { day: Day::Odd, partition: self.number, bits: self.bits }
    }
}

impl TryFrom<Message> for Partition {
    type Error = PartitionError;

    fn try_from(message: Message) -> Result<Self, PartitionError> {
        let Message { partition, bits, month } = message;
        match u16::from_str_radix(&partition, 16) {
            Ok(number) if bits <= MAX_BITS && number < 1 << bits => Ok(Self { bits, number, month }),
            _ => Err(PartitionError { partition: partition.chars().take(64).collect(), bits }),
        }
    }
}

impl From<Partition> for Message {
    fn from(Partition { bits, number, month }: Partition) -> Self {
        Self { partition: format!("{number:02x}"), bits, month }
    }
}
