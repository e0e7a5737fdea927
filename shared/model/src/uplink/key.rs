//! The key of an uplink: the same however often the uplink arrives.

use std::fmt;
use std::str::FromStr;

use super::{TimeSource, Uplink};
use crate::at::At;
use crate::device::DeviceId;

/// The identity of an uplink, the same however often it arrives: device, time and sequence.
///
/// Only an [`Uplink`] has one. Its parts are the keys in the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NaturalKey {
    device: DeviceId,
    sort: SortKey,
}

/// The sort key of an uplink: `2026-11-20T12:00:00Z#00042`. Keys sort by time; a device without a counter has `#-`. Five
/// digits hold every counter of Sigfox (12 bits); a longer one is written in full.
///
/// A `u` at the end means that the time was not accepted ([`TimeSource::Unset`]). A recorded datagram that is replayed
/// when its time is no longer accepted does not overwrite the item that was stored when it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SortKey {
    /// The time of the uplink, by the clock of its `time_source`.
    pub at: At,
    /// See [`Uplink::sequence`].
    pub sequence: Option<u32>,
    /// True if the clock is [`TimeSource::Unset`].
    pub unset: bool,
}

/// Not the sort key of an uplink.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not the sort key of an uplink, of the form 2026-11-20T12:00:00Z#00042")]
pub struct SortKeyError(pub String);

impl Uplink {
    /// The natural key, whatever the kind.
    pub fn key(&self) -> NaturalKey {
        let unset = self.time_source == TimeSource::Unset;
        NaturalKey { device: self.device, sort: SortKey { at: self.at, sequence: self.sequence, unset } }
    }
}

impl NaturalKey {
    /// The partition key: the device's ID.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// The time of the uplink, by the clock of its `time_source`.
    pub fn at(&self) -> At {
        self.sort.at
    }
}

/// The sort key.
impl fmt::Display for NaturalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sort.fmt(f)
    }
}

impl fmt::Display for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sequence {
            Some(sequence) => write!(f, "{}#{sequence:05}", self.at)?,
            None => write!(f, "{}#-", self.at)?,
        }
        f.write_str(if self.unset { "u" } else { "" })
    }
}

impl FromStr for SortKey {
    type Err = SortKeyError;

    fn from_str(text: &str) -> Result<Self, SortKeyError> {
        let read = || {
            let (at, rest) = text.split_once('#')?;
            let (sequence, unset) = rest.strip_suffix('u').map_or((rest, false), |sequence| (sequence, true));
            let sequence = if sequence == "-" { None } else { Some(sequence.parse().ok()?) };
            Some(Self { at: at.parse().ok()?, sequence, unset })
        };
        read().ok_or_else(|| SortKeyError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::any_uplink;
    use super::*;

    #[test]
    fn the_key_reads_as_time_and_zero_padded_sequence() {
        let key = SortKey { at: "2026-11-20T12:00:00Z".parse().unwrap(), sequence: Some(42), unset: false };
        assert_eq!(key.to_string(), "2026-11-20T12:00:00Z#00042");
        assert_eq!(SortKey { sequence: None, ..key }.to_string(), "2026-11-20T12:00:00Z#-");
        assert_eq!(SortKey { unset: true, ..key }.to_string(), "2026-11-20T12:00:00Z#00042u");
        for text in ["", "2026-11-20T12:00:00Z", "2026-11-20T12:00:00Z#", "2026-11-20T12:00:00Z#u", "now#00042", "#uu"]
        {
            assert_eq!(text.parse::<SortKey>(), Err(SortKeyError(text.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn keys_sort_by_time(a in any_uplink(), b in any_uplink()) {
            prop_assume!(a.at != b.at);
            prop_assert_eq!(a.at < b.at, a.key().to_string() < b.key().to_string());
        }

        #[test]
        fn every_key_is_read_back_as_it_was_written(uplink in any_uplink()) {
            let key = uplink.key();
            prop_assert_eq!(key.to_string().parse::<SortKey>()?, key.sort);
        }

        #[test]
        fn an_uplink_whose_time_is_not_accepted_has_another_key_than_one_whose_time_is(uplink in any_uplink()) {
            let of = |time_source| Uplink { time_source, ..uplink.clone() }.key();
            prop_assert_ne!(of(TimeSource::Unset).to_string(), of(TimeSource::Device).to_string());
            prop_assert_eq!(of(TimeSource::Network), of(TimeSource::Device));
        }
    }
}
