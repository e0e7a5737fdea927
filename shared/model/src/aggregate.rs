//! Many user records in one Kinesis record, in the format of the Kinesis Producer Library, which the Kinesis Client
//! Library, Firehose and AWS's own tools unpack.
//!
//! Kinesis bills a record in units of 25 KB, so a nearly empty record costs as much as a full one.
//!
//! ```text
//!  0            4                               N              N+16
//! +------------+-------------------------------+----------------+
//! | F3899AC2   | AggregatedRecord (protobuf)   | MD5 of message |
//! +------------+-------------------------------+----------------+
//! ```
//!
//! Source: <https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md>.

use md5::{Digest as _, Md5};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len, string, uint64};

/// One PUT payload unit, the unit of billing (<https://aws.amazon.com/kinesis/data-streams/pricing/>).
pub const MAX_BYTES: usize = 25 * 1024;

/// A record for a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRecord {
    /// Selects the shard; records with the same key keep their order.
    pub partition_key: String,
    /// The bytes that the consumer receives.
    pub data: Vec<u8>,
}

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const CHECKSUM_LEN: usize = 16;

/// Length of the parts before the first user record, for a partition key of up to 58 bytes: devices and addresses are shorter.
const MAX_HEAD_LEN: usize = 64;

#[derive(Clone, PartialEq, Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_key_table: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<UserRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct UserRecord {
    #[prost(uint64, required, tag = "1")]
    partition_key_index: u64,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "vec", required, tag = "3")]
    data: Vec<u8>,
    // Field 4, tags, is never written; a reader skips it.
}

/// Returns the user records of an aggregated record; `None` if the data is not aggregated, but a record by itself. A
/// wrong checksum also gives `None`, as in Amazon's own readers: such data only begins like an aggregated record.
pub fn user_records(data: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (message, checksum) = data.strip_prefix(&MAGIC)?.split_last_chunk::<CHECKSUM_LEN>()?;
    if Md5::digest(message).as_slice() != checksum {
        return None;
    }
    let aggregated = AggregatedRecord::decode(message).ok()?;
    Some(aggregated.records.into_iter().map(|record| record.data).collect())
}

/// A record that is being filled, of at most [`MAX_BYTES`] unless a single user record is longer.
///
/// All its user records have the partition key of the first. Amazon's client library drops a user record whose key
/// belongs to another shard than the record came from (it assumes a leftover of a reshard), so user records with their
/// own keys would be lost. The shard of a user record does not matter, because nothing relies on order.
#[derive(Debug, Default)]
pub struct Aggregator {
    partition_key: String,
    data: Vec<u8>,
}

impl Aggregator {
    /// True if it has no user records.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// True if a user record of this length still fits.
    pub fn has_room_for(&self, len: usize) -> bool {
        self.is_empty() || self.data.len() + framed(len) + CHECKSUM_LEN <= MAX_BYTES
    }

    /// True if user records of these lengths still fit, all of them.
    pub fn has_room_for_all(&self, lens: impl IntoIterator<Item = usize>) -> bool {
        let held = if self.is_empty() { MAX_HEAD_LEN } else { self.data.len() };
        held + lens.into_iter().map(framed).sum::<usize>() + CHECKSUM_LEN <= MAX_BYTES
    }

    /// Appends a user record. Calls `partition_key` for the first one only.
    pub fn add(&mut self, partition_key: impl FnOnce() -> String, user_record: &[u8]) {
        if self.is_empty() {
            self.partition_key = partition_key();
            self.data.reserve(MAX_BYTES);
            self.data.extend_from_slice(&MAGIC);
            string::encode(1, &self.partition_key, &mut self.data);
        }
        encode_key(3, WireType::LengthDelimited, &mut self.data);
        encode_varint(inner_len(user_record.len()) as u64, &mut self.data);
        // The index of its key is 0. Protobuf would omit a 0, but the field is required.
        uint64::encode(1, &0, &mut self.data);
        encode_key(3, WireType::LengthDelimited, &mut self.data);
        encode_varint(user_record.len() as u64, &mut self.data);
        self.data.extend_from_slice(user_record);
    }

    /// Returns the record, if it has user records, and leaves an empty aggregator.
    pub fn close(&mut self) -> Option<StreamRecord> {
        if self.is_empty() {
            return None;
        }
        let Self { partition_key, mut data } = std::mem::take(self);
        let checksum = Md5::digest(&data[MAGIC.len()..]);
        data.extend_from_slice(checksum.as_slice());
        data.shrink_to_fit(); // it may wait long, and under low load most are not full
        Some(StreamRecord { partition_key, data })
    }
}

