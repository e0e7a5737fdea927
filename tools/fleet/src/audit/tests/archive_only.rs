//! Audits of stacks without a pulses table: pulses are decoded from the archive. One error at a time.

use pulsegate_model::uplink::TimeSource;
use pulsegate_pipeline::archive::file;
use pulsegate_pipeline::archive::row::Row;

use super::*;
use crate::audit::check::all;

const START: &str = "2026-11-20T06:00:00Z";

fn world(sent: &[Sent]) -> World {
    World { pulses: None, ..World::of(sent) }
}

/// Audits a run of which one uplink is stored otherwise.
async fn changed(change: impl FnOnce(&mut World, &Sent)) -> (AuditResult, Sent) {
    let (expected_run, sent) = run(START);
    let mut world = world(&sent);
    change(&mut world, &sent[5]);
    (world.audit(vec![expected_run]).await, sent[5].clone())
}

#[tokio::test(start_paused = true)]
async fn a_run_of_which_everything_is_in_the_archive_is_accounted_for() {
    let (expected_run, sent) = run(START);
    let found = world(&sent).audit(vec![expected_run]).await;
    assert!(found.audit.ok && found.missing.is_empty(), "{:?}", found.audit);
    let (counts, number) = (all(&found.audit.networks), sent.len() as u64);
    assert_eq!((counts.sent, counts.raw, counts.pulses), (number, number, number));
    assert_eq!((found.audit.meters.right, found.audit.meters.wrong), (DEVICES.into(), 0));
    let text = show::text(&found, 20, Format::Table);
    let files = found.audit.sources.files;
    for told in ["0 objects in new/", &format!("{files} files"), &format!("{number} distinct rows"), "decoded by this"]
    {
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn meters_with_wrong_clocks_are_accounted_for() {
    let (expected_run, mut sent) = super::clocks::wrong_run();
    let is_late =
        |each: &&Sent| each.uplink.time_source == TimeSource::Network && each.uplink.device.network() == Network::Nbiot;
    let mut again = sent.iter().find(is_late).unwrap().clone();
    again.uplink.at = again.uplink.at.checked_add(40).unwrap();
    sent.push(again);
    let found = world(&sent).audit(vec![expected_run]).await;
    assert!(found.audit.ok, "{:?}", found.audit);
    assert_eq!((found.audit.meters.right, found.audit.meters.in_part), (DEVICES.into(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_lost_row_is_found() {
    let (found, lost) = changed(World::lose_raw).await;
    assert_eq!(stages(&found), [(lost.key(), Stage::NotRaw)]);
    assert_eq!(found.audit.wrong, ["1 acknowledged, and not in the archive, or not readable by its codec"]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_byte_is_found() {
    let (found, changed) = changed(|world, sent| {
        world.lose_raw(sent);
        world.raw.push(sent.altered().uplink);
    })
    .await;
    assert_eq!((found.audit.ok, stages(&found)), (false, vec![(changed.key(), Stage::Altered)]));
}

#[tokio::test(start_paused = true)]
async fn a_row_that_nobody_has_sent_is_found() {
    let (found, _) = changed(|world, sent| {
        let at = sent.uplink.at.checked_add(17).unwrap();
        world.raw.push(Uplink { at, sequence: sent.uplink.sequence.map(|number| number + 50), ..sent.uplink.clone() });
    })
    .await;
    assert_eq!((found.audit.ok, found.audit.strange.items, found.missing.len()), (false, 1, 0));
}

/// Readers take the greater row, whichever that is. The audit finds both.
#[tokio::test(start_paused = true)]
async fn a_row_that_is_stored_twice_with_different_contents_is_found() {
    for with in [0, u8::MAX] {
        let (found, twice) = changed(|world, sent| {
            let payload = Payload::from_bytes(&[with; 4]).unwrap();
            world.raw.push(Uplink { payload, ..sent.uplink.clone() });
        })
        .await;
        assert_eq!((found.audit.ok, stages(&found)), (false, vec![(twice.key(), Stage::Altered)]));
        assert_eq!(found.missing[0].why.as_deref(), Some("raw: other bytes"));
    }
    let (found, twice) = changed(|world, sent| {
        let mut heard = sent.uplink.clone();
        heard.radio.station = Some("00AF".parse().unwrap());
        world.raw.push(heard);
    })
    .await;
    assert_eq!(stages(&found), [(twice.key(), Stage::Altered)]);
    assert_eq!(found.missing[0].why.as_deref(), Some("raw: another reception"));
}

#[tokio::test(start_paused = true)]
async fn single_callbacks_are_stored_with_their_reception() {
    let (mut expected_run, mut sent) = run(START);
    expected_run.has_radio = true;
    for each in sent.iter_mut().filter(|each| each.uplink.device.network() == Network::Sigfox) {
        each.uplink.radio = crate::load::reception(each.meter, each.hour);
    }
    let mut accounts = Accounts::new(vec![expected_run]);
    let of = async |sent: &[Sent]| world(sent).stores(Layout::Half).await;
    assert!(check(&mut accounts, &of(&sent).await, &options()).await.unwrap().audit.ok);
    let heard = sent.iter_mut().find(|each| each.uplink.radio.rssi.is_some()).unwrap();
    heard.uplink.radio.rssi = None;
    let found = check(&mut accounts, &of(&sent).await, &options()).await.unwrap();
    assert_eq!(found.missing[0].why.as_deref(), Some("raw: another reception"));
}

/// A reader computes the file of a device, so it never finds the row.
#[tokio::test(start_paused = true)]
async fn a_row_in_another_file_than_its_own_is_found() {
    let (expected_run, mut sent) = run(START);
    let misplaced = sent.pop().unwrap();
    let stores = world(&sent).stores(Layout::New).await;
    let (bits, uplink) = (&stores.archive.bits, &misplaced.uplink);
    let own = bits.place(uplink).to_string();
    let others = (0..4).map(|partition| format!("{}{partition:02x}.parquet", &own[..own.len() - "00.parquet".len()]));
    let other = others.into_iter().find(|other| *other != own).unwrap();
    stores.archive.store.set(&other, file::union(None, vec![Row::from(uplink)]).unwrap());
    let found = check(&mut Accounts::new(vec![expected_run]), &stores, &options()).await.unwrap();
    assert_eq!(stages(&found), [(misplaced.key(), Stage::Altered)]);
    assert_eq!(found.missing[0].why.as_deref(), Some("raw: in a file where no reader looks for it"));
}

#[tokio::test(start_paused = true)]
async fn an_object_that_comes_late_is_waited_for() {
    let (expected_run, mut sent) = run(START);
    let late = sent.pop().unwrap();
    let stores = world(&sent).stores(Layout::Half).await;
    let arrive = async {
        tokio::time::sleep(Duration::from_secs(45)).await;
        put(&stores.archive.store, std::slice::from_ref(&late.uplink)).await;
    };
    let mut accounts = Accounts::new(vec![expected_run]);
    let options = Options { wait: Duration::from_mins(2), ..options() };
    let began = Instant::now();
    let (found, ()) = tokio::join!(check(&mut accounts, &stores, &options), arrive);
    assert!(found.unwrap().audit.ok);
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_empty_is_waited_for_and_then_told() {
    let (expected_run, sent) = run(START);
    let found = World { queued: vec!["work".to_owned()], ..world(&sent) }.audit(vec![expected_run]).await;
    assert_eq!(found.audit.wrong, ["1 still in queues"]);
}
