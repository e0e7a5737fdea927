//! What a `PutRecords` request brings, and what is answered.

use std::borrow::Cow;
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;
use hyper::StatusCode;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use serde::Deserialize;

use super::fault::Fault;

/// Records in one request, at most
/// (<https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html>).
const MAX_RECORDS: usize = 500;

/// Begins an aggregated record, and how long the checksum at its end is
/// (<https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md>).
const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const CHECKSUM_LEN: usize = 16;

/// What has been taken so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Requests of which anything was kept.
    pub requests: u64,
    /// Records kept.
    pub records: u64,
    /// User records in them.
    pub user_records: u64,
    /// Bytes of the records kept.
    pub bytes: u64,
}

impl std::ops::Sub for Taken {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            requests: self.requests - earlier.requests,
            records: self.records - earlier.records,
            user_records: self.user_records - earlier.user_records,
            bytes: self.bytes - earlier.bytes,
        }
    }
}

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// This.
    Body(StatusCode, String),
    /// Nothing: the connection ends.
    Hangup,
}

/// The stream.
pub struct Stream(Mutex<State>);

struct State {
    taken: Taken,
    consumer: Option<SyncSender<Vec<u8>>>,
    rng: Rng,
    requests: u64,
    records: u64,
    buffer: Vec<u8>,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, rename = "Data")]
    data: Cow<'a, str>,
}

impl Stream {
    pub(super) fn new(consumer: Option<SyncSender<Vec<u8>>>, seed: u64) -> Self {
        let (taken, buffer) = (Taken::default(), Vec::new());
        Self(Mutex::new(State { taken, consumer, rng: Rng::with_seed(seed), requests: 0, records: 0, buffer }))
    }

    pub(super) fn taken(&self) -> Taken {
        self.lock().taken
    }

    /// Keeps what is to be kept, and answers what is to be answered.
    pub(super) fn put(&self, body: &[u8], fault: Fault) -> Answer {
        let Some(records) = serde_json::from_slice(body).ok().map(|Request { records }| records) else {
            return error(StatusCode::BAD_REQUEST, "SerializationException");
        };
        if records.is_empty() || records.len() > MAX_RECORDS {
            return error(StatusCode::BAD_REQUEST, "ValidationException");
        }
        let mut state = self.lock();
        state.requests += 1;
        match fault {
            Fault::InternalError => return error(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure"),
            Fault::Throttled => return error(StatusCode::BAD_REQUEST, "ThrottlingException"),
            Fault::Nonsense if state.requests.is_multiple_of(2) => return ok("<html>moved</html>"),
            Fault::Nonsense => return ok("{}"),
            _ => {}
        }
        let kept = records.iter().enumerate().map(|(position, entry)| {
            state.accepts(position, fault) && (state.forgets(fault) || state.keep(&entry.data))
        });
        let mut kept: Vec<bool> = kept.collect();
        state.taken.requests += u64::from(kept.contains(&true));
        match fault {
            Fault::KeepAndHangUp => Answer::Hangup,
            Fault::ShortAnswer => {
                kept.pop();
                answer(&kept)
            }
            _ => answer(&kept),
        }
    }

    /// Counters and bytes have nothing to leave half done, so what a panicking thread held is still good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn accepts(&mut self, position: usize, fault: Fault) -> bool {
        match fault {
            Fault::RefuseAll => false,
            Fault::RefuseHalf => self.rng.bool(),
            Fault::RefuseEvery(n) => !position.is_multiple_of(n),
            _ => true,
        }
    }

    fn forgets(&mut self, fault: Fault) -> bool {
        self.records += 1;
        matches!(fault, Fault::Forget(n) if self.records.is_multiple_of(n))
    }

    /// Whether it could be read.
    fn keep(&mut self, base64: &str) -> bool {
        self.buffer.clear();
        if STANDARD.decode_vec(base64, &mut self.buffer).is_err() {
            return false;
        }
        self.taken.records += 1;
        self.taken.user_records += user_records(&self.buffer);
        self.taken.bytes += self.buffer.len() as u64;
        if let Some(consumer) = &self.consumer {
            // A consumer that has gone has counted enough.
            let _ = consumer.send(self.buffer.clone());
        }
        true
    }
}

/// How many there are: the fields 3 of an aggregated record's message. Anything else is one by itself.
fn user_records(data: &[u8]) -> u64 {
    let message = data.strip_prefix(&MAGIC).and_then(|rest| rest.split_last_chunk::<CHECKSUM_LEN>());
    message.and_then(|(message, _)| count(message)).unwrap_or(1)
}

fn count(mut message: &[u8]) -> Option<u64> {
    let mut count = 0;
    while !message.is_empty() {
        let (tag, wire_type) = decode_key(&mut message).ok()?;
        count += u64::from(tag == 3);
        skip_field(wire_type, tag, &mut message, DecodeContext::default()).ok()?;
    }
    Some(count)
}

fn ok(body: &str) -> Answer {
    Answer::Body(StatusCode::OK, body.to_owned())
}

fn error(status: StatusCode, code: &str) -> Answer {
    Answer::Body(status, format!(r#"{{"__type":"{code}","message":"on purpose"}}"#))
}

fn answer(kept: &[bool]) -> Answer {
    const KEPT: &str = r#"{"SequenceNumber":"1","ShardId":"shardId-000000000000"}"#;
    const REFUSED: [&str; 2] = [
        r#"{"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"on purpose"}"#,
        r#"{"ErrorCode":"InternalFailure","ErrorMessage":"on purpose"}"#,
    ];
    let entries = kept.iter().enumerate().map(|(position, kept)| if *kept { KEPT } else { REFUSED[position % 2] });
    let entries = entries.collect::<Vec<_>>().join(",");
    let refused = kept.iter().filter(|kept| !**kept).count();
    Answer::Body(StatusCode::OK, format!(r#"{{"FailedRecordCount":{refused},"Records":[{entries}]}}"#))
}
