//! Properties of reports without faults. The simulation has the faults.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use pulsegate_model::at::At;
use pulsegate_model::codec::{Channel, Flag, Mark};
use pulsegate_model::device::DeviceId;
use pulsegate_model::pulse;
use pulsegate_model::uplink::{Kind, TimeSource};
use tokio::time::Instant;

use super::file::ReportWriter;
use super::*;
use crate::archive::place::Day;
use crate::archive::points::tests::{
    DAY, MIDNIGHT, any_uplink, bits, derive_all, origin_of, points_files, put_and_settle, three_days, timed, uplink,
};
use crate::archive::points::{Derive, POINTS, decoder};
use crate::archive::row::{self, Row};
use crate::archive::store::{Condition, Get, Got, ObjectStore, Page, Put, StoreError};
use crate::archive::stream::DeviceStream;
use crate::archive::tests::{block, soon};
use crate::archive::tombstones;
use crate::fakes::FakeObjects;
use crate::ports::Refused;

fn report_files(store: &FakeObjects) -> BTreeMap<String, Bytes> {
    store.all().into_iter().filter(|(key, _)| key.starts_with(REPORTS)).collect()
}

/// The reports of each file that has some.
fn reports_of(store: &FakeObjects) -> BTreeMap<String, Vec<(DeviceId, Vec<Report>)>> {
    let files = report_files(store).into_iter().map(|(key, content)| (key, file::read(content).unwrap()));
    files.filter(|(_, devices)| !devices.is_empty()).collect()
}

/// One report for each event, and for each other uplink with an accepted time.
fn expected(uplinks: &[Uplink]) -> BTreeMap<String, Vec<(DeviceId, Vec<Report>)>> {
    let dated = uplinks.iter().filter(|uplink| Day::of(uplink) != Day::Odd);
    let rows: BTreeSet<Row> = dated.map(Row::from).collect();
    let mut files: BTreeMap<String, BTreeMap<DeviceId, BTreeMap<_, Report>>> = BTreeMap::new();
    for uplink in row::valid(rows).iter().map(|row| row.uplink().unwrap()) {
        let devices = files.entry(key_of(bits().place(&uplink))).or_default();
        let of_device = devices.entry(uplink.device).or_default();
        let key = (uplink.at, uplink.sequence, uplink.kind == Kind::Event);
        let settings = &profile::find(uplink.device.network(), uplink.profile.as_str()).unwrap().settings;
        let item = pulse::decode(&uplink).ok().filter(|_| uplink.kind != Kind::Event);
        let kind = match (&item, uplink.kind) {
            (_, Kind::Event) => ReportKind::Event,
            (Some(_), _) => ReportKind::Uplink,
            (None, _) => ReportKind::Undecodable,
        };
        if kind == ReportKind::Undecodable && of_device.contains_key(&key) {
            continue;
        }
        let every = item.iter().flat_map(|item| item.channels.values());
        let every =
            every.filter_map(|counts| counts.log_period.or(counts.every.map(|every| u32::try_from(every).unwrap())));
        let report = Report {
            at: uplink.at,
            number: uplink.sequence,
            kind,
            period: every.min().or(settings.log_period),
            counted_at: PeriodEnd::End,
            battery_mv: item.as_ref().and_then(|item| item.battery_mv),
            flags: item.map(|item| item.flags).unwrap_or_default(),
        };
        of_device.insert(key, report);
    }
    let sorted = |reports: BTreeMap<_, Report>| reports.into_values().collect::<BTreeSet<_>>().into_iter().collect();
    let of_file =
        |devices: BTreeMap<DeviceId, _>| devices.into_iter().map(|(device, of)| (device, sorted(of))).collect();
    files.into_iter().map(|(key, devices)| (key, of_file(devices))).collect()
}

