//! The item of the pulses table: one per uplink, with its whole content. `docs/data-model.md` describes it.
//!
//! An item should fit one write unit of DynamoDB, 1,024 bytes including the names of its attributes: a day of hourly
//! counts of two channels does. So evenly spaced times are stored as an interval.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::at::At;
use crate::clock::ClockCheck;
use crate::codec::{Channel, Codec, Context, Details, Flag, Flow, Identify, Mark, Series, Undecodable};
use crate::device::{DeviceId, Network};
use crate::profile::{self, Profile};
use crate::uplink::{ProfileName, TimeSource, Uplink};

/// Sigfox counts uplinks with twelve bits (<https://support.sigfox.com/docs/callbacks-documentation>, `seqNumber`).
const SIGFOX_SEQUENCES: u32 = 1 << 12;

/// Why an uplink has no pulse item. A later version of the code may decode it.
#[derive(Debug, thiserror::Error)]
pub enum PulseError {
    /// No profile of this name on the device's network.
    #[error("profile {0:?} is not known on this network")]
    UnknownProfile(String),
    /// The codec cannot decode the bytes.
    #[error("{source} ({} {})", codec.name, codec.version)]
    Undecodable {
        /// The codec.
        codec: &'static Codec,
        /// Why it failed.
        source: Undecodable,
    },
}

impl PulseError {
    /// The codec that failed, if the profile is known.
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
    /// The device that sent it.
    pub device: DeviceId,
    /// The sort key: the time, and the device's message counter.
    pub uplink: String,
    /// The device's profile.
    pub profile: ProfileName,
    /// The codec that decoded it.
    pub codec: Cow<'static, str>,
    /// See [`Codec::version`].
    pub codec_version: u16,
    /// See [`Reading::frame`](crate::codec::Reading::frame).
    pub frame: Cow<'static, str>,
    /// Width of the counters in bits, after which they wrap to zero; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter_bits: Option<u8>,
    /// Pulse counts, by channel.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub channels: BTreeMap<Channel, ChannelCounts>,
    /// See [`Reading::flags`](crate::codec::Reading::flags).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub flags: BTreeSet<Mark>,
    /// See [`Reading::battery_mv`](crate::codec::Reading::battery_mv).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery_mv: Option<u16>,
    /// See [`Reading::flow`](crate::codec::Reading::flow).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flow: BTreeMap<Channel, Flow>,
    /// See [`Reading::details`](crate::codec::Reading::details).
    #[serde(default, skip_serializing_if = "Details::is_empty")]
    pub details: Details,
}

/// The counts of a channel in an uplink, of one kind only: cumulative, per period, or increments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct ChannelCounts {
    /// Cumulative counts, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<u64>,
    /// Per-period counts, newest first, of a device that starts at zero in each period. Readers add them up, each time
    /// once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counted: Vec<u64>,
    /// The time of the first index, or of the first per-period count; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// The clock of `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_source: Option<TimeSource>,
    /// Seconds from one log to the next, from the profile: for all further indexes, or for increments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_period: Option<u32>,
    /// Seconds from one index to the next, from the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// The same if they are not evenly spaced: seconds from each further index to the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seconds_before: Vec<u64>,
    /// The only index is the first log of a series that later uplinks continue.
    #[serde(default, skip_serializing_if = "is_false")]
    pub begins_series: bool,
    /// Counts between the logs of such a series, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub increments: Vec<u32>,
    /// The first increment is the count between this log of the series, from 1 on, and the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_log: Option<u16>,
    /// The message counter of the uplink that begins the series; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<u32>,
}

impl ChannelCounts {
    /// Each index with its time, newest first; `None` if the time is unknown.
    pub fn dated(&self) -> impl Iterator<Item = (u64, Option<At>)> {
        self.with_times(&self.indexes)
    }

