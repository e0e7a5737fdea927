use std::time::Duration;

use aws_lambda_events::event::streams::KinesisEventResponse;
use pulsegate_aws::Table as _;
use pulsegate_model::aggregate::Aggregator;
use pulsegate_model::at::At;
use pulsegate_model::record;
use pulsegate_model::uplink::{Kind, Radio, TimeSource, Uplink};
use rust_decimal::Decimal;
use tokio::time::Instant;

use super::drain::done;
use super::table::RawTable;
use super::*;
use crate::spec::Weighted;

const DEVICES: u32 = 40;

fn fleet() -> Arc<Fleet> {
    let start: At = "2026-11-20T12:00:00Z".parse().unwrap();
    let mix = vec![Weighted { profile: BURST_PROFILE.to_owned(), weight: 1 }];
    Arc::new(Fleet::new(Spec { sigfox_share: 0.0, mix, hours: 2.0, ..Spec::new(start, DEVICES) }).unwrap())
}

/// The first uplink of a session, as the bridge decodes it.
fn uplink(fleet: &Fleet, number: u32, hour: u32) -> Uplink {
    let meter = fleet.meter(number);
    let session = fleet.session(number, hour, fleet.counted(number, hour));
    let sent = &session.uplinks[0];
    Uplink {
        device: meter.device,
        kind: Kind::Data,
        at: sent.at,
        time_source: TimeSource::Device,
        sequence: Some(sent.sequence),
        profile: meter.profile.parse().unwrap(),
        payload: pulsegate_model::uplink::Payload::from_bytes(&sent.payload).unwrap(),
        radio: Radio::default(),
    }
}

fn packed(uplinks: &[Uplink]) -> Vec<u8> {
    let mut open = Aggregator::default();
    for uplink in uplinks {
        let mut data = Vec::new();
        record::encode(uplink, &mut data);
        open.add(|| uplink.device.to_string(), &data);
    }
    open.close().unwrap().data
}

/// A closed stream of these records.
fn stream(records: Vec<Vec<u8>>) -> Arc<Stream> {
    let (stream, sender, filling) = Stream::open(3);
    for record in records {
        sender.send(record).unwrap();
    }
    drop(sender);
    filling.join().unwrap();
    stream
}

fn all_acknowledged(fleet: &Fleet) -> Sessions {
    let mut sessions = Sessions::new(DEVICES, fleet.hours());
    for (meter, hour) in (0..DEVICES).flat_map(|meter| [(meter, 0), (meter, 1)]) {
        sessions.send(meter, hour);
        sessions.acknowledge(meter, hour);
    }
    sessions
}

#[test]
fn an_acknowledgement_without_its_bytes_in_the_stream_is_lost() {
    let fleet = fleet();
    let of = |number: u32, hour: u32| uplink(&fleet, number, hour);
    let mut records: Vec<Vec<u8>> = (1..DEVICES).map(|number| packed(&[of(number, 0), of(number, 1)])).collect();
    // Meter 0: one session is in the stream twice; the other one only with altered bytes, and with an altered time.
    records.push(packed(&[of(0, 1), of(0, 1)]));
    let other = pulsegate_model::uplink::Payload::from_bytes(&[1, 2, 3]).unwrap();
    records.push(packed(&[Uplink { payload: other, ..of(0, 0) }]));
    records.push(packed(&[Uplink { at: At::from_unix(of(0, 0).at.unix() + 1).unwrap(), ..of(0, 0) }]));
    records.push(b"nothing that a bridge puts".to_vec());
    let found = FoundUplinks::in_stream(&stream(records), &fleet);
    assert_eq!((found.duplicates, found.strangers, found.unreadable), (1, 2, 1));
    let verdict = found.against(&all_acknowledged(&fleet));
    assert_eq!((verdict.acknowledged, verdict.durable, verdict.lost()), (2 * u64::from(DEVICES), 79, 1));

    let nobody = found.against(&Sessions::new(DEVICES, 2));
    assert_eq!((nobody.acknowledged, nobody.lost(), nobody.unacknowledged), (0, 0, 79));
}

