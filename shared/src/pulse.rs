//! The item of the pulses table: one per uplink, with all that it says. `docs/data-model.md` describes it.
//!
//! An item is meant to stay within one write unit of DynamoDB, 1,024 bytes with the names of its attributes: a day of
//! hourly counts of two channels does. So times that are evenly apart are not written out.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::at::At;
use crate::codec::{Channel, Codec, Details, Flow, Mark, Reading, Series, Undecodable};
use crate::device::{DeviceId, Network};
use crate::ports::Item;
use crate::profile::{self, Profile};
use crate::uplink::{ProfileName, TimeSource, Uplink};

/// Sigfox counts uplinks with twelve bits (<https://support.sigfox.com/docs/callbacks-documentation>, `seqNumber`).
const SIGFOX_SEQUENCES: u32 = 1 << 12;

/// Why an uplink has no pulse item, for now or for ever.
#[derive(Debug, thiserror::Error)]
pub enum NoPulses {
    /// No profile of this name on the device's network.
    #[error("profile {0:?} is not known on this network")]
    UnknownProfile(String),
    /// Its codec cannot read the bytes.
    #[error("{source} ({} {})", codec.name, codec.version)]
    Undecodable {
        /// The codec that tried.
        codec: &'static Codec,
        /// Why it could not.
        source: Undecodable,
    },
}

impl NoPulses {
    /// The codec that tried, if it came to that.
    pub fn codec(&self) -> Option<&'static Codec> {
        match self {
            Self::UnknownProfile(_) => None,
            Self::Undecodable { codec, .. } => Some(codec),
        }
    }
}

/// An item of the pulses table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PulseItem {
    /// Who sent it.
    pub device: DeviceId,
    /// The sort key: when, and the device's message counter.
    pub uplink: String,
    /// What the device is.
    pub profile: ProfileName,
    /// What decoded it.
    pub codec: Cow<'static, str>,
    /// See [`Codec::version`].
    pub codec_version: u16,
    /// See [`Reading::frame`].
    pub frame: Cow<'static, str>,
    /// After how many bits the counts start again at zero, if anybody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter_bits: Option<u8>,
    /// Pulse counts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub channels: BTreeMap<Channel, Counts>,
    /// See [`Reading::flags`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub flags: BTreeSet<Mark>,
    /// See [`Reading::battery_mv`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery_mv: Option<u16>,
    /// See [`Reading::flow`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flow: BTreeMap<Channel, Flow>,
    /// See [`Reading::details`].
    #[serde(default, skip_serializing_if = "Details::is_empty")]
    pub details: Details,
}

/// The counts of a channel that an uplink tells, of one kind only: cumulative ones, those of single periods, or increments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Cumulative counts, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<u64>,
    /// What was counted in each period anew, newest first. Not cumulative: these are added up, each time once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counted: Vec<u64>,
    /// The time of the first index, or of the first that was counted. Absent where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// Whose clock that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_source: Option<TimeSource>,
    /// Seconds from one log to the next, as the profile has it: of all further indexes, or increments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_period: Option<u32>,
    /// Seconds from one index to the next, as the device tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// The same, where they are not evenly apart: seconds from each further index to the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seconds_before: Vec<u64>,
    /// The only index is the first log of a series that is told by the uplinks after this one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub begins_series: bool,
    /// What was counted between logs of such a series, in the order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub increments: Vec<u32>,
    /// The first increment is what was counted between this log of the series, from 1 on, and the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_log: Option<u16>,
    /// The message counter of the uplink that begins the series. Absent where the device's counter is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<u32>,
}

impl Counts {
    /// Each index with its time, newest first; without one where nobody knows when.
    pub fn dated(&self) -> impl Iterator<Item = (u64, Option<At>)> {
        self.with_times(&self.indexes)
    }

    /// The same of what was counted in each period anew.
    pub fn counted_dated(&self) -> impl Iterator<Item = (u64, Option<At>)> {
        self.with_times(&self.counted)
    }