fn any_report() -> impl Strategy<Value = Report> {
    let flags = prop_oneof![Just(Flag::LowBattery), Just(Flag::Leak), Just(Flag::ClockNotSet)];
    let marks = (flags, proptest::option::of("[!-~]{1,9}")).prop_map(|(flag, channel)| match channel {
        Some(channel) => flag.on(channel.parse::<Channel>().unwrap()),
        None => Mark::from(flag),
    });
    let kinds = prop_oneof![Just(ReportKind::Uplink), Just(ReportKind::Undecodable), Just(ReportKind::Event)];
    let ends = prop_oneof![Just(PeriodEnd::Start), Just(PeriodEnd::End)];
    let numbers = (any::<Option<u32>>(), any::<Option<u32>>(), any::<Option<u16>>());
    (0..4_000_000_000_i64, numbers, kinds, ends, btree_set(marks, 0..3)).prop_map(
        |(at, (number, period, battery_mv), kind, counted_at, flags)| Report {
            at: At::from_unix(at).unwrap(),
            number,
            kind,
            period,
            counted_at,
            battery_mv,
            flags,
        },
    )
}

fn written(reports: &[(DeviceId, Report)]) -> Bytes {
    let mut writer = ReportWriter::new().unwrap();
    for report in reports {
        writer.push(report).unwrap();
    }
    writer.finish([]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn files_of_reports_are_a_function_of_the_uplinks_of_their_day(
        uplinks in vec(any_uplink(), 1..40),
        group in 1..12_usize,
        derive_each: bool,
    ) {
        let (store, other) = (FakeObjects::of_pages(3), FakeObjects::default());
        block(async {
            for batch in uplinks.chunks(group) {
                put_and_settle(&store, batch).await;
                if derive_each {
                    derive_all(&store).await;
                }
            }
            derive_all(&store).await;
            put_and_settle(&other, &uplinks).await;
            derive_all(&other).await;
        });
        prop_assert_eq!(reports_of(&store), expected(&uplinks));
        // To the byte, whatever the history of runs.
        let files = report_files(&store);
        for (key, content) in report_files(&other) {
            prop_assert_eq!(files.get(&key), Some(&content));
        }
    }

    #[test]
    fn every_report_is_read_back_as_it_was_written(devices in vec(vec(any_report(), 1..5), 0..5)) {
        let device = |number: usize| format!("sigfox:{:X}", number + 1).parse::<DeviceId>().unwrap();
        let devices: Vec<_> = devices.into_iter().enumerate().map(|(number, reports)| (device(number), reports)).collect();
        let flat = devices.iter().flat_map(|(device, reports)| reports.iter().map(|report| (*device, report.clone())));
        let content = written(&flat.collect::<Vec<_>>());
        prop_assert_eq!(&file::read(content.clone()).unwrap(), &devices);

        let store = FakeObjects::default();
        let place = bits().place_named("day/2026-11-20/00.parquet").unwrap();
        store.set(&key_of(place), content);
        let streamed = block(async {
            let mut source = DeviceStream::<file::ReadColumns>::open(&store, key_of(place), soon()).await.unwrap().unwrap();
            let mut streamed = Vec::new();
            while let Some(device) = source.next_device(&store, soon()).await.unwrap() {
                streamed.push((device, source.take(device).unwrap()));
            }
            streamed
        });
        prop_assert_eq!(streamed, devices);
    }
}

#[test]
fn a_report_has_the_period_of_the_device_or_of_its_profile_and_what_it_says_of_itself() {
    let of = |uplink: &Uplink| {
        let decoded = Decoded::of(vec![uplink.clone()]);
        let events = (uplink.kind == Kind::Event).then_some(uplink);
        let reports: Vec<Report> = super::of(events, &decoded).into_iter().collect();
        let [report] = <[Report; 1]>::try_from(reports).unwrap();
        (report.kind, report.number, report.period, report.battery_mv, report.flags.len())
    };
    let counts = [(MIDNIGHT + 1_800, 3), (MIDNIGHT + 900, 2), (MIDNIGHT, 1)];
    assert_eq!(of(&timed(1, MIDNIGHT + 1_800, &counts)), (ReportKind::Uplink, Some(1), Some(900), None, 0));
    // One count, and a profile without a log period.
    assert_eq!(of(&timed(1, MIDNIGHT, &counts[2..])), (ReportKind::Uplink, Some(1), None, None, 0));
    let v4 = |profile: &str, payload: &[u8]| uplink("sigfox:1", profile, MIDNIGHT, Some(7), payload);
    let data = [&[0x46, 0x00][..], &[0; 8]].concat();
    assert_eq!(of(&v4("adeunis-pulse-v3-1h", &data)), (ReportKind::Uplink, Some(7), Some(3_600), None, 0));
    let low = [&[0x46, 0x02][..], &[0; 8]].concat();
    assert_eq!(of(&v4("adeunis-pulse-v3-1h", &low)).4, 1);
    assert_eq!(of(&v4("adeunis-pulse-v3-1h", &[0])), (ReportKind::Undecodable, Some(7), Some(3_600), None, 0));
    let event = Uplink { kind: Kind::Event, ..v4("adeunis-pulse-v3-1h", &[]) };
    assert_eq!(of(&event), (ReportKind::Event, Some(7), Some(3_600), None, 0));
    assert_eq!(of(&v4("unknown", &data)), (ReportKind::Undecodable, Some(7), None, None, 0));
}

#[test]
fn only_the_uplinks_of_the_day_are_reported_and_no_erased_device() {
    let store = FakeObjects::default();
    let mut uplinks = three_days();
    uplinks.push(Uplink { time_source: TimeSource::Unset, ..uplinks[0].clone() });
    block(async {
        put_and_settle(&store, &uplinks).await;
        tombstones::bury(&store, uplinks[0].device, At::EPOCH, soon()).await.unwrap();
        derive_all(&store).await;
    });
    let others: Vec<Uplink> = three_days().into_iter().skip(1).step_by(2).collect();
    assert_eq!(reports_of(&store), expected(&others));
}

#[test]
fn reports_that_are_deleted_or_replaced_come_back_and_are_named_by_their_points() {
    let store = FakeObjects::default();
    block(async {
        put_and_settle(&store, &three_days()).await;
        derive_all(&store).await;
        let (reports, points) = (report_files(&store), points_files(&store));
        assert_eq!(reports.len(), points.len());
        for key in reports.keys() {
            store.delete(std::slice::from_ref(key), soon()).await;
            assert_eq!(derive_all(&store).await.files, 1, "{key}");
            store.set(key, "noise");
            assert_eq!(derive_all(&store).await.files, 1, "{key}");
        }
        assert!(report_files(&store) == reports);
        assert!(points_files(&store).keys().eq(points.keys()));
        assert_eq!(derive_all(&store).await.files, 0);
    });
}

#[test]
fn reports_of_a_day_whose_uplinks_are_gone_are_gone_too_also_without_points() {
    let store = FakeObjects::default();
    block(async {
        put_and_settle(&store, &three_days()).await;
        derive_all(&store).await;
        store.delete(&[store.keys("day/"), store.keys(POINTS)].concat(), soon()).await;
        derive_all(&store).await;
        assert_eq!(reports_of(&store), BTreeMap::new());
        assert_eq!(derive_all(&store).await.files, 0);
    });
}

/// Fails at the first put of points; the run ends.
struct Stops<'a> {
    store: &'a FakeObjects,
    failed: AtomicBool,
}

