//! Reads a `PutRecords` request, applies the rules and the fault, and counts what is kept.

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
use super::rules::{self, RecordResult};

/// The first bytes of an aggregated record, and the length of the checksum at its end
/// (<https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md>).
const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const CHECKSUM_LEN: usize = 16;

/// The message of an error that a fault makes.
const SIMULATED: &str = "simulated fault";

/// Counts of what is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Requests of which a record was kept.
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

/// The answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Status and body.
    Body(StatusCode, String),
    /// The connection closes without an answer.
    Hangup,
}

/// The state of the stand-in: counts, and the consumer.
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
    #[serde(borrow, rename = "PartitionKey")]
    partition_key: Cow<'a, str>,
}

impl Entry<'_> {
    /// Bytes of data and key. Base64 has three bytes in four characters, without the padding.
    fn size(&self) -> usize {
        let padding = self.data.bytes().rev().take_while(|&byte| byte == b'=').count();
        (self.data.len() / 4 * 3).saturating_sub(padding) + self.partition_key.len()
    }
}

impl Stream {
    pub(super) fn new(consumer: Option<SyncSender<Vec<u8>>>, seed: u64) -> Self {
        let (taken, buffer) = (Taken::default(), Vec::new());
        Self(Mutex::new(State { taken, consumer, rng: Rng::with_seed(seed), requests: 0, records: 0, buffer }))
    }

    pub(super) fn taken(&self) -> Taken {
        self.lock().taken
    }

    /// Keeps the records of a request, as far as the fault lets it, and answers.
    pub(super) fn put(&self, body: &[u8], fault: Fault) -> Answer {
        let Some(records) = serde_json::from_slice(body).ok().map(|Request { records }| records) else {
            return error(StatusCode::BAD_REQUEST, "SerializationException", "malformed request");
        };
        if let Err(rejection) = rules::check(records.iter().map(Entry::size)) {
            return error(StatusCode::BAD_REQUEST, "ValidationException", &rejection.to_string());
        }
        let mut state = self.lock();
        state.requests += 1;
        match fault {
            Fault::InternalError => return error(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", SIMULATED),
            Fault::Throttled => return error(StatusCode::BAD_REQUEST, "ThrottlingException", SIMULATED),
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

    /// The state is valid after every statement, so a lock that a panicking thread held is still good.
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

    /// Keeps a record. Returns `false` if its data is not base64.
    fn keep(&mut self, base64: &str) -> bool {
        self.buffer.clear();
        if STANDARD.decode_vec(base64, &mut self.buffer).is_err() {
            return false;
        }
        self.taken.records += 1;
        self.taken.user_records += user_records(&self.buffer);
        self.taken.bytes += self.buffer.len() as u64;
        if let Some(consumer) = &self.consumer {
            // A consumer that has stopped needs no more records.
            let _ = consumer.send(self.buffer.clone());
        }
        true
    }
}

/// The number of user records: the fields 3 of an aggregated record's message. Any other record is one user record.
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

fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    Answer::Body(status, rules::error(code, message))
}

/// Refused records have two codes in turn, by position.
fn answer(kept: &[bool]) -> Answer {
    const REFUSED: [RecordResult; 2] = [RecordResult::Throttled, RecordResult::Failed];
    let result = |(position, kept): (usize, &bool)| if *kept { RecordResult::Stored } else { REFUSED[position % 2] };
    let results: Vec<RecordResult> = kept.iter().enumerate().map(result).collect();
    Answer::Body(StatusCode::OK, rules::answer(&results))
}
