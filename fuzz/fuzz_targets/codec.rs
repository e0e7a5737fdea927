//! Decodes any bytes as a frame. `FUZZ_CODEC` selects the codecs by the beginning of their names.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pulsegate_model::at::At;
use pulsegate_model::clock::ClockCheck;
use pulsegate_model::codec::{CODECS, Context, checksum};
use pulsegate_model::device::{DeviceId, Network};
use pulsegate_model::profile::{PROFILES, Profile};
use pulsegate_model::pulse::{self, PulseItem};
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
    // The bridge reads the heads of a frame.
    for codec in CODECS {
        for head in codec.identify.and_then(|identify| identify.heads(bytes).ok()).unwrap_or_default() {
            assert!(head.acknowledgement.bytes(bytes, u32::MAX).len() <= bytes.len(), "{head:?}");
        }
    }
    for profile in FUZZED.iter() {
        let at = At::from_unix(if bytes.len() % 2 == 0 { NOW } else { EARLY }).unwrap();
        let device = device(profile);
        let context = Context { settings: &profile.settings, device, clock: ClockCheck::against(at) };
        let read = (profile.codec.decode)(bytes, &context);
        let Ok(payload) = Payload::from_bytes(bytes) else { continue };
        becomes_an_item_or_is_refused(&uplink(profile, device, at, payload), read.is_ok());
    }
});

fn becomes_an_item_or_is_refused(uplink: &Uplink, readable: bool) {
    let decoded = pulse::decode(uplink);
    assert_eq!(decoded.is_ok(), readable, "{decoded:?}");
    if let Ok(item) = decoded {
        let stored = serde_json::to_value(&item).unwrap();
        assert_eq!(serde_json::from_value::<PulseItem>(stored).unwrap(), item);
        for counts in item.channels.values() {
            assert_eq!(counts.dated().count(), counts.indexes.len());
        }
    }
}

fn device(profile: &Profile) -> DeviceId {
    let device = match profile.network {
        Network::Sigfox => "sigfox:1A2345",
        Network::Nbiot => "nbiot:490154203237518",
    };
    device.parse().unwrap()
}

fn uplink(profile: &Profile, device: DeviceId, at: At, payload: Payload) -> Uplink {
    Uplink {
        device,
        kind: Kind::Data,
        at,
        time_source: TimeSource::Network,
        // As of a pack in the clear: a sealed one may be refused although the codec can read it.
        sequence: Some(checksum(&[payload.bytes()])),
        profile: profile.uplink_name(),
        payload,
        radio: Radio::default(),
    }
}
