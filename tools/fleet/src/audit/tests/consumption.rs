//! Audits of consumption and ledger, of fleets with every fault.

use pulsegate_model::assignment::Assignments;
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::archive::assignments::{self, AssignmentsError};
use pulsegate_pipeline::archive::days::Days;
use pulsegate_pipeline::archive::points::{Derive, decoder};

use super::*;
use crate::spec::MeterFaults;

/// A fleet of every profile with every fault but wrong clocks.
pub(in crate::audit) fn faulty(devices: u32) -> Spec {
    let faults = MeterFaults {
        power_loss: 0.1,
        swap: 0.1,
        untold_swap: 0.1,
        lost: 0.1,
        garbled: 0.3,
        status: 0.5,
        assigned: 0.8,
    };
    Spec { devices, hours: 6.0, faults, odd_settings: 0.3, clock_drift: 60.0, ..spec("2026-11-20T20:00:00Z") }
}

async fn audited(spec: Spec, change: impl FnOnce(&mut World, &[Sent])) -> AuditResult {
    let (expected_run, sent) = run_of(spec);
    let mut world = World::of(&sent);
    change(&mut world, &sent);
    let mut accounts = Accounts::new(vec![expected_run]);
    accounts.consumption = Some(ConsumptionFindings::default());
    let stores = world.stores(Layout::Half).await;
    check(&mut accounts, &stores, &options()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_fleet_with_every_fault_is_right_in_every_hour_and_every_loss_is_proved() {
    for arrival in [crate::spec::Arrival::Uniform, crate::spec::Arrival::TopOfHour] {
        let found = audited(Spec { arrival, ..faulty(300) }, |_, _| ()).await;
        let consumption = found.audit.consumption.clone().unwrap();
        assert!(found.audit.ok, "{:?} {consumption:#?}", found.audit.wrong);
        assert_eq!((consumption.right, consumption.wrong, consumption.skipped), (300, 0, 0), "{consumption:?}");
        assert!(consumption.lost > 100 && consumption.covered > 10, "{consumption:?}");
        for quality in ["measured", "interpolated", "partial", "missing"] {
            assert!(consumption.hours[quality] > 100, "{quality}: {consumption:?}");
        }
        let text = show::text(&found, 20, Format::Table);
        assert!(text.contains("uplinks lost between others"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_pulses_table_the_result_is_the_same() {
    let found = audited(faulty(60), |world, _| world.pulses = None).await;
    let consumption = found.audit.consumption.unwrap();
    assert_eq!((consumption.right, consumption.wrong), (60, 0), "{consumption:?}");
}

/// Of a fault that did not happen the audit shows nothing.
#[tokio::test(start_paused = true)]
async fn a_fault_that_was_to_happen_and_has_not_is_named() {
    let found = audited(Spec { devices: 2, ..faulty(2) }, |_, _| ()).await;
    let consumption = found.audit.consumption.unwrap();
    assert!(consumption.not_happened.contains(&"untold swap".to_owned()), "{consumption:?}");
    assert!(found.audit.wrong.iter().any(|reason| reason.ends_with("faults that were to happen and have not")));
}

/// The table has one pulse more than the meter has counted: the hour is wrong, and the meter is named.
#[tokio::test(start_paused = true)]
async fn a_pulse_too_many_is_found_and_the_meter_is_named() {
    let mut device = String::new();
    let found = audited(faulty(60), |world, sent| {
        let is_single = |each: &&Sent| each.uplink.profile.as_str() == "adeunis-pulse-v4" && each.hour == 3;
        let one = sent.iter().find(is_single).unwrap();
        device = one.uplink.device.to_string();
        let mut item = pulse::decode(&one.uplink).unwrap();
        item.channels.values_mut().for_each(|counts| counts.indexes.iter_mut().for_each(|index| *index += 1));
        world.lose_pulses(one);
        world.pulses.as_mut().unwrap().push(pulsegate_aws::items::pulse_item(&item));
    })
    .await;
    let consumption = found.audit.consumption.unwrap();
    assert_eq!((consumption.wrong, consumption.examples.len()), (1, 1));
    assert!(consumption.examples[0].starts_with(&device), "{:?}", consumption.examples);
}

/// The archive with points, reports and days, made by the functions of the product. `forgotten` devices have no assignments.
async fn with_days(sent: &[Sent], fleet: &Fleet, forgotten: Option<DeviceId>) -> FakeStores {
    let stores = World { pulses: None, ..World::of(sent) }.stores(Layout::Settled).await;
    let (store, bits) = (&stores.archive.store, &stores.archive.bits);
    let soon = Instant::now() + Duration::from_mins(10);
    while !store.keys("new/").is_empty() {
        Settle { store, bits, stop: soon, deadline: soon }.run().await.unwrap();
    }
    for assignment in (0..fleet.spec().devices).flat_map(|number| fleet.assignments(number)) {
        if Some(assignment.device) == forgotten {
            continue;
        }
        let add = |assignments: &mut Assignments| {
            assignments.add(assignment.clone()).unwrap();
            Ok::<_, AssignmentsError>(())
        };
        assignments::update(store, &assignments::key_of(assignment.device), soon, add).await.unwrap();
    }
    Derive { store, bits, decoder, stop: soon, deadline: soon }.run().await.unwrap();
    let days = Days { store, bits, now: at("2026-11-24T12:00:00Z"), stop: soon, deadline: soon };
    for partition in days.plan().await.unwrap() {
        days.run(partition).await.unwrap();
    }
    stores
}

async fn audited_with_days(forget: impl Fn(&Fleet) -> Option<DeviceId>) -> AuditResult {
    let (expected_run, sent) = run_of(faulty(80));
    let stores = with_days(&sent, &expected_run.fleet, forget(&expected_run.fleet)).await;
    let mut accounts = Accounts::new(vec![expected_run]);
    accounts.consumption = Some(ConsumptionFindings::default());
    check(&mut accounts, &stores, &options()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_rows_of_days_in_the_archive_are_right_too() {
    let found = audited_with_days(|_| None).await;
    let consumption = found.audit.consumption.unwrap();
    assert_eq!((consumption.right, consumption.wrong), (80, 0), "{consumption:?}");
    assert!(consumption.stored_days >= 160, "{consumption:?}");
}

#[tokio::test(start_paused = true)]
async fn a_meter_whose_days_lack_its_assignment_is_named() {
    let assigned = |fleet: &Fleet| (0..80).flat_map(|number| fleet.assignments(number)).next();
    let device = assigned(&Fleet::new(faulty(80)).unwrap()).unwrap().device;
    let found = audited_with_days(|fleet| assigned(fleet).map(|assignment| assignment.device)).await;
    let consumption = found.audit.consumption.unwrap();
    assert_eq!(consumption.wrong, 1, "{:?}", consumption.examples);
    let example = &consumption.examples[0];
    assert!(example.starts_with(&device.to_string()) && example.contains("in days/"), "{example}");
}
