//! The rules of `PutRecords`: its limits, the shard of a record, and the form of its answer. No I/O.
//!
//! Sources: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html> and
//! <https://docs.aws.amazon.com/streams/latest/dev/key-concepts.html> (partition keys).

use std::fmt;

use md5::{Digest as _, Md5};

/// The most records in a request.
pub const MAX_RECORDS: usize = 500;

/// The most bytes in a request, partition keys included.
pub const MAX_REQUEST_BYTES: usize = 10 * 1024 * 1024;

/// Why Kinesis rejects a request as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// The request has no records.
    NoRecords,
    /// It has more than [`MAX_RECORDS`].
    TooManyRecords,
    /// It has more than [`MAX_REQUEST_BYTES`].
    TooManyBytes,
}

/// What became of one record of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordResult {
    /// It is in the stream.
    Stored,
    /// Its shard has no throughput left.
    Throttled,
    /// Kinesis failed.
    Failed,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecords => f.write_str("a request has 1 record at least"),
            Self::TooManyRecords => write!(f, "a request has at most {MAX_RECORDS} records"),
            Self::TooManyBytes => write!(f, "a request has at most {MAX_REQUEST_BYTES} bytes"),
        }
    }
}

/// Checks a request against the limits, by the sizes of its records: data and partition key in bytes.
///
/// # Errors
/// The limit that it exceeds.
pub fn check(sizes: impl ExactSizeIterator<Item = usize>) -> Result<(), Rejection> {
    match sizes.len() {
        0 => Err(Rejection::NoRecords),
        1..=MAX_RECORDS if sizes.sum::<usize>() > MAX_REQUEST_BYTES => Err(Rejection::TooManyBytes),
        1..=MAX_RECORDS => Ok(()),
        _ => Err(Rejection::TooManyRecords),
    }
}

/// The hash key of a partition key: its MD5 as a number of 128 bits. The shard whose range has it takes the record.
pub fn hash_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key).into())
}

/// The ranges of hash keys of a new stream, first and last of each shard: equal parts, of which the last takes the rest.
pub fn even_ranges(shards: u32) -> impl Iterator<Item = (u128, u128)> {
    let each = u128::MAX / u128::from(shards.max(1));
    let first = move |n: u32| u128::from(n) * each;
    (0..shards).map(move |n| (first(n), if n + 1 == shards { u128::MAX } else { first(n + 1) - 1 }))
}

/// The body of an answer with status 200: one result for each record, in the order of the request.
pub fn answer(results: &[RecordResult]) -> String {
    let entries: Vec<&str> = results.iter().map(|result| result.entry()).collect();
    let failed = results.iter().filter(|result| **result != RecordResult::Stored).count();
    format!(r#"{{"FailedRecordCount":{failed},"Records":[{}]}}"#, entries.join(","))
}

/// The body of an answer with an error status.
pub fn error(code: &str, message: &str) -> String {
    format!(r#"{{"__type":"{code}","message":"{message}"}}"#)
}

impl RecordResult {
    fn entry(self) -> &'static str {
        match self {
            Self::Stored => r#"{"SequenceNumber":"1","ShardId":"shardId-000000000000"}"#,
            Self::Throttled => {
                r#"{"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"simulated fault"}"#
            }
            Self::Failed => r#"{"ErrorCode":"InternalFailure","ErrorMessage":"simulated fault"}"#,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_rejected_beyond_each_limit_and_not_at_it() {
        assert_eq!(check([].into_iter()), Err(Rejection::NoRecords));
        assert_eq!(check([1; MAX_RECORDS].into_iter()), Ok(()));
        assert_eq!(check([1; MAX_RECORDS + 1].into_iter()), Err(Rejection::TooManyRecords));
        assert_eq!(check([MAX_REQUEST_BYTES - 1, 1].into_iter()), Ok(()));
        assert_eq!(check([MAX_REQUEST_BYTES, 1].into_iter()), Err(Rejection::TooManyBytes));
    }

    #[test]
    fn the_ranges_of_a_stream_cover_every_hash_key_once() {
        for shards in [1, 2, 3, 7, 1_000] {
            let ranges: Vec<(u128, u128)> = even_ranges(shards).collect();
            assert_eq!((ranges.len(), ranges[0].0), (shards as usize, 0));
            assert_eq!(ranges.last().unwrap().1, u128::MAX);
            assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{shards}");
        }
    }

    /// The digest of "a" from the test suite of RFC 1321.
    #[test]
    fn a_hash_key_is_the_md5_of_the_partition_key() {
        assert_eq!(hash_key("a"), 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661);
    }

    #[test]
    fn an_answer_has_a_result_for_each_record_and_counts_those_that_failed() {
        let text = answer(&[RecordResult::Stored, RecordResult::Throttled, RecordResult::Failed]);
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["FailedRecordCount"], 2);
        let codes: Vec<Option<&str>> =
            answer["Records"].as_array().unwrap().iter().map(|record| record["ErrorCode"].as_str()).collect();
        assert_eq!(codes, [None, Some("ProvisionedThroughputExceededException"), Some("InternalFailure")]);
    }
}
