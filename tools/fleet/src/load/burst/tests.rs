use aws_lambda_events::event::streams::KinesisEventResponse;
use pulsegate_model::aggregate::Aggregator;
use pulsegate_model::at::At;
use pulsegate_model::record;
use pulsegate_model::uplink::{Kind, Radio, TimeSource, Uplink};
use pulsegate_pipeline::archive::writer::ArchiveWriter;
use pulsegate_pipeline::ports::RawStore as _;
use rust_decimal::Decimal;
use tokio::time::Instant;

use super::archive::{MemoryArchive, PUT};
use super::drain::done;
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
    let (contents, progress) = (Arc::new(ArchiveContents::none(&fleet)), Arc::new(DrainProgress::default()));
    drain::start(Setup {
        stream: Arc::clone(&stream),
        fleet: Arc::clone(&fleet),
        contents: Arc::clone(&contents),
        progress: Arc::clone(&progress),
    })
    .join()
    .unwrap()
    .unwrap();
    let stored = lock(&contents.uplinks);
    assert_eq!((stored.count(), stored.strangers, stored.unreadable), (80, 0, 0));
    assert!(stored.duplicates <= 40, "an object has the repetitions of its batch once");
    assert_eq!((stream.put(), progress.passed.load(Ordering::Relaxed)), (120, 120));
    assert_eq!(FoundUplinks::in_stream(&stream, &fleet).missing_in(&stored), 0);
    assert!(progress.invocations.load(Ordering::Relaxed) >= 1);
}

#[tokio::test(start_paused = true)]
async fn an_archive_takes_its_time_and_refuses_what_is_too_late() {
    let fleet = fleet();
    let uplinks: Vec<Uplink> = (0..DEVICES).map(|number| uplink(&fleet, number, 0)).collect();
    let contents = Arc::new(ArchiveContents::none(&fleet));
    let writer = ArchiveWriter { store: MemoryArchive::new(Arc::clone(&fleet), Arc::clone(&contents)) };
    let begin = Instant::now();
    assert_eq!(writer.put(&uplinks, begin + PUT / 2).await.len(), uplinks.len());
    assert_eq!((begin.elapsed(), lock(&contents.uplinks).count()), (PUT / 2, 0));
    assert!(writer.put(&uplinks, Instant::now() + PUT).await.is_empty());
    assert_eq!(begin.elapsed(), PUT / 2 + PUT);
    let counted = [&contents.objects, &contents.rows].map(|count| count.load(Ordering::Relaxed));
    assert_eq!((counted, lock(&contents.uplinks).count()), ([1, DEVICES.into()], DEVICES.into()));
    assert!(contents.bytes.load(Ordering::Relaxed) > 0);
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
