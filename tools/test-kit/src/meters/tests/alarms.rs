//! Keep-alives and alarms, as the codecs decode them.

use pulsegate_model::codec::Flag;

use super::super::home::Home;
use super::*;

/// The items of the pulse table of a meter's first two days.
fn two_days(fleet: &Fleet, number: u32) -> Vec<(u32, PulseItem)> {
    let meter = fleet.meter(number);
    let of = |hour: u32| uplinks(fleet, number, &[hour]).into_iter().map(move |uplink| (hour, uplink));
    (0..48).flat_map(of).map(|(hour, uplink)| (hour, stored(&meter, &uplink))).collect()
}

fn hours(items: &[(u32, PulseItem)], frame: &str) -> Vec<u32> {
    items.iter().filter(|(_, item)| item.frame == frame).map(|(hour, _)| *hour).collect()
}

#[test]
fn a_sigfox_meter_says_once_a_day_that_it_is_alive_with_its_flows_behind_its_counts() {
    for profile in ["adeunis-pulse-v2-10min", "adeunis-pulse-v3-1h", "adeunis-pulse-v4"] {
        let fleet = Fleet::new(of_profile(profile, 40, 48.0)).unwrap();
        let mut of_day = std::collections::BTreeSet::new();
        for number in 0..40 {
            let items = two_days(&fleet, number);
            let alive = hours(&items, "0x30");
            assert!(matches!(alive[..], [first, second] if second == first + 24), "{profile}: {alive:?}");
            of_day.insert(alive[0]);
            let (hour, item) = items.iter().rfind(|(_, item)| item.frame == "0x30").unwrap();
            let day: Vec<u32> = (hour - 23..=*hour).map(|hour| fleet.pulses(number, hour)).collect();
            let flow = item.flow[&Channel::A];
            assert_eq!((flow.min, flow.max), (day.iter().min().copied(), day.iter().max().copied()));
            assert!(item.flow[&Channel::B].max <= flow.max.map(|most| most / 4 + 1));
        }
        assert!(of_day.len() > 10, "{of_day:?}");
    }
}

#[test]
fn where_water_always_runs_the_meter_says_so_and_others_do_not() {
    for kind in KINDS.iter().filter(|kind| !["efento", "dragino-cpn01-nb"].contains(&kind.profile)) {
        let fleet = Fleet::new(of_profile(kind.profile, 300, 48.0)).unwrap();
        let leaks = |number: &u32| Home::of(fleet.spec().seed, *number).leak > 0;
        let all = 0..300;
        let leaking = all.clone().find(leaks).unwrap();
        let tight = all.clone().find(|number| !leaks(number)).unwrap();
        let flagged = |number: u32| {
            let leak = [Flag::Leak.into(), Flag::Leak.on(Channel::A)];
            two_days(&fleet, number).iter().any(|(_, item)| leak.iter().any(|leak| item.flags.contains(leak)))
        };
        // PULSE over NB-IoT has it in frames that these meters do not send.
        let says_so = !kind.profile.starts_with("adeunis-pulse4");
        assert_eq!((flagged(leaking), flagged(tight)), (says_so, false), "{}", kind.profile);
        let alarms = hours(&two_days(&fleet, leaking), "0x47");
        let is_sigfox = kind.network() == Network::Sigfox;
        assert_eq!(alarms.len(), if is_sigfox { 2 } else { 0 }, "{}", kind.profile);
        assert!(hours(&two_days(&fleet, tight), "0x47").is_empty(), "{}", kind.profile);
        for (hour, item) in two_days(&fleet, leaking).iter().filter(|(_, item)| item.frame == "0x47") {
            assert_eq!(item.flow[&Channel::A].now, Some(fleet.pulses(leaking, *hour)));
            assert!(item.flags.contains(&Flag::HighFlow.into()));
        }
    }
}

#[test]
fn one_battery_in_a_hundred_is_nearly_empty_and_every_format_but_one_says_so() {
    for kind in KINDS.iter().filter(|kind| kind.counter_bits != Some(24)) {
        let fleet = Fleet::new(of_profile(kind.profile, 1_000, 1.0)).unwrap();
        let low = |number: &u32| {
            let uplink = uplinks(&fleet, *number, &[0]).remove(0);
            let item = stored(&fleet.meter(*number), &uplink);
            item.flags.contains(&Flag::LowBattery.into()) || item.battery_mv == Some(2_900)
        };
        let count = (0..1_000).filter(low).count();
        assert!((2..=25).contains(&count), "{}: {count}", kind.profile);
    }
}
