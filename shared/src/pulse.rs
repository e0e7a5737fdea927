//! The item of the pulses table: one per uplink, with all its points. `docs/data-model.md` describes it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::at::At;
use crate::codec::{Channel, Codec, Flag, Index, Reading, Undecodable};
use crate::device::DeviceId;
use crate::ports::Item;
use crate::profile::{self, Profile};
use crate::uplink::{ProfileName, TimeSource, Uplink};

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

/// Decodes an uplink into its pulse item.
///
/// # Errors
/// [`NoPulses`]; trying again with the same code changes nothing.
pub fn item(uplink: &Uplink) -> Result<Item, NoPulses> {
    let name = uplink.profile.as_str();
    let profile =
        profile::find(uplink.device.network(), name).ok_or_else(|| NoPulses::UnknownProfile(name.to_owned()))?;
    let codec = profile.codec;
    let reading = (codec.decode)(uplink.payload.bytes()).map_err(|source| NoPulses::Undecodable { codec, source })?;
    Ok(crate::ports::item(&PulseItem {
        device: uplink.device,
        uplink: uplink.key().to_string(),
        profile: &uplink.profile,
        codec: codec.name,
        codec_version: codec.version,
        counter_bits: codec.counter_bits,
        channels: points(uplink, profile, &reading),
        flags: reading.flags,
    }))
}

#[derive(Serialize)]
struct PulseItem<'a> {
    device: DeviceId,
    uplink: String,
    profile: &'a ProfileName,
    codec: &'static str,
    codec_version: u16,
    counter_bits: u8,
    channels: BTreeMap<Channel, Vec<Point>>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    flags: BTreeSet<Flag>,
}

/// A cumulative count, at a time or, where the log period is not known, so many logs before the uplink.
#[derive(Serialize)]
struct Point {
    index: u32,
    #[serde(flatten)]
    when: When,
}

#[derive(Serialize)]
#[serde(untagged)]
enum When {
    Time { at: At, time_source: TimeSource },
    Logs { logs_before: u16 },
}

fn points(uplink: &Uplink, profile: &Profile, reading: &Reading) -> BTreeMap<Channel, Vec<Point>> {
    let newest = match reading.clock {
        Some(clock) => (clock, TimeSource::Device),
        None => (uplink.at, uplink.time_source),
    };
    let point = |index: &Index| Point { index: index.count, when: when(newest, profile.log_period, index.logs_before) };
    reading.channels.iter().map(|(&channel, indexes)| (channel, indexes.iter().map(point).collect())).collect()
}

fn when((newest, source): (At, TimeSource), log_period: Option<u32>, logs_before: u16) -> When {
    if logs_before == 0 {
        return When::Time { at: newest, time_source: source };
    }
    let before = log_period.map(|period| u64::from(period) * u64::from(logs_before));
    match before.and_then(|seconds| newest.checked_sub(seconds)) {
        Some(at) => When::Time { at, time_source: TimeSource::Computed },
        None => When::Logs { logs_before },
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

    #[test]
    fn a_data_frame_becomes_one_point_per_channel_at_the_time_of_the_uplink() {
        let expected = json!({
            "device": "sigfox:1A2345", "uplink": "2026-11-20T12:00:00Z#00042", "profile": "adeunis-pulse-v4",
            "codec": "adeunis-pulse-v4", "codec_version": 1, "counter_bits": 32,
            "channels": {
                "A": [{"index": 159, "at": "2026-11-20T12:00:00Z", "time_source": "network"}],
                "B": [{"index": 2, "at": "2026-11-20T12:00:00Z", "time_source": "network"}],
            },
        });
        assert_eq!(stored("adeunis-pulse-v4", "46800000009f00000002"), expected);
    }

    #[test]
    fn history_is_dated_by_the_profiles_log_period() {
        let points = &stored("adeunis-pulse-v4-1h", "5a20000001270001")["channels"]["A"];
        assert_eq!(points[1], json!({"index": 294, "at": "2026-11-20T11:00:00Z", "time_source": "computed"}));
    }

    #[test]
    fn history_of_an_unknown_log_period_keeps_its_steps_and_gets_no_time() {
        let points = &stored("adeunis-pulse-v4", "5a20000001270001")["channels"]["A"];
        assert_eq!(points[1], json!({"index": 294, "logs_before": 1}));
    }

    #[test]
    fn the_devices_own_clock_dates_its_points() {
        let points = &stored("adeunis-pulse-v4", "46860000009f000000021a2b3c4d")["channels"]["B"];
        assert_eq!(points[0]["time_source"], "device");
        assert_eq!(points[0]["at"], At::from_unix(1_356_998_400 + 0x1a2b_3c4d).unwrap().to_string());
    }

    #[test]
    fn a_history_longer_than_the_calendar_falls_back_to_logs() {
        let mut early = uplink("adeunis-pulse-v4-1h", "5a20000001270001");
        early.at = At::from_unix(60).unwrap();
        let stored: Value = serde_dynamo::from_item(item(&early).unwrap()).unwrap();
        assert_eq!(stored["channels"]["A"][1], json!({"index": 294, "logs_before": 1}));
    }

    #[test]
    fn what_cannot_be_decoded_names_codec_and_version() {
        let reason = item(&uplink("adeunis-pulse-v4", "30e0")).unwrap_err();
        assert_eq!(reason.to_string(), "frame code 0x30 is not known to this codec (adeunis-pulse-v4 1)");
        let reason = item(&uplink("acme", "30e0")).unwrap_err();
        assert_eq!(reason.to_string(), "profile \"acme\" is not known on this network");
    }
}
