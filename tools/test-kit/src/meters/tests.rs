//! Tests of the meters, through the interface of the load tool and the audit.

use std::collections::BTreeMap;

use proptest::prelude::*;
use pulsegate_model::codec::Channel;
use pulsegate_model::device::Network;
use pulsegate_model::merge::{Merge, Points};
use pulsegate_model::pulse;
use pulsegate_model::pulse::PulseItem;
use pulsegate_model::uplink::{Kind, Payload, Radio, Uplink as Stored};

use super::kinds::{self, KINDS};
use super::{Dating, Fleet, Meter, Transport, Uplink};
use crate::spec::{Arrival, MeterFaults, Spec, Weighted};

mod alarms;
mod checks;
mod clocks;
mod formats;
mod homes;
mod keys;
mod points;
mod truth;
mod who_and_when;

/// A spec that starts on a Friday at noon.
fn spec(devices: u32) -> Spec {
    Spec::new("2026-11-20T12:00:00Z".parse().unwrap(), devices)
}

/// A fleet of one profile.
fn of_profile(profile: &str, devices: u32, hours: f64) -> Spec {
    let network = kinds::find(profile).unwrap().network();
    Spec {
        mix: vec![Weighted { profile: profile.to_owned(), weight: 1 }],
        sigfox_share: if network == Network::Sigfox { 1.0 } else { 0.0 },
        hours,
        ..spec(devices)
    }
}

fn any_arrival() -> impl Strategy<Value = Arrival> {
    prop_oneof![Just(Arrival::Uniform), Just(Arrival::TopOfHour), Just(Arrival::Jitter)]
}

/// Any fleet of up to this many hours.
fn any_spec(hours: f64) -> impl Strategy<Value = Spec> {
    let weights = proptest::collection::vec(1..20_u32, KINDS.len());
    let shares = (0.0..=1.0, 0.0..=1.0, 0.0..=1.0);
    let rest = (any::<u64>(), 1..300_u32, 0.01..hours, any_arrival(), 0.0..=600.0, 1_680_000_000..1_900_000_000_i64);
    let odd = (prop_oneof![Just(0.0), Just(1.0)], prop_oneof![Just(0.0), 0.0..=1.0]);
    (weights, shares, rest, odd).prop_map(
        |(weights, (sigfox, rollover, reset), (seed, devices, hours, arrival, drift, start), (wrong, odd))| {
            let weighted = |(kind, weight): (&kinds::Kind, u32)| Weighted { profile: kind.profile.to_owned(), weight };
            Spec {
                seed,
                devices,
                sigfox_share: sigfox,
                mix: KINDS.iter().zip(weights).map(weighted).collect(),
                start: pulsegate_model::at::At::from_unix(start).unwrap(),
                hours,
                speed_up: 1.0,
                arrival,
                clock_drift: drift,
                wrong_clocks: wrong,
                odd_settings: odd,
                rollover_share: rollover / 2.0,
                reset_share: reset / 2.0,
                faults: MeterFaults::default(),
            }
        },
    )
}

/// The same with every fault, but each with its own share.
fn any_faulty_spec(hours: f64) -> impl Strategy<Value = Spec> {
    let shares = (0.0..=0.3, 0.0..=0.3, 0.0..=0.3, 0.0..=0.5, 0.0..=1.0, 0.0..=1.0, 0.0..=1.0);
    (any_spec(hours), shares).prop_map(|(spec, (power_loss, swap, untold_swap, lost, garbled, status, assigned))| {
        Spec {
            rollover_share: spec.rollover_share / 8.0,
            reset_share: spec.reset_share / 8.0,
            faults: MeterFaults { power_loss, swap, untold_swap: untold_swap / 8.0, lost, garbled, status, assigned },
            ..spec
        }
    })
}

/// A meter's uplinks of these hours.
fn uplinks(fleet: &Fleet, number: u32, hours: &[u32]) -> Vec<Uplink> {
    hours.iter().flat_map(|&hour| fleet.session(number, hour, fleet.counted(number, hour)).uplinks).collect()
}

/// A meter's uplinks of an hour, with the time that is in their keys.
fn arrived(fleet: &Fleet, number: u32, hour: u32) -> Vec<Uplink> {
    let session = fleet.session(number, hour, fleet.counted(number, hour));
    let arrival = fleet.moment((session.due_ms / 1_000).cast_signed());
    let stored = |uplink: Uplink| match uplink.dating {
        Dating::Arrival => Uplink { at: arrival, ..uplink },
        Dating::Network | Dating::Device | Dating::Unset => uplink,
    };
    session.uplinks.into_iter().filter(|uplink| !uplink.is_status).map(stored).collect()
}

/// The item of the pulse table of an uplink, by the real codec.
fn stored(meter: &Meter, uplink: &Uplink) -> PulseItem {
    let profile = pulsegate_model::profile::find(meter.device.network(), meter.profile).expect(meter.profile);
    let uplink = Stored {
        device: meter.device,
        kind: Kind::Data,
        at: uplink.at,
        time_source: uplink.dating.time_source(),
        sequence: Some(uplink.sequence),
        profile: profile.uplink_name(),
        payload: Payload::from_bytes(&uplink.payload).unwrap(),
        radio: Radio::default(),
    };
    pulse::decode(&uplink).unwrap_or_else(|reason| panic!("{meter:?}: {reason}: {:?}", uplink.payload))
}

/// The points of a meter from its sessions of these hours, in random order, and some uplinks twice.
fn points(fleet: &Fleet, number: u32, hours: &[u32], chance: u64) -> BTreeMap<Channel, Points> {
    let (meter, mut chance) = (fleet.meter(number), fastrand::Rng::with_seed(chance));
    let mut come: Vec<Uplink> = hours.iter().flat_map(|&hour| arrived(fleet, number, hour)).collect();
    let again: Vec<Uplink> = come.iter().filter(|_| chance.bool()).cloned().collect();
    come.extend(again);
    chance.shuffle(&mut come);
    let mut merge = Merge::default();
    for uplink in come {
        merge.add(stored(&meter, &uplink)).unwrap();
    }
    merge.points()
}