    fn with_times<'a>(&'a self, values: &'a [u64]) -> impl Iterator<Item = (u64, Option<At>)> + 'a {
        let apart = self.log_period.map(u64::from).or(self.every);
        let before = move |n: usize| match n {
            0 => Some(0),
            _ => self.seconds_before.get(n - 1).copied().or_else(|| apart?.checked_mul(n as u64)),
        };
        let at = move |n| before(n).and_then(|seconds| self.at?.checked_sub(seconds));
        values.iter().enumerate().map(move |(n, &value)| (value, at(n)))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Decodes an uplink into its pulse item.
///
/// # Errors
/// [`NoPulses`]; trying again with the same code changes nothing.
pub fn item(uplink: &Uplink) -> Result<Item, NoPulses> {
    decode(uplink).map(|item| crate::ports::item(&item))
}

/// The same, before it is put into the database's types.
///
/// # Errors
/// [`NoPulses`].
pub fn decode(uplink: &Uplink) -> Result<PulseItem, NoPulses> {
    let name = uplink.profile.as_str();
    let profile =
        profile::find(uplink.device.network(), name).ok_or_else(|| NoPulses::UnknownProfile(name.to_owned()))?;
    let codec = profile.codec;
    let reading = (codec.decode)(uplink.payload.bytes(), &profile.settings)
        .map_err(|source| NoPulses::Undecodable { codec, source })?;
    Ok(PulseItem {
        device: uplink.device,
        uplink: uplink.key().to_string(),
        profile: uplink.profile.clone(),
        codec: codec.name.into(),
        codec_version: codec.version,
        frame: reading.frame.into(),
        counter_bits: profile.counter_bits().filter(|_| !reading.channels.is_empty()),
        channels: channels(uplink, profile, &reading),
        flags: reading.flags,
        battery_mv: reading.battery_mv,
        flow: reading.flow,
        details: reading.details,
    })
}

/// The frame's own moment, and whose clock says so.
type Moment = (At, TimeSource);

fn channels(uplink: &Uplink, profile: &Profile, reading: &Reading) -> BTreeMap<Channel, Counts> {
    let now = match reading.clock {
        Some(clock) => (clock, TimeSource::Device),
        None => (uplink.at, uplink.time_source),
    };
    reading.channels.iter().map(|(channel, series)| (channel.clone(), counts(uplink, profile, now, series))).collect()
}

fn counts(uplink: &Uplink, profile: &Profile, now: Moment, series: &Series) -> Counts {
    let log_period = profile.settings.log_period;
    match series {
        Series::Logs(indexes) => Counts {
            log_period: log_period.filter(|_| indexes.len() > 1),
            indexes: indexes.clone(),
            at: Some(now.0),
            time_source: Some(now.1),
            ..Counts::default()
        },
        Series::Timed(points) => timed(points.clone()),
        Series::Ago(points) => ago(now, points.clone()),
        Series::Counted(each) => {
            let mut each = counts(uplink, profile, now, each);
            each.counted = std::mem::take(&mut each.indexes);
            each
        }
        Series::First(index) => {
            let at = first_log(profile, now.0);
            let time_source = at.map(|_| TimeSource::Computed);
            Counts { indexes: vec![*index], at, time_source, log_period, begins_series: true, ..Counts::default() }
        }
        Series::Increments { after_log, counts, uplinks_before } => Counts {
            increments: counts.clone(),
            after_log: Some(*after_log),
            log_period,
            series: uplink.sequence.map(|sequence| sequence_before(uplink, sequence, *uplinks_before)),
            ..Counts::default()
        },
    }
}

fn timed(mut points: Vec<(At, u64)>) -> Counts {
    points.sort_unstable_by(|a, b| b.cmp(a));
    points.dedup();
    let Some(&(at, _)) = points.first() else { return Counts::default() };
    let before = |(time, index): (At, u64)| (at.unix().abs_diff(time.unix()), index);
    apart(Some((at, TimeSource::Device)), points.into_iter().map(before).collect())
}

fn ago(now: Moment, mut points: Vec<(u32, u64)>) -> Counts {
    points.sort_unstable_by_key(|&(before, index)| (before, Reverse(index)));
    points.dedup();
    let Some(&(newest, _)) = points.first() else { return Counts::default() };
    let at = match newest {
        0 => Some(now),
        _ => now.0.checked_sub(newest.into()).map(|at| (at, TimeSource::Computed)),
    };
    apart(at, points.into_iter().map(|(before, index)| ((before - newest).into(), index)).collect())
}

/// Counts with how many seconds each is before the first, the newest.
fn apart(newest: Option<Moment>, points: Vec<(u64, u64)>) -> Counts {
    let seconds_before: Vec<u64> = points.iter().skip(1).map(|&(before, _)| before).collect();
    let every = seconds_before.first().copied().filter(|&step| step > 0);
    let every =
        every.filter(|step| seconds_before.iter().zip(1_u64..).all(|(&before, n)| Some(before) == step.checked_mul(n)));
    Counts {
        indexes: points.into_iter().map(|(_, index)| index).collect(),
        at: newest.map(|(at, _)| at),
        time_source: newest.map(|(_, source)| source),
        every,
        seconds_before: if every.is_some() { vec![] } else { seconds_before },
        ..Counts::default()
    }
}

/// When the first log of a series was taken whose last one is of `last`.
fn first_log(profile: &Profile, last: At) -> Option<At> {
    let steps = profile.settings.logs_per_series?.checked_sub(1)?;
    last.checked_sub(u64::from(profile.settings.log_period?) * u64::from(steps))
}

fn sequence_before(uplink: &Uplink, sequence: u32, uplinks: u16) -> u32 {
    let before = sequence.wrapping_sub(u32::from(uplinks));
    match uplink.device.network() {
        Network::Sigfox => before % SIGFOX_SEQUENCES,
        Network::Nbiot => before,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn uplink(profile: &str, payload: &str) -> Uplink {
        serde_json::from_value(json!({
            "device": "sigfox:1A2345", "kind": "data", "at": "2026-11-20T12:00:00Z", "time_source": "network",
            "sequence": 42, "profile": profile, "payload": payload,
        }))
        .unwrap()
    }

    fn stored(profile: &str, payload: &str) -> Value {
        serde_dynamo::from_item(item(&uplink(profile, payload)).unwrap()).unwrap()
    }

    fn at(text: &str) -> At {
        text.parse().unwrap()
    }

    #[test]
    fn a_data_frame_becomes_one_index_per_channel_at_the_time_of_the_uplink() {
        let expected = json!({
            "device": "sigfox:1A2345", "uplink": "2026-11-20T12:00:00Z#00042", "profile": "adeunis-pulse-v4",
            "codec": "adeunis-pulse-v4", "codec_version": 2, "frame": "0x46", "counter_bits": 32,
            "channels": {
                "A": {"indexes": [159], "at": "2026-11-20T12:00:00Z", "time_source": "network"},
                "B": {"indexes": [2], "at": "2026-11-20T12:00:00Z", "time_source": "network"},
            },
            "details": {"frame_counter": 2},
        });
        assert_eq!(stored("adeunis-pulse-v4", "46400000009f00000002"), expected);
    }

    #[test]
    fn an_item_is_read_back_as_it_was_written() {
        for (profile, payload) in
            [("adeunis-pulse-v4", "46860000009f000000021a2b3c4d"), ("adeunis-pulse-v4-1h", "5a20000001270001")]
        {
            let uplink = uplink(profile, payload);
            let read: PulseItem = serde_dynamo::from_item(item(&uplink).unwrap()).unwrap();
            assert_eq!(read, decode(&uplink).unwrap());
        }
    }

    #[test]
    fn history_is_dated_by_the_profiles_log_period() {
        let counts = &stored("adeunis-pulse-v4-1h", "5a20000001270001")["channels"]["A"];
        let expected = json!({
            "indexes": [295, 294], "at": "2026-11-20T12:00:00Z", "time_source": "network", "log_period": 3600,
        });
        assert_eq!(counts, &expected);
    }

    #[test]
    fn history_of_an_unknown_log_period_keeps_its_order_and_gets_no_period() {
        let counts = &stored("adeunis-pulse-v4", "5a20000001270001")["channels"]["A"];
        assert_eq!(counts, &json!({"indexes": [295, 294], "at": "2026-11-20T12:00:00Z", "time_source": "network"}));
    }

    #[test]
    fn the_devices_own_clock_dates_its_counts() {
        let counts = &stored("adeunis-pulse-v4", "46860000009f000000021a2b3c4d")["channels"]["B"];
        assert_eq!(counts["time_source"], "device");
        assert_eq!(counts["at"], At::from_unix(1_356_998_400 + 0x1a2b_3c4d).unwrap().to_string());
    }

    #[test]
    fn times_of_the_device_are_written_short_where_they_are_evenly_apart() {
        let (ten, nine, eight) = (at("2026-11-20T10:00:00Z"), at("2026-11-20T09:00:00Z"), at("2026-11-20T08:00:00Z"));
        let even = timed(vec![(eight, 5), (ten, 9), (nine, 7), (nine, 7)]);
        assert_eq!(
            (even.at, even.indexes, even.every, even.seconds_before),
            (Some(ten), vec![9, 7, 5], Some(3600), vec![])
        );
        let uneven = timed(vec![(eight, 5), (ten, 9), (at("2026-11-20T09:00:01Z"), 7)]);
        assert_eq!((uneven.every, uneven.seconds_before), (None, vec![3599, 7200]));
        let same_time = timed(vec![(ten, 5), (ten, 9)]);
        assert_eq!((same_time.indexes, same_time.every, same_time.seconds_before), (vec![9, 5], None, vec![0]));
    }

    #[test]
    fn what_was_counted_before_now_is_dated_back_from_the_frames_own_moment() {
        let now = (at("2026-11-20T12:00:00Z"), TimeSource::Network);
        let since = ago(now, vec![(7200, 5), (0, 9), (3600, 7), (0, 9)]);
        assert_eq!((since.indexes, since.at, since.time_source), (vec![9, 7, 5], Some(now.0), Some(now.1)));
        assert_eq!((since.every, since.seconds_before), (Some(3600), vec![]));
        let earlier = ago(now, vec![(100, 5), (60, 9)]);
        assert_eq!((earlier.at, earlier.time_source), (now.0.checked_sub(60), Some(TimeSource::Computed)));
        assert_eq!((earlier.indexes, earlier.every), (vec![9, 5], Some(40)));
        let too_early = ago((At::EPOCH, TimeSource::Network), vec![(1, 5)]);
        assert_eq!((too_early.indexes, too_early.at, too_early.time_source), (vec![5], None, None));
    }

    #[test]
    fn every_index_gets_the_time_that_its_counts_tell() {
        let [ten, nine, eight] =
            ["10:00:00", "09:00:00", "08:00:00"].map(|time| Some(at(&format!("2026-11-20T{time}Z"))));
        let counts = |log_period, every, seconds_before| Counts {
            indexes: vec![9, 7, 5],
            at: ten,
            log_period,
            every,
            seconds_before,
            ..Counts::default()
        };
        let dated = |counts: Counts| counts.dated().map(|(_, at)| at).collect::<Vec<_>>();
        assert_eq!(dated(counts(Some(3600), None, vec![])), [ten, nine, eight]);
        assert_eq!(dated(counts(None, Some(3600), vec![])), [ten, nine, eight]);
        assert_eq!(dated(counts(None, None, vec![3600, 7200])), [ten, nine, eight]);
        assert_eq!(dated(counts(None, None, vec![])), [ten, None, None]);
        assert_eq!(dated(counts(None, Some(u64::MAX), vec![])), [ten, None, None]);
        assert_eq!(dated(Counts { at: None, ..counts(Some(1), None, vec![]) }), [None; 3]);
    }

    #[test]
    fn what_cannot_be_decoded_names_codec_and_version() {
        let reason = item(&uplink("adeunis-pulse-v4", "ffe0")).unwrap_err();
        assert_eq!(reason.to_string(), "frame code 0xff is not known to this codec (adeunis-pulse-v4 2)");
        let reason = item(&uplink("acme", "30e0")).unwrap_err();
        assert_eq!(reason.to_string(), "profile \"acme\" is not known on this network");
    }
}
