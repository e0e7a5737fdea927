//! Many user records in one Kinesis record, in the format of the Kinesis Producer Library, which the Kinesis Client
//! Library, Firehose and AWS's own tools take apart.
//!
//! Kinesis bills a record by 25 KB, so one that is nearly empty costs what a full one costs.
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
use prost::encoding::{message, string};

use crate::ports::StreamRecord;

/// One PUT payload unit, which is what is billed (<https://aws.amazon.com/kinesis/data-streams/pricing/>).
pub const MAX_BYTES: usize = 25 * 1024;

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const CHECKSUM_LEN: usize = 16;

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
    // Field 4, tags, is written by nobody; a reader skips it.
}

/// The user records of an aggregated record; `None` if it is none, which is then a record by itself. A wrong checksum
/// means the same, as in Amazon's own readers: bytes that only begin like one.
pub fn user_records(data: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (message, checksum) = data.strip_prefix(&MAGIC)?.split_last_chunk::<CHECKSUM_LEN>()?;
    if Md5::digest(message).as_slice() != checksum {
        return None;
    }
    let aggregated = AggregatedRecord::decode(message).ok()?;
    Some(aggregated.records.into_iter().map(|record| record.data).collect())
}

/// A record that is being filled, of at most [`MAX_BYTES`] unless a single user record is longer.
#[derive(Debug, Default)]
pub struct Aggregator {
    message: AggregatedRecord,
    message_len: usize,
}

impl Aggregator {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.message.records.is_empty()
    }

    /// Whether a user record of this length, under a key of that one, may still come in.
    pub fn has_room_for(&self, key_len: usize, data_len: usize) -> bool {
        /// Tags, lengths and indexes of a key and a record: six varints, of at most three bytes below 2 MiB.
        const FRAMING: usize = 6 * 3;
        let with_it = self.message_len + FRAMING + key_len + data_len;
        self.is_empty() || MAGIC.len() + with_it + CHECKSUM_LEN <= MAX_BYTES
    }

    /// Puts a user record behind the others.
    pub fn add(&mut self, partition_key: String, data: Vec<u8>) {
        let keys = &mut self.message.partition_key_table;
        // Records with the same key are neighbours if anything, so the last one is the only one worth a look.
        if keys.last() != Some(&partition_key) {
            self.message_len += string::encoded_len(1, &partition_key);
            keys.push(partition_key);
        }
        let partition_key_index = keys.len() as u64 - 1;
        let record = UserRecord { partition_key_index, explicit_hash_key_index: None, data };
        self.message_len += message::encoded_len(3, &record);
        self.message.records.push(record);
    }

    /// The record, if there is anything in it, and an empty aggregator for the next. Its partition key is its first
    /// member's: as good as one by chance, so the records spread over the shards. A consumer that kept only members of its
    /// own shard's hash range would lose the others; ours keeps all.
    pub fn close(&mut self) -> Option<StreamRecord> {
        let Self { message, message_len } = std::mem::take(self);
        let partition_key = message.partition_key_table.first()?.clone();
        let mut data = Vec::with_capacity(MAGIC.len() + message_len + CHECKSUM_LEN);
        data.extend_from_slice(&MAGIC);
        message.encode_raw(&mut data);
        let checksum = Md5::digest(&data[MAGIC.len()..]);
        data.extend_from_slice(checksum.as_slice());
        Some(StreamRecord { partition_key, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Puts user records together, into as few records as hold them.
    fn aggregate(user_records: &[(&str, Vec<u8>)]) -> Vec<StreamRecord> {
        let mut open = Aggregator::default();
        let mut records = Vec::new();
        for (key, data) in user_records {
            if !open.has_room_for(key.len(), data.len()) {
                records.extend(open.close());
            }
            open.add((*key).to_owned(), data.clone());
        }
        records.extend(open.close());
        assert_eq!(open.close(), None);
        records
    }

    /// What Amazon's `aws_kinesis_agg` 1.2.3 (from the Python package index) makes of `alpha` under the key `a` and `beta` under the key `b`.
    const PUBLISHED: &str =
        "f3899ac20a01610a01621a0908001a05616c7068611a0808011a04626574618126c510b4bbc34195fa6f9ce2454853";

    #[test]
    fn it_is_written_to_the_byte_as_amazons_own_aggregator_writes_it() {
        let records = aggregate(&[("a", b"alpha".to_vec()), ("b", b"beta".to_vec())]);
        assert_eq!(records, [StreamRecord { partition_key: "a".to_owned(), data: hex::decode(PUBLISHED).unwrap() }]);
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
            records in proptest::collection::vec(("[a-c]{1,40}", 0..9_000_usize), 0..60)
        ) {
            let records: Vec<_> = records.iter().map(|(key, len)| (key.as_str(), vec![0x5A; *len])).collect();
            let mut apart = Vec::new();
            for record in aggregate(&records) {
                prop_assert!(record.data.len() <= MAX_BYTES);
                prop_assert_eq!(record.partition_key, records[apart.len()].0);
                apart.extend(user_records(&record.data).unwrap());
            }
            prop_assert_eq!(apart, records.into_iter().map(|(_, data)| data).collect::<Vec<_>>());
        }

        #[test]
        fn records_that_would_have_fitted_together_are_not_apart(lens in proptest::collection::vec(0..9_000_usize, 2..60)) {
            let slack = 64;
            let mut next = 0;
            let records = aggregate(&lens.iter().map(|len| ("key", vec![0; *len])).collect::<Vec<_>>());
            for record in &records[..records.len() - 1] {
                next += user_records(&record.data).unwrap().len();
                prop_assert!(record.data.len() + lens[next] + slack > MAX_BYTES);
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
