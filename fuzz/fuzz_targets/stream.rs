//! Parses any bytes as a Kinesis record, and as a user record in one.
//!
//! A fuzzer cannot guess a valid checksum. To reach the code after the check, the target also adds the valid one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use md5::{Digest as _, Md5};
use pulsegate_fuzz::are_kept;
use pulsegate_model::aggregate;
use pulsegate_model::aggregate::Aggregator;
use pulsegate_model::record;

/// The first bytes of an aggregated record.
const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];

fuzz_target!(|bytes: &[u8]| {
    for data in [bytes, &checked(bytes)] {
        if let Some(user_records) = aggregate::user_records(data) {
            come_apart_again(&user_records);
            for user_record in &user_records {
                user_record_is_kept(user_record);
            }
        }
    }
    user_record_is_kept(bytes);
});

/// The record with the valid checksum. Other bytes become the content of a record.
fn checked(bytes: &[u8]) -> Vec<u8> {
    let message = bytes.strip_prefix(&MAGIC).and_then(|bytes| bytes.split_last_chunk::<16>());
    let message = message.map_or(bytes, |(message, _)| message);
    [&MAGIC, message, Md5::digest(message).as_slice()].concat()
}

fn come_apart_again(user_records: &[Vec<u8>]) {
    let mut aggregator = Aggregator::default();
    for user_record in user_records {
        aggregator.add(|| "0".to_owned(), user_record);
    }
    if let Some(record) = aggregator.close() {
        assert_eq!(aggregate::user_records(&record.data).as_deref(), Some(user_records));
    }
}

fn user_record_is_kept(user_record: &[u8]) {
    if let Ok(uplink) = record::decode(user_record) {
        are_kept(&[uplink]);
    }
}