#[test]
fn what_is_in_the_stream_is_stored_once_each_by_the_function_behind_it() {
    let fleet = fleet();
    let all = |hour: u32| (0..DEVICES).map(move |number| (number, hour));
    let uplinks: Vec<Uplink> = all(0).chain(all(1)).chain(all(0)).map(|(n, h)| uplink(&fleet, n, h)).collect();
    let stream = stream(uplinks.chunks(7).map(packed).collect());
    let (contents, progress) = (Arc::new(TableContents::none(&fleet)), Arc::new(DrainProgress::default()));
    drain::start(Setup {
        stream: Arc::clone(&stream),
        fleet: Arc::clone(&fleet),
        capacity: 1_000_000,
        contents: Arc::clone(&contents),
        progress: Arc::clone(&progress),
    })
    .join()
    .unwrap()
    .unwrap();
    let stored = lock(&contents.items);
    assert_eq!((stored.count(), stored.duplicates, stored.strangers, stored.unreadable), (80, 40, 0, 0));
    assert_eq!((stream.put(), progress.passed.load(Ordering::Relaxed)), (120, 120));
    assert_eq!(FoundUplinks::in_stream(&stream, &fleet).missing_in(&stored), 0);
    assert!(progress.invocations.load(Ordering::Relaxed) >= 1);
}

#[tokio::test(start_paused = true)]
async fn a_table_takes_its_units_and_refuses_the_end_of_what_does_not_fit_into_the_time() {
    let fleet = fleet();
    let items: Vec<_> = (0..DEVICES)
        .flat_map(|number| [0, 1].map(|hour| uplink(&fleet, number, hour)))
        .chain((0..DEVICES).map(|number| uplink(&fleet, number, 0)))
        .map(|uplink| pulsegate_aws::items::raw_item(&uplink, uplink.at, 400))
        .collect();
    let contents = Arc::new(TableContents::none(&fleet));
    let table = RawTable::new(Arc::clone(&fleet), 10, Arc::clone(&contents));
    let begin = Instant::now();
    // At 10 units a second, batches of 25 items are written at 0 s, 2.5 s and 5 s; 7.5 s is after the deadline.
    let refused = table.put(&items, begin + Duration::from_secs(6)).await;
    assert_eq!(refused, (75..120).collect());
    assert_eq!(begin.elapsed(), Duration::from_secs(6), "as the real one, it uses its time");
    assert_eq!((contents.written.load(Ordering::Relaxed), contents.units.load(Ordering::Relaxed)), (75, 75));
    let refused = table.put(&items[75..], Instant::now() + Duration::from_mins(1)).await;
    assert!(refused.is_empty());
    assert_eq!(lock(&contents.items).count(), 80);
    // Refused items consume no capacity, so the rest is written at 7.5 s and 10 s.
    let took = begin.elapsed();
    assert!((Duration::from_millis(9_900)..Duration::from_millis(10_050)).contains(&took), "{took:?}");
}

#[test]
fn what_the_function_names_comes_back_and_what_is_before_it_does_not() {
    let batch = vec![stream::Record { data: Arc::default(), uplinks: 3 }; 4];
    let answer = |name: &str| {
        let mut answer = KinesisEventResponse::default();
        answer.add_failure(name);
        answer
    };
    assert_eq!(done(100, &batch, &KinesisEventResponse::default()).unwrap(), 4);
    assert_eq!(done(100, &batch, &answer("100")).unwrap(), 0);
    assert_eq!(done(100, &batch, &answer("103")).unwrap(), 3);
    for nonsense in ["104", "99", "", "x"] {
        assert!(done(100, &batch, &answer(nonsense)).is_err(), "{nonsense}");
    }
}

#[test]
fn batches_are_those_of_the_template() {
    use cost::template::{STREAM_BATCH, STREAM_WINDOW};
    assert_eq!(Decimal::from(drain::BATCH), STREAM_BATCH);
    assert_eq!(Decimal::from(drain::WINDOW.as_secs()), STREAM_WINDOW);
    let template = include_str!("../../../../../template.yaml");
    assert!(template.contains("\n      ParallelizationFactor: 1\n"), "one batch at a time for each shard");
}