impl ObjectStore for Stops<'_> {
    async fn list(&self, prefix: &str, after: Option<&str>, deadline: Instant) -> Result<Page, StoreError> {
        self.store.list(prefix, after, deadline).await
    }

    async fn get(&self, request: Get<'_>, deadline: Instant) -> Result<Got, StoreError> {
        self.store.get(request, deadline).await
    }

    async fn put(&self, key: &str, content: Bytes, of: Condition<'_>, deadline: Instant) -> Result<Put, StoreError> {
        if key.starts_with(POINTS) && !self.failed.swap(true, Ordering::Relaxed) {
            return Err(StoreError { what: "put".to_owned(), source: "crash".into() });
        }
        self.store.put(key, content, of, deadline).await
    }

    async fn delete(&self, _: &[String], _: Instant) -> Refused {
        unreachable!("derive deletes nothing")
    }
}

#[test]
fn a_run_that_ends_between_the_two_writes_is_healed_by_the_next() {
    let store = FakeObjects::default();
    let bits = bits();
    let crash = async || {
        let store = Stops { store: &store, failed: AtomicBool::new(false) };
        Derive { store: &store, bits: &bits, decoder, stop: soon(), deadline: soon() }.run().await.unwrap_err()
    };
    let at = MIDNIGHT + 2 * DAY + 13 * 3_600;
    let sent = [three_days(), vec![timed(1, at, &[(at, 6)])]].concat();
    block(async {
        for part in [&sent[..6], &sent[6..]] {
            put_and_settle(&store, part).await;
            crash().await;
            derive_all(&store).await;
            assert_eq!(derive_all(&store).await.files, 0);
        }
    });
    assert_eq!(reports_of(&store), expected(&sent));
    for (key, content) in points_files(&store) {
        assert!(report_files(&store).contains_key(&key.replacen(POINTS, REPORTS, 1)));
        assert_ne!(origin_of(&content).reports, "");
    }
}