/// Length of a user record of `len` bytes, with its length and the index of its key.
fn inner_len(len: usize) -> usize {
    uint64::encoded_len(1, &0) + key_len(3) + encoded_len_varint(len as u64) + len
}

/// The same, with the tag and length that it has in a record.
fn framed(len: usize) -> usize {
    let inner = inner_len(len);
    key_len(3) + encoded_len_varint(inner as u64) + inner
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Packs user records into as few records as possible, each with its number as the key.
    fn aggregate(user_records: &[Vec<u8>]) -> Vec<StreamRecord> {
        let mut open = Aggregator::default();
        let mut records = Vec::new();
        for (number, user_record) in user_records.iter().enumerate() {
            if !open.has_room_for(user_record.len()) {
                records.extend(open.close());
            }
            open.add(|| number.to_string(), user_record);
        }
        records.extend(open.close());
        assert_eq!(open.close(), None);
        records
    }

    /// Output of Amazon's `aws_kinesis_agg` 1.2.3 (from the Python package index) for `alpha` and `beta` with the key
    /// `0`.
    const PUBLISHED: &str = "f3899ac20a01301a0908001a05616c7068611a0808001a0462657461246748dc1900d35b48ed67d80e89a0c8";

    #[test]
    fn it_is_written_to_the_byte_as_amazons_own_aggregator_writes_it() {
        let records = aggregate(&[b"alpha".to_vec(), b"beta".to_vec()]);
        assert_eq!(records, [StreamRecord { partition_key: "0".to_owned(), data: hex::decode(PUBLISHED).unwrap() }]);
    }

    #[test]
    fn what_others_put_beside_the_data_is_skipped() {
        // Tags and an explicit hash key, as the KPL itself may write them.
        let message = hex::decode("0a01611201301a1008001000 1a05616c706861 2203 0a0174".replace(' ', "")).unwrap();
        let data = [&MAGIC, message.as_slice(), Md5::digest(&message).as_slice()].concat();
        assert_eq!(user_records(&data), Some(vec![b"alpha".to_vec()]));
    }

    #[test]
    fn a_wrong_checksum_means_that_it_is_none() {
        let mut data = hex::decode(PUBLISHED).unwrap();
        *data.last_mut().unwrap() ^= 1;
        assert_eq!(user_records(&data), None);
        assert_eq!(user_records(&MAGIC), None);
        assert_eq!(user_records(b"{}"), None);
    }

    #[test]
    fn nothing_is_no_record() {
        assert_eq!(aggregate(&[]), []);
    }

    proptest! {
        #[test]
        fn what_was_put_together_comes_apart_in_its_order_and_no_record_is_longer_than_a_unit(
            lens in proptest::collection::vec(0..9_000_usize, 0..60)
        ) {
            let user_records: Vec<Vec<u8>> = lens.iter().map(|len| vec![0x5A; *len]).collect();
            let mut apart = Vec::new();
            for record in aggregate(&user_records) {
                prop_assert!(record.data.len() <= MAX_BYTES);
                prop_assert_eq!(record.partition_key, apart.len().to_string());
                apart.extend(super::user_records(&record.data).unwrap());
            }
            prop_assert_eq!(apart, user_records);
        }

        #[test]
        fn records_for_which_there_is_room_together_do_fit(lens in proptest::collection::vec(0..9_000_usize, 1..9)) {
            let mut open = Aggregator::default();
            let mut own = Aggregator::default();
            open.add(|| "key".to_owned(), &[0; 5_000]);
            for aggregator in [&mut open, &mut own] {
                let room = aggregator.has_room_for_all(lens.iter().copied());
                for &len in &lens {
                    aggregator.add(|| "k".repeat(58), &vec![0; len]);
                }
                let long = aggregator.close().unwrap().data.len();
                prop_assert!(!room || long <= MAX_BYTES);
                prop_assert!(room || long + MAX_HEAD_LEN > MAX_BYTES);
            }
        }

        #[test]
        fn records_that_would_have_fitted_together_are_not_apart(lens in proptest::collection::vec(0..9_000_usize, 2..60)) {
            let mut next = 0;
            let records = aggregate(&lens.iter().map(|len| vec![0; *len]).collect::<Vec<_>>());
            for record in &records[..records.len() - 1] {
                next += user_records(&record.data).unwrap().len();
                prop_assert!(record.data.len() + framed(lens[next]) > MAX_BYTES);
            }
        }

        #[test]
        fn no_bytes_panic(mut data: Vec<u8>) {
            let _ = user_records(&data);
            let checksum = Md5::digest(&data);
            data.splice(0..0, MAGIC);
            data.extend(checksum);
            let _ = user_records(&data);
        }
    }
}
