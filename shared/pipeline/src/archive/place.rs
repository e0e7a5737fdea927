//! The file of an uplink: its UTC day, and the partition of its device.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::{TimeSource, Uplink};
use sha2::{Digest as _, Sha256};

/// The prefix of objects that are not settled.
pub const NEW: &str = "new/";
/// The prefix of the files.
pub const DAY: &str = "day/";

/// 2020-01-01 and 2100-01-01, in days since 1970. A meter's clock shows any time, and each day has a file of its own, so
/// times outside these bounds share one.
const DATES: std::ops::Range<i64> = 18_262..47_482;

/// The most bits of a partition: a file of a day of 3.6 million hourly meters has 84,000 rows then.
pub(super) const MAX_BITS: u8 = 10;

/// A UTC day, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Day {
    /// Days since 1970.
    Date(i64),
    /// The time is no date: outside of 2020 to 2099, or from a clock that is not set.
    Odd,
}

/// A file: a day, and a partition of the devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The day.
    pub day: Day,
    /// The first bits of the SHA-256 of the device's ID.
    pub partition: u16,
    /// The number of bits.
    pub bits: u8,
}

/// The number of partitions, as a power of two, from a day on. It is a function of the day, so that the file of an uplink
/// can be found without a directory. A day's number must not change once the day has a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionBits(BTreeMap<i64, u8>);

/// Not a list of days with bits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a list of days with 0 to 10 bits each, of the form 2026-01-01=0,2027-03-01=6")]
pub struct PartitionBitsError(String);

impl Day {
    /// The day of an uplink.
    pub fn of(uplink: &Uplink) -> Self {
        match uplink.time_source {
            TimeSource::Unset => Self::Odd,
            TimeSource::Network | TimeSource::Device | TimeSource::Computed => Self::at(uplink.at),
        }
    }

    /// The day of a time.
    pub fn at(at: At) -> Self {
        let day = at.unix().div_euclid(86_400);
        if DATES.contains(&day) { Self::Date(day) } else { Self::Odd }
    }

    /// The days of a span, both ends included, without [`Self::Odd`].
    pub fn between(from: At, to: At) -> impl Iterator<Item = Self> {
        let number = |at: At| at.unix().div_euclid(86_400);
        (number(from).max(DATES.start)..=number(to).min(DATES.end - 1)).map(Self::Date)
    }
}

impl PartitionBits {
    /// The file of an uplink.
    pub fn place(&self, uplink: &Uplink) -> Place {
        self.place_of(uplink.device, Day::of(uplink))
    }

    /// The file of a device's uplinks of this day.
    pub fn place_of(&self, device: DeviceId, day: Day) -> Place {
        let bits = self.bits(day);
        Place { day, partition: partition_of(device, bits), bits }
    }

    /// The place whose file has this key; `None` if it is not the key of a file.
    pub fn place_named(&self, key: &str) -> Option<Place> {
        let (day, file) = key.strip_prefix(DAY)?.split_once('/')?;
        let day = match day {
            "odd" => Day::Odd,
            date => Some(Day::at(format!("{date}T00:00:00Z").parse().ok()?)).filter(|day| *day != Day::Odd)?,
        };
        let partition = u16::from_str_radix(file.strip_suffix(".parquet")?, 16).ok()?;
        Some(Place { day, partition, bits: self.bits(day) }).filter(|place| place.to_string() == key)
    }

    /// The places of another day that have devices of this place.
    pub(super) fn overlapping(&self, place: Place, day: Day) -> impl Iterator<Item = Place> + use<> {
        let bits = self.bits(day);
        let partitions = if bits <= place.bits {
            let partition = place.partition >> (place.bits - bits);
            partition..partition + 1
        } else {
            let more = bits - place.bits;
            place.partition << more..(place.partition + 1) << more
        };
        partitions.map(move |partition| Place { day, partition, bits })
    }

    /// The place whose file in a folder of derived files has this key: see [`Place::key_under`]. `None` if it is not the
    /// key of one.
    pub fn place_under(&self, prefix: &str, key: &str) -> Option<Place> {
        let file = key.strip_prefix(prefix)?.strip_prefix("day=")?;
        self.place_named(&format!("{DAY}{file}")).filter(|place| place.day != Day::Odd)
    }

    /// The number of bits on a day.
    pub fn bits(&self, day: Day) -> u8 {
        match day {
            Day::Date(day) => self.0.range(..=day).next_back().map_or(0, |(_, &bits)| bits),
            Day::Odd => 0,
        }
    }
}