/// Sleeps before it puts reports, so that another run overtakes it.
struct Slow<'a>(&'a FakeObjects);

impl ObjectStore for Slow<'_> {
    async fn list(&self, prefix: &str, after: Option<&str>, deadline: Instant) -> Result<Page, StoreError> {
        self.0.list(prefix, after, deadline).await
    }

    async fn get(&self, request: Get<'_>, deadline: Instant) -> Result<Got, StoreError> {
        self.0.get(request, deadline).await
    }

    async fn put(&self, key: &str, content: Bytes, of: Condition<'_>, deadline: Instant) -> Result<Put, StoreError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.0.put(key, content, of, deadline).await
    }

    async fn delete(&self, _: &[String], _: Instant) -> Refused {
        unreachable!("derive deletes nothing")
    }
}

#[test]
fn overlapping_runs_with_uplinks_that_arrive_between_them_end_with_the_reports_of_all() {
    let store = FakeObjects::default();
    let (slow, bits) = (Slow(&store), bits());
    let sent = three_days();
    block(async {
        put_and_settle(&store, &sent[..4]).await;
        let slow = Derive { store: &slow, bits: &bits, decoder, stop: soon(), deadline: soon() };
        let fast = async {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            put_and_settle(&store, &sent[4..]).await;
            derive_all(&store).await
        };
        let (slow, _) = tokio::join!(async { slow.run().await.unwrap() }, fast);
        assert!(slow.conflicts > 0);
        derive_all(&store).await;
        assert_eq!(derive_all(&store).await.files, 0);
    });
    assert_eq!(reports_of(&store), expected(&sent));
}

/// `GOLDEN=record cargo test -p pulsegate-pipeline golden` records it again.
#[test]
fn golden_reports_are_written_as_they_were_to_the_byte() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/reports.parquet");
    let report = |n: u32| Report {
        at: At::from_unix(MIDNIGHT + i64::from(n % 12) * 3_600).unwrap(),
        number: (!n.is_multiple_of(5)).then_some(n * 7 % 4_096),
        kind: [ReportKind::Uplink, ReportKind::Undecodable, ReportKind::Event][usize::try_from(n % 3).unwrap()],
        period: (!n.is_multiple_of(4)).then_some(900 * (n % 4)),
        counted_at: if n.is_multiple_of(7) { PeriodEnd::Start } else { PeriodEnd::End },
        battery_mv: n.is_multiple_of(3).then(|| 3_600 - u16::try_from(n).unwrap()),
        flags: match n % 6 {
            0 => [Flag::LowBattery.into(), Flag::Leak.on(Channel::A)].into(),
            3 => [Flag::ClockNotSet.into()].into(),
            _ => BTreeSet::new(),
        },
    };
    let device = |n: u32| format!("sigfox:{:X}", 0x1A_2345 + n / 12).parse().unwrap();
    let content = written(&(0..60).map(|n| (device(n), report(n))).collect::<Vec<_>>());
    if std::env::var("GOLDEN").is_ok_and(|what| what == "record") {
        std::fs::write(&path, &content).unwrap();
    }
    let recorded = Bytes::from(std::fs::read(&path).unwrap());
    assert_eq!(file::read(content.clone()).unwrap(), file::read(recorded.clone()).unwrap());
    assert!(content == recorded, "the reports are the same, and their encoding is another one");
}
