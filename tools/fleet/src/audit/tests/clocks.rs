//! Audits of meters with wrong clocks, with one error at a time.

use pulsegate_model::codec::Flag;
use pulsegate_model::uplink::TimeSource;

use super::*;
use crate::spec::Weighted;

/// A run of NB-IoT meters that all have wrong clocks, some in the clear.
pub(super) fn wrong_run() -> (ExpectedRun, Vec<Sent>) {
    let mut spec = Spec { wrong_clocks: 1.0, odd_settings: 0.5, sigfox_share: 0.25, ..spec("2026-11-20T06:00:00Z") };
    spec.mix.push(Weighted { profile: "efento".to_owned(), weight: 3 });
    run_of(spec)
}

fn first(sent: &[Sent], time_source: TimeSource) -> &Sent {
    let is_it = |sent: &&Sent| sent.uplink.time_source == time_source && sent.uplink.device.network() == Network::Nbiot;
    sent.iter().find(is_it).unwrap()
}

/// Replaces the pulse item of an uplink.
fn tell_otherwise(world: &mut World, sent: &Sent, change: impl FnOnce(&mut PulseItem)) {
    world.lose_pulses(sent);
    let mut item = pulse::decode(&sent.uplink).unwrap();
    change(&mut item);
    world.pulses.as_mut().unwrap().push(pulsegate_aws::items::pulse_item(&item));
}

#[tokio::test(start_paused = true)]
async fn meters_with_wrong_clocks_in_envelopes_and_in_the_clear_are_accounted_for() {
    let (expected_run, sent) = wrong_run();
    for time_source in [TimeSource::Unset, TimeSource::Network, TimeSource::Device] {
        first(&sent, time_source);
    }
    let found = World::of(&sent).audit(vec![expected_run]).await;
    assert!(found.audit.ok, "{:?}", found.audit);
    assert_eq!((found.audit.meters.right, found.audit.meters.in_part), (DEVICES.into(), 0));
}

#[tokio::test(start_paused = true)]
async fn an_uplink_with_a_wrong_clock_that_is_stored_nowhere_is_lost() {
    for time_source in [TimeSource::Unset, TimeSource::Network] {
        let (expected_run, sent) = wrong_run();
        let lost = first(&sent, time_source);
        let mut world = World::of(&sent);
        world.lose_raw(lost);
        world.lose_pulses(lost);
        let found = world.audit(vec![expected_run]).await;
        let [missing] = &found.missing[..] else { panic!("{:?}", found.missing) };
        assert_eq!((missing.device, missing.session, missing.stage), (lost.uplink.device, lost.hour, Stage::NotRaw));
    }
}

/// The bridge was restarted between two repetitions of a datagram, and does not remember the first arrival.
#[tokio::test(start_paused = true)]
async fn an_uplink_that_its_arrival_dates_may_be_stored_twice() {
    let (expected_run, mut sent) = wrong_run();
    let mut again = first(&sent, TimeSource::Network).clone();
    again.uplink.at = again.uplink.at.checked_add(40).unwrap();
    sent.push(again);
    let found = World::of(&sent).audit(vec![expected_run]).await;
    assert!(found.audit.ok, "{:?}", found.audit);
}

#[tokio::test(start_paused = true)]
async fn an_uplink_that_was_stored_before_the_run_began_is_not_as_sent() {
    let (expected_run, mut sent) = wrong_run();
    let position = sent.iter().position(|each| each.key() == first(&sent, TimeSource::Network).key()).unwrap();
    sent[position].uplink.at = at("2021-01-29T00:00:41Z");
    let mut accounts = Accounts::new(vec![expected_run]);
    let stores = World::of(&sent).stores(Layout::Half).await;
    let found = check(&mut accounts, &stores, &options()).await.unwrap();
    assert_eq!(found.missing[0].why.as_deref(), Some("raw: not dated by its arrival"));
    // That day is not one of the run's.
    let by_key = check(&mut accounts, &stores, &Options { by_key: true, ..options() }).await.unwrap();
    assert_eq!((by_key.audit.ok, by_key.missing[0].stage), (false, Stage::PulsesOnly));
}

#[tokio::test(start_paused = true)]
async fn a_count_that_a_wrong_clock_dates_is_found() {
    for time_source in [TimeSource::Unset, TimeSource::Network] {
        let (expected_run, sent) = wrong_run();
        let dated = first(&sent, time_source);
        let mut world = World::of(&sent);
        tell_otherwise(&mut world, dated, |item| {
            let counts = item.channels.values_mut().next().unwrap();
            (counts.at, counts.time_source) = (Some(at("2021-01-29T00:00:41Z")), Some(TimeSource::Device));
        });
        let found = world.audit(vec![expected_run]).await;
        assert_eq!((found.audit.ok, found.missing[0].stage), (false, Stage::Altered));
        assert_eq!(found.audit.meters.wrong, 1, "its points differ too, whatever the codec says");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flag_that_is_missing_is_found() {
    let (expected_run, sent) = wrong_run();
    let unset = first(&sent, TimeSource::Unset);
    let mut world = World::of(&sent);
    tell_otherwise(&mut world, unset, |item| assert!(item.flags.remove(&Flag::ClockNotSet.into())));
    assert_eq!(stages(&world.audit(vec![expected_run]).await), [(unset.key(), Stage::Altered)]);
}

#[tokio::test(start_paused = true)]
async fn an_item_whose_wrong_time_was_accepted_is_found() {
    let (expected_run, sent) = wrong_run();
    let unset = first(&sent, TimeSource::Unset);
    let uplink = Uplink { time_source: TimeSource::Device, ..unset.uplink.clone() };
    let accepted = Sent { uplink, ..unset.clone() };
    let mut world = World::of(&sent);
    world.lose_raw(unset);
    world.lose_pulses(unset);
    world.raw.push(accepted.uplink.clone());
    world.pulses.as_mut().unwrap().push(accepted.pulses());
    let mut accounts = Accounts::new(vec![expected_run]);
    let found = check(&mut accounts, &world.stores(Layout::Half).await, &options()).await.unwrap();
    assert_eq!(stages(&found), [(unset.key(), Stage::Altered)]);
}
