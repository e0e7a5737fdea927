//! A reader of a points file device by device gets exactly its contents.

use std::collections::BTreeMap;

use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::TimeSource;

use super::*;
use crate::archive::place::Place;
use crate::archive::points::file::{PointRow, PointWriter, ROW_GROUP, entry};
use crate::archive::points::key_of;
use crate::archive::points::origin::Origin;
use crate::archive::stream::{DeviceStream, SourceError};
use crate::archive::tests::{block, soon};
use crate::fakes::FakeObjects;

/// 2026-11-20T00:00:00Z.
const MIDNIGHT: i64 = 1_795_132_800;

fn place() -> Place {
    "2026-01-01=0"
        .parse::<crate::archive::place::PartitionBits>()
        .unwrap()
        .place_named("day/2026-11-20/00.parquet")
        .unwrap()
}

fn device(number: usize) -> DeviceId {
    format!("nbiot:{}", 490_154_203_000_000 + number).parse().unwrap()
}

/// Points of a device: indexes of one channel and counts of another.
fn rows(number: usize, each: usize) -> impl Iterator<Item = PointRow> {
    (0..each).map(move |nth| {
        let is_index = nth < each.div_ceil(2);
        PointRow {
            device: device(number),
            channel: if is_index { "A" } else { "meter-2" }.to_owned(),
            kind: if is_index { ValueKind::Index } else { ValueKind::Counted },
            at: At::from_unix(MIDNIGHT + i64::try_from(nth).unwrap() * 60).unwrap(),
            value: if nth == 0 { u64::MAX } else { u64::try_from(number * 7 + nth).unwrap() },
            time_source: TimeSource::Device,
            counter_bits: (is_index && !number.is_multiple_of(3)).then_some(32),
            contradicted: false,
            codec: "senml-json".to_owned(),
            codec_version: 1,
        }
    })
}

/// A file of so many devices.
fn written(devices: usize, each: usize) -> FakeObjects {
    let mut writer = PointWriter::new().unwrap();
    (0..devices).flat_map(|number| rows(number, each)).for_each(|row| writer.push(&row).unwrap());
    let store = FakeObjects::default();
    store.set(&key_of(place()), writer.finish(entry(&Origin::default())).unwrap());
    store
}

type PointsSource = DeviceStream<PointColumns>;

async fn open(store: &FakeObjects) -> PointsSource {
    PointsSource::open(store, key_of(place()), soon()).await.unwrap().unwrap()
}

#[test]
fn each_device_has_its_points_also_where_a_row_group_ends() {
    const EACH: usize = 1_000;
    let devices = ROW_GROUP / EACH + 2;
    let store = written(devices, EACH);
    block(async {
        let mut source = open(&store).await;
        for number in 0..devices {
            assert_eq!(source.next_device(&store, soon()).await.unwrap(), Some(device(number)));
            assert!(source.take(device(devices)).is_none(), "it is not the next");
            let readings: BTreeMap<Channel, Readings> = source.take(device(number)).unwrap().into_iter().collect();
            let mut expected: BTreeMap<Channel, Readings> = BTreeMap::new();
            for PointRow { channel, kind, at, value, counter_bits, .. } in rows(number, EACH) {
                let of = expected.entry(channel.parse().unwrap()).or_default();
                match kind {
                    ValueKind::Index => of.points.push(Reading { at, index: value, counter_bits }),
                    ValueKind::Counted => of.counted.push(Count { at, pulses: value }),
                }
            }
            assert_eq!(readings, expected, "{number}");
        }
        assert_eq!(source.next_device(&store, soon()).await.unwrap(), None);
    });
}

#[test]
fn a_file_that_changes_while_it_is_read_is_noticed() {
    let store = written(ROW_GROUP / 1_000 + 1, 1_000);
    block(async {
        let mut source = open(&store).await;
        assert_eq!(source.next_device(&store, soon()).await.unwrap(), Some(device(0)));
        let other = written(1, 1);
        store.set(&key_of(place()), other.all().remove(&key_of(place())).unwrap());
        let error = loop {
            match source.next_device(&store, soon()).await {
                Ok(device) => drop(source.take(device.unwrap())),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, SourceError::Changed));
        assert_ne!(*source.etag(), *open(&store).await.etag());
    });
}

#[test]
fn without_a_file_or_without_points_there_is_no_device() {
    block(async {
        assert!(PointsSource::open(&FakeObjects::default(), key_of(place()), soon()).await.unwrap().is_none());
        let store = written(0, 1);
        assert_eq!(open(&store).await.next_device(&store, soon()).await.unwrap(), None);
    });
}