impl Default for PartitionBits {
    /// One file for each day, for up to 56,000 hourly meters.
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl FromStr for PartitionBits {
    type Err = PartitionBitsError;

    fn from_str(text: &str) -> Result<Self, PartitionBitsError> {
        let error = || PartitionBitsError(text.to_owned());
        let mut days = BTreeMap::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (day, bits) = entry.split_once('=').ok_or_else(error)?;
            let at: At = format!("{}T00:00:00Z", day.trim()).parse().map_err(|_| error())?;
            let bits = bits.trim().parse().ok().filter(|bits| *bits <= MAX_BITS).ok_or_else(error)?;
            if days.insert(at.unix().div_euclid(86_400), bits).is_some() {
                return Err(error());
            }
        }
        Ok(Self(days))
    }
}

impl fmt::Display for PartitionBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<String> = self.0.iter().map(|(&day, bits)| format!("{}={bits}", Day::Date(day))).collect();
        f.write_str(&days.join(","))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date(day) => {
                let at = At::from_unix(day * 86_400).unwrap_or(At::EPOCH).to_string();
                f.write_str(at.split('T').next().unwrap_or_default())
            }
            Self::Odd => f.write_str("odd"),
        }
    }
}

/// The partition of a device: the first bits of the SHA-256 of its ID, so many.
pub(super) fn partition_of(device: DeviceId, bits: u8) -> u16 {
    let hash = Sha256::digest(device.to_string());
    u16::from_be_bytes([hash[0], hash[1]]).checked_shr(16 - u32::from(bits)).unwrap_or(0)
}

/// The names that the files of a device can have, with any number of partitions.
pub fn names_of(device: DeviceId) -> impl Iterator<Item = String> {
    let of = move |bits| PartitionBits(BTreeMap::from([(0, bits)])).place_of(device, Day::Date(DATES.start)).name();
    (0..=MAX_BITS).map(of)
}

impl Place {
    /// The key of a file of this place in a folder of derived files, in Hive's form:
    /// `points/day=2026-11-20/2a.parquet`.
    pub fn key_under(self, prefix: &str) -> String {
        format!("{prefix}day={}/{}", self.day, self.name())
    }

    /// The last part of the file's key.
    fn name(self) -> String {
        format!("{:02x}.parquet", self.partition)
    }
}

/// The key of the file.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DAY}{}/{}", self.day, self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(text: &str) -> PartitionBits {
        text.parse().unwrap()
    }

    #[test]
    fn the_number_of_partitions_is_a_function_of_the_day() {
        let bits = bits("2026-01-01=0, 2027-03-01=6");
        let of = |day: &str| bits.bits(Day::at(format!("{day}T12:00:00Z").parse().unwrap()));
        assert_eq!((of("2025-12-31"), of("2027-02-28"), of("2027-03-01"), of("2040-01-01")), (0, 0, 6, 6));
        assert_eq!(bits.bits(Day::Odd), 0);
        assert_eq!("".parse(), Ok(PartitionBits::default()));
        assert_eq!(bits.to_string(), "2026-01-01=0,2027-03-01=6");
        for text in ["2026-01-01", "2026-01-01=11", "2026-13-01=1", "x=1", "2026-01-01=1,2026-01-01=2"] {
            assert!(text.parse::<PartitionBits>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_place_is_found_again_by_the_key_of_its_file() {
        let bits = bits("2026-01-01=10");
        let device: DeviceId = "sigfox:1A2345".parse().unwrap();
        for day in [Day::Odd, Day::at("2025-12-31T00:00:00Z".parse().unwrap()), Day::Date(20_777)] {
            let place = bits.place_of(device, day);
            assert_eq!(bits.place_named(&place.to_string()), Some(place));
        }
        for key in
            ["day/odd/0.parquet", "day/2026-11-20/00", "day/1970-01-01/00.parquet", "day/2026-11-20/a/00.parquet"]
        {
            assert_eq!(bits.place_named(key), None, "{key}");
        }
    }

    #[test]
    fn a_file_is_called_after_its_day_and_the_first_bits_of_the_devices_hash() {
        let device: DeviceId = "sigfox:1A2345".parse().unwrap();
        // The SHA-256 of its ID.
        let hash = hex::encode(Sha256::digest("sigfox:1A2345"));
        let day = Day::at("2026-11-20T23:59:59Z".parse().unwrap());
        assert_eq!(bits("").place_of(device, day).to_string(), "day/2026-11-20/00.parquet");
        let of_eight = bits("2026-01-01=8").place_of(device, day);
        assert_eq!(of_eight.to_string(), format!("day/2026-11-20/{}.parquet", &hash[..2]));
        assert_eq!(bits("2026-01-01=8").place_of(device, Day::Odd).to_string(), "day/odd/00.parquet");
        for (of, day) in [
            ("1970-01-01T00:00:37Z", "odd"),
            ("2020-01-01T00:00:00Z", "2020-01-01"),
            ("2099-12-31T23:59:59Z", "2099-12-31"),
            ("2100-01-01T00:00:00Z", "odd"),
        ] {
            assert_eq!(Day::at(of.parse().unwrap()).to_string(), day);
        }
    }
}
