//! Files as they were recorded: every build must write them to the byte. A difference is a change of format, since two
//! versions of `settle` that run at the same time would rewrite each other's files.

use std::path::Path;

use bytes::Bytes;
use pulsegate_model::at::At;
use pulsegate_model::uplink::{Kind, Payload, Radio, TimeSource, Uplink};
use sha2::{Digest as _, Sha256};

use super::rows_of;
use crate::archive::file::{self, ROW_GROUP};
use crate::archive::row::Row;

/// Uplinks of every form that the columns know, by arithmetic instead of chance.
fn uplinks(count: u32) -> impl Iterator<Item = Uplink> {
    (0..count).map(|n| {
        let device = match n % 3 {
            0 => format!("sigfox:{:X}", 0x1A_2345 + n / 24),
            1 => format!("nbiot:{}", 490_154_203_237_518_u64 + u64::from(n / 24)),
            _ => format!("nbiot:{:012X}", 0x282C_0242_4EED_u64 + u64::from(n / 24)),
        };
        let (time_source, profile) = match n % 5 {
            0 => (TimeSource::Network, "adeunis-pulse-v4"),
            1 => (TimeSource::Device, "adeunis-pulse4-nbiot-1h"),
            2 => (TimeSource::Computed, "dragino-sw3l-nb"),
            3 => (TimeSource::Unset, "senml-cbor"),
            _ => (TimeSource::Network, "efento"),
        };
        let mut payload = vec![0x46, 0x80];
        payload.extend((n.wrapping_mul(n) % 9_973).to_be_bytes());
        payload.resize(usize::try_from(n % 41).unwrap(), 0x5A);
        Uplink {
            device: device.parse().unwrap(),
            kind: if n % 7 == 6 { Kind::DataAdvanced } else { Kind::Data },
            at: At::from_unix(1_795_132_800 + i64::from(n % 24) * 3_600 + i64::from(n % 11)).unwrap(),
            time_source,
            sequence: (n % 4 > 0).then_some(n / 24 * 7 + n % 24),
            profile: profile.parse().unwrap(),
            payload: Payload::from_bytes(&payload).unwrap(),
            radio: Radio {
                rssi: (n % 2 == 0).then(|| (-f64::from(n % 140) - 0.25).try_into().unwrap()),
                snr: (n % 6 == 0).then(|| (f64::from(n % 30) + 0.5).try_into().unwrap()),
                station: (n % 2 == 0).then(|| format!("{:04X}", 0x2A1B + n % 9).parse().unwrap()),
                signal_quality: (n % 3 == 1).then(|| u8::try_from(n % 32).unwrap()),
            },
        }
    })
}

fn encoded(count: u32) -> Bytes {
    file::union(None, uplinks(count).map(|uplink| Row::from(&uplink)).collect()).unwrap()
}

/// `GOLDEN=record cargo test -p pulsegate-pipeline golden` records it again.
#[test]
fn a_day_is_written_as_it_was_to_the_byte() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/day.parquet");
    let content = encoded(60);
    if std::env::var("GOLDEN").is_ok_and(|what| what == "record") {
        std::fs::write(&path, &content).unwrap();
    }
    let recorded = Bytes::from(std::fs::read(&path).unwrap());
    assert_eq!(rows_of(&recorded).len(), 60);
    assert_eq!(rows_of(&content), rows_of(&recorded));
    assert!(content == recorded, "the rows are the same, and their encoding is another one");
}

#[test]
fn a_day_of_several_row_groups_is_written_as_it_was_and_so_is_its_union_with_more() {
    let count = u32::try_from(2 * ROW_GROUP + 100).unwrap();
    let content = encoded(count);
    let hash = hex::encode(Sha256::digest(&content));
    assert_eq!(hash, "30adcde8b3dd8edc38e1c6be4d3d32ae1da5b0a399c5b837b00f90fd27b80492", "{} bytes", content.len());
    let (first, second): (Vec<_>, Vec<_>) =
        uplinks(count).enumerate().partition(|(n, uplink)| n % 15 > 0 || uplink.sequence == Some(8));
    let rows = |part: Vec<(usize, Uplink)>| part.iter().map(|(_, uplink)| Row::from(uplink)).collect::<Vec<_>>();
    let old = file::union(None, rows(first)).unwrap();
    assert!(old != content);
    assert!(file::union(Some(old), rows(second)).unwrap() == content);
}
