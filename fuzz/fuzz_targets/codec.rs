//! Any bytes as the frame of a meter, of each profile.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pulsegate_fuzz::fed;
use shared::at::At;
use shared::codec::adeunis_pulse::v4_clock;
use shared::codec::efento::Head;
use shared::device::{DeviceId, Imei, Network};
use shared::profile::{PROFILES, Profile};
use shared::pulse;
use shared::uplink::{Kind, Payload, Radio, TimeSource, Uplink};

/// 2026-11-20T12:00:00Z.
const NOW: i64 = 1_795_176_000;

/// Less than a day after the calendar's beginning, where a history ends early.
const EARLY: i64 = 60_000;

fuzz_target!(|bytes: &[u8]| {
    fed(bytes);
    let _ = v4_clock(bytes);
    let _ = Head::of_measurements(bytes);
    for profile in PROFILES.iter() {
        let _ = (profile.codec.decode)(bytes, &profile.settings);
    }
    if let Ok(payload) = Payload::from_bytes(bytes) {
        // To make an item takes far longer than to read a frame. So each frame is given to one of the profiles.
        let lot: usize = bytes.iter().copied().map(usize::from).sum();
        let (round, profile) = (lot / PROFILES.len(), &PROFILES[lot % PROFILES.len()]);
        let stored = pulse::item(&uplink(profile, [NOW, EARLY][round % 2], payload));
        assert_eq!(stored.is_ok(), (profile.codec.decode)(bytes, &profile.settings).is_ok(), "{stored:?}");
    }
});

fn uplink(profile: &Profile, at: i64, payload: Payload) -> Uplink {
    let device = match profile.network {
        Network::Sigfox => DeviceId::Sigfox(0x001A_2345.into()),
        Network::Nbiot => DeviceId::Nbiot(Imei::try_from(490_154_203_237_518).unwrap()),
    };
    Uplink {
        device,
        kind: Kind::Data,
        at: At::from_unix(at).unwrap(),
        time_source: TimeSource::Network,
        sequence: None,
        profile: profile.uplink_name(),
        payload,
        radio: Radio::default(),
    }
}