    /// The same for per-period counts.
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires it")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Decodes an uplink into its pulse item.
///
/// # Errors
/// [`PulseError`]; a retry with the same code fails again.
pub fn decode(uplink: &Uplink) -> Result<PulseItem, PulseError> {
    let name = uplink.profile.as_str();
    let profile =
        profile::find(uplink.device.network(), name).ok_or_else(|| PulseError::UnknownProfile(name.to_owned()))?;
    let codec = profile.codec;
    check_sender(uplink, codec).map_err(|source| PulseError::Undecodable { codec, source })?;
    let context = Context { settings: &profile.settings, device: uplink.device, clock: clock_check(uplink) };
    let mut reading =
        (codec.decode)(uplink.payload.bytes(), &context).map_err(|source| PulseError::Undecodable { codec, source })?;
    if uplink.time_source == TimeSource::Unset {
        reading.flags.insert(Flag::ClockNotSet.into());
    }
    Ok(PulseItem {
        device: uplink.device,
        uplink: uplink.key().to_string(),
        profile: uplink.profile.clone(),
        codec: codec.name.into(),
        codec_version: codec.version,
        frame: reading.frame.into(),
        counter_bits: profile.counter_bits().filter(|_| !reading.channels.is_empty()),
        channels: channels(uplink, profile, reading.clock, reading.channels),
        flags: reading.flags,
        battery_mv: reading.battery_mv,
        flow: reading.flow,
        details: reading.details,
    })
}

/// The time of the uplink is the network's, or was compared with it when it arrived. If it was not accepted then, the
/// network's time is unknown.
fn clock_check(uplink: &Uplink) -> ClockCheck {
    if uplink.time_source == TimeSource::Unset { ClockCheck::REJECT } else { ClockCheck::against(uplink.at) }
}

/// Rejects a pack that was sealed by one device and has records of another. A pack in the clear is an uplink of each
/// device that it names, with the checksum of its bytes as its sequence, so no record is lost where the codec passes
/// over those of other devices. A sealed one is an uplink of its sender only, with the sender's own counter, and the
/// sender cannot speak for others.
fn check_sender(uplink: &Uplink, codec: &Codec) -> Result<(), Undecodable> {
    let Some(Identify::Pack(heads)) = codec.identify else { return Ok(()) };
    // A sealed pack need not name its device.
    let heads = heads(uplink.payload.bytes()).unwrap_or_default();
    match heads.iter().find(|head| head.device != uplink.device) {
        Some(other) if uplink.sequence != Some(other.sequence) => Err(Undecodable::OtherDevice(other.device)),
        _ => Ok(()),
    }
}

/// The time of a frame, and its clock.
type Moment = (At, TimeSource);

fn channels(
    uplink: &Uplink,
    profile: &Profile,
    clock: Option<At>,
    channels: BTreeMap<Channel, Series>,
) -> BTreeMap<Channel, ChannelCounts> {
    let now = match (clock, uplink.time_source) {
        (Some(clock), _) => Some((clock, TimeSource::Device)),
        (None, TimeSource::Unset) => None,
        (None, source) => Some((uplink.at, source)),
    };
    channels.into_iter().map(|(channel, series)| (channel, counts(uplink, profile, now, series))).collect()
}

/// The counts of a channel. A counter that the profile sets to fewer bits than its field has wraps to zero before the
/// field does. So do indexes that were computed back past the wrap.
fn counts(uplink: &Uplink, profile: &Profile, now: Option<Moment>, series: Series) -> ChannelCounts {
    let mut counts = full_width_counts(uplink, profile, now, series);
    if let Some(bits) = profile.counter_bits() {
        for index in &mut counts.indexes {
            *index = modulo(*index, bits);
        }
    }
    counts
}

fn full_width_counts(uplink: &Uplink, profile: &Profile, now: Option<Moment>, series: Series) -> ChannelCounts {
    let log_period = profile.settings.log_period;
    match series {
        Series::Logs(indexes) => {
            ChannelCounts { log_period: log_period.filter(|_| indexes.len() > 1), indexes, ..at_moment(now) }
        }
        Series::Timed(points) => timed(points),
        Series::Undated { newest_is_now, counts } => {
            ChannelCounts { indexes: counts, ..at_moment(now.filter(|_| newest_is_now)) }
        }
        Series::Ago(points) => relative(now, points),
        Series::Counted(each) => {
            let mut each = full_width_counts(uplink, profile, now, *each);
            each.counted = std::mem::take(&mut each.indexes);
            each
        }
        Series::First(index) => {
            let first = now.and_then(|(last, _)| first_log(profile, last)).map(|at| (at, TimeSource::Computed));
            ChannelCounts { indexes: vec![index], log_period, begins_series: true, ..at_moment(first) }
        }
        Series::Increments { after_log, counts, uplinks_before } => ChannelCounts {
            increments: counts,
            after_log: Some(after_log),
            log_period,
            series: uplink.sequence.map(|sequence| sequence_before(uplink.device.network(), sequence, uplinks_before)),
            ..ChannelCounts::default()
        },
    }
}

/// Counts of which the first has this time, if any. The caller adds them.
fn at_moment(moment: Option<Moment>) -> ChannelCounts {
    ChannelCounts {
        at: moment.map(|(at, _)| at),
        time_source: moment.map(|(_, source)| source),
        ..ChannelCounts::default()
    }
}

fn timed(mut points: Vec<(At, u64)>) -> ChannelCounts {
    points.sort_unstable_by(|a, b| b.cmp(a));
    points.dedup();
    let Some(&(at, _)) = points.first() else { return ChannelCounts::default() };
    let before = |(time, index): (At, u64)| (at.unix().abs_diff(time.unix()), index);
    spaced(Some((at, TimeSource::Device)), points.into_iter().map(before).collect())
}

fn relative(now: Option<Moment>, mut points: Vec<(u32, u64)>) -> ChannelCounts {
    points.sort_unstable_by_key(|&(before, index)| (before, Reverse(index)));
    points.dedup();
    let Some(&(newest, _)) = points.first() else { return ChannelCounts::default() };
    let at = match newest {
        0 => now,
        _ => now.and_then(|(at, _)| at.checked_sub(newest.into())).map(|at| (at, TimeSource::Computed)),
    };
    spaced(at, points.into_iter().map(|(before, index)| ((before - newest).into(), index)).collect())
}

/// Counts from points, newest first, each with the seconds from it to the newest.
fn spaced(newest: Option<Moment>, points: Vec<(u64, u64)>) -> ChannelCounts {
    let seconds_before: Vec<u64> = points.iter().skip(1).map(|&(before, _)| before).collect();
    let every = seconds_before.first().copied().filter(|&step| step > 0);
    let every =
        every.filter(|step| seconds_before.iter().zip(1_u64..).all(|(&before, n)| Some(before) == step.checked_mul(n)));
    ChannelCounts {
        indexes: points.into_iter().map(|(_, index)| index).collect(),
        every,
        seconds_before: if every.is_some() { vec![] } else { seconds_before },
        ..at_moment(newest)
    }
}

/// The time of the first log of a series whose last log is of `last`.
fn first_log(profile: &Profile, last: At) -> Option<At> {
    let steps = profile.settings.logs_per_series?.checked_sub(1)?;
    last.checked_sub(u64::from(profile.settings.log_period?) * u64::from(steps))
}

/// A count modulo 2^`bits`.
pub(crate) fn modulo(count: u64, bits: u8) -> u64 {
    count & (u64::MAX >> 64_u32.saturating_sub(bits.into()).min(63))
}

/// The message counter of the uplink that was sent `uplinks` messages before the one with `sequence`.
pub(crate) fn sequence_before(network: Network, sequence: u32, uplinks: u16) -> u32 {
    let before = sequence.wrapping_sub(u32::from(uplinks));
    match network {
        Network::Sigfox => before % SIGFOX_SEQUENCES,
        Network::Nbiot => before,
    }
}

#[cfg(test)]
mod tests;
