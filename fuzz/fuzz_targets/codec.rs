//! Decodes any bytes as a frame. `FUZZ_CODEC` selects the codecs by the beginning of their names.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pulsegate_model::at::At;
use pulsegate_model::codec::adeunis_pulse::v4_clock;
use pulsegate_model::codec::efento::Head;
use pulsegate_model::device::Network;
use pulsegate_model::profile::{PROFILES, Profile};
use pulsegate_model::pulse;
use pulsegate_model::pulse::PulseItem;
use pulsegate_model::uplink::{Kind, Payload, Radio, TimeSource, Uplink};

/// 2026-11-20T12:00:00Z.
const NOW: i64 = 1_795_176_000;

/// Less than a day after the first valid time, so that a history is cut off.
const EARLY: i64 = 60_000;

static FUZZED: LazyLock<Vec<&Profile>> = LazyLock::new(|| {
    let codec = std::env::var("FUZZ_CODEC").unwrap_or_default();
    let profiles: Vec<_> = PROFILES.iter().filter(|profile| profile.codec.name.starts_with(&codec)).collect();
    assert!(!profiles.is_empty(), "FUZZ_CODEC is {codec:?}, but no codec's name begins with that");
    profiles
});

fuzz_target!(|bytes: &[u8]| {
    // The parts of a frame that the bridge parses.
    let _ = v4_clock(bytes);
    let _ = Head::of_measurements(bytes);
    for profile in FUZZED.iter() {
        let read = (profile.codec.decode)(bytes, &profile.settings);
        let Ok(payload) = Payload::from_bytes(bytes) else { continue };
        let at = if bytes.len() % 2 == 0 { NOW } else { EARLY };
        becomes_an_item_or_is_refused(&uplink(profile, at, payload), read.is_ok());
    }
});

fn becomes_an_item_or_is_refused(uplink: &Uplink, readable: bool) {
    let stored = pulse::decode(uplink).map(|item| pulsegate_aws::items::pulse_item(&item));
    assert_eq!(stored.is_ok(), readable, "{stored:?}");
    if let Ok(item) = stored {
        let item: PulseItem = serde_dynamo::from_item(item).unwrap();
        assert_eq!(item, pulse::decode(uplink).unwrap());
        for counts in item.channels.values() {
            assert_eq!(counts.dated().count(), counts.indexes.len());
        }
    }
}

fn uplink(profile: &Profile, at: i64, payload: Payload) -> Uplink {
    let device = match profile.network {
        Network::Sigfox => "sigfox:1A2345",
        Network::Nbiot => "nbiot:490154203237518",
    };
    Uplink {
        device: device.parse().unwrap(),
        kind: Kind::Data,
        at: At::from_unix(at).unwrap(),
        time_source: TimeSource::Network,
        sequence: Some(3),
        profile: profile.uplink_name(),
        payload,
        radio: Radio::default(),
    }
}
