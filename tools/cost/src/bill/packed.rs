//! The cost of designs that pack messages, at today's prices, by a model made before any measurement: `c1` to `c5`, and the
//! minimum of the bill, `f1` to `f3`. For comparison, `a` and `b` are the first and the last AWS design of the study in its own
//! accounting, `a'` and `b'` the same with everything that AWS bills.
//!
//! Sizes and times are assumptions: a message has 60 bytes and 8 of framing; a function of 256 MB on arm64 takes 10 µs of a
//! whole processor for it, and 8 ms for each request. [`super::pulsegate`] uses measurements instead.

use rust_decimal::{Decimal, dec};

use super::monthly::Bill;
use super::study::{self, Accounting, Design, IDLE_POLLS, connections, datagrams};
use crate::Error;
use crate::aws::{Processor, Rates};
use crate::load::{Load, SECONDS};
use crate::money::whole;
use crate::prices::{FreeTiers, Prices};

/// Names of the designs.
pub const NAMES: [&str; 12] = ["a", "a'", "b", "b'", "c1", "c2", "c3", "c4", "c5", "f1", "f2", "f3"];

/// Path of Sigfox uplinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sigfox {
    /// An API call for each message.
    Single,
    /// An API call a second for each device type.
    Batch,
    /// A call of the containers for each message.
    Containers,
}

/// Transport to the second stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hop {
    Queue,
    Stream,
}

/// Payment for the tables, and the stored items of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tables {
    OnDemand,
    Provisioned,
    /// Raw messages are objects in S3; only pulses are in a table.
    RawInS3,
}

/// Calculates the monthly bill of one of [`NAMES`]; `None` for another name.
///
/// # Errors
/// [`Error::Invalid`] if a price is missing.
pub fn bill(name: &str, load: &Load, prices: &Prices) -> Result<Option<Bill>, Error> {
    let packed = |sigfox, hop, tables| packed(name, sigfox, hop, tables, load, prices);
    let bill = match name {
        "a" => Design::Variant1.bill(Accounting::Today, load, prices),
        "a'" => Design::Variant1.bill(Accounting::Everything, load, prices),
        "b" => Design::Batches.bill(Accounting::Today, load, prices),
        "b'" => Design::Batches.bill(Accounting::Everything, load, prices),
        "c1" => packed(Sigfox::Single, Hop::Queue, Tables::OnDemand),
        "c2" => packed(Sigfox::Batch, Hop::Queue, Tables::OnDemand),
        "c3" => packed(Sigfox::Batch, Hop::Queue, Tables::Provisioned),
        "c4" => packed(Sigfox::Batch, Hop::Stream, Tables::Provisioned),
        "c5" => packed(Sigfox::Containers, Hop::Queue, Tables::Provisioned),
        "f1" => packed(Sigfox::Batch, Hop::Queue, Tables::RawInS3),
        "f2" => floor(name, true, load, prices),
        "f3" => floor(name, false, load, prices),
        _ => return Ok(None),
    };
    bill.map(|bill| Some(Bill { design: name.to_owned(), ..bill }))
}

/// Messages that fit into a record of one payload unit: 25 KiB of 68 bytes.
const IN_A_RECORD: Decimal = dec!(376);

/// Messages of an invocation, and the maximum batching window in seconds.
const IN_A_BATCH: Decimal = dec!(1000);
const WINDOW: Decimal = dec!(60);

/// Messages that fit into a queue's message of 64 KB.
const IN_A_MESSAGE: Decimal = dec!(940);

/// Billed milliseconds of a batch: the processor time on the share that 256 MB have, 8 for each round of ten requests of 25
/// items to the table, and 8 for each put.
fn billed_ms(messages: Decimal, puts: Decimal) -> Decimal {
    let processor = messages * dec!(0.01) * dec!(1769) / dec!(256);
    let rounds = whole(whole(messages / dec!(25)) / dec!(10));
    whole(processor + dec!(8) * rounds + dec!(8) * puts)
}

/// Monthly records of two ingesters, each of which collects for a second.
fn gathered(rate: Decimal) -> Decimal {
    let each = rate / dec!(2);
    if each < Decimal::ONE { rate * SECONDS } else { dec!(2) * (each / IN_A_RECORD).max(Decimal::ONE) * SECONDS }
}

/// Monthly payload units of the stream, and its shards at 70 percent use.
fn first_hop(sigfox: Sigfox, load: &Load) -> (Decimal, Decimal) {
    let (rate, month) = (load.second(), load.sigfox(load.month()));
    let units = match sigfox {
        Sigfox::Single => gathered(load.nbiot(rate)) + month,
        Sigfox::Batch => {
            let calls = load.batches();
            let bytes = month.checked_div(calls).unwrap_or_default() * dec!(60);
            gathered(load.nbiot(rate)) + calls * whole(bytes / dec!(25_600))
        }
        Sigfox::Containers => gathered(rate),
    };
    let load = (units / SECONDS / dec!(1000)).max(rate * dec!(68) / dec!(1_000_000));
    (units, whole(load / dec!(0.7)).max(Decimal::ONE))
}

fn packed(name: &str, sigfox: Sigfox, hop: Hop, tables: Tables, load: &Load, prices: &Prices) -> Result<Bill, Error> {
    let aws = Rates { prices, free: FreeTiers::of(&["Lambda", "SQS", "CloudWatch Logs", "DynamoDB"]) };
    let messages = load.month();
    let batches = (messages / IN_A_BATCH).max((SECONDS / WINDOW).min(messages));
    let (units, shards) = first_hop(sigfox, load);
    let (more_units, more_shards) = match hop {
        Hop::Queue => (Decimal::ZERO, Decimal::ZERO),
        // A batch is three payload units.
        Hop::Stream => (dec!(3) * batches, Decimal::ONE),
    };
    let tcp = (sigfox == Sigfox::Containers).then(|| connections(load));
    let calls = match sigfox {
        Sigfox::Single => load.sigfox(messages),
        Sigfox::Batch => load.batches(),
        Sigfox::Containers => Decimal::ZERO,
    };
    let gb_seconds = batches * (billed_ms(IN_A_BATCH, dec!(1)) + billed_ms(IN_A_BATCH, dec!(0))) / dec!(4000);
    let bill = Bill::new(name, &prices.currency, load.devices)
        .with("NLB", aws.balancer(datagrams(load), tcp)?)
        .with("Fargate", aws.fargate(tasks(sigfox, load), dec!(0.25), dec!(0.5), Processor::Arm)?)
        .with("Public IPv4", aws.addresses(dec!(4))?)
        .with("API Gateway", aws.api(calls)?)
        .with("Kinesis", aws.kinesis(shards + more_shards, units + more_units)?)
        .with("Lambda", aws.lambda(dec!(2) * batches, gb_seconds, Processor::Arm)?)
        .with("CloudWatch", aws.metrics(dec!(10))? + aws.logs(dec!(2) * batches * dec!(600))?);
    let bill = match hop {
        Hop::Queue => bill.with("SQS", aws.sqs(dec!(3) * batches + IDLE_POLLS)?),
        Hop::Stream => bill,
    };
    with_tables(bill, tables, load, &aws)
}

/// Two tasks; with Sigfox on them as many as half a millisecond of TLS for each message needs at 60 percent use, and one spare.
fn tasks(sigfox: Sigfox, load: &Load) -> Decimal {
    let handshakes = load.sigfox(load.second()) * dec!(0.0005);
    match sigfox {
        Sigfox::Containers => (Decimal::ONE + handshakes / (dec!(0.25) * dec!(0.6))).max(dec!(2)),
        Sigfox::Single | Sigfox::Batch => dec!(2),
    }
}

/// Adds the tables: writes provisioned for 80 percent use, 250 bytes of a raw item and 200 of a pulse item kept for a month.
fn with_tables(bill: Bill, tables: Tables, load: &Load, aws: &Rates) -> Result<Bill, Error> {
    let (messages, rate) = (load.month(), load.second() / dec!(0.8));
    let (writes, bytes) = match tables {
        Tables::OnDemand => (aws.writes_on_demand(dec!(2) * messages)?, dec!(450)),
        Tables::Provisioned => (aws.writes_provisioned(dec!(2) * rate)?, dec!(450)),
        Tables::RawInS3 => (aws.writes_provisioned(rate)?, dec!(200)),
    };
    let bill =
        bill.with_database("Database writes", writes).with_database("Database storage", aws.stored(messages * bytes)?);
    Ok(if tables == Tables::RawInS3 { bill.with("S3", objects(load, aws)?) } else { bill })
}

/// Cost of raw messages as objects: 10,000 in each, or those of five minutes; 30 compressed bytes each, kept for a month.
fn objects(load: &Load, aws: &Rates) -> Result<Decimal, Error> {
    let puts = (load.month() / dec!(10_000)).max(SECONDS / dec!(300));
    aws.s3(puts, load.month() * dec!(30))
}

/// The minimum: two tasks with their addresses, and bytes. 25 pulses are an item of 1 KB.
fn floor(name: &str, hop: bool, load: &Load, prices: &Prices) -> Result<Bill, Error> {
    let aws = Rates { prices, free: FreeTiers::of(&["Lambda", "SQS", "DynamoDB"]) };
    let messages = load.month();
    let batches = messages / IN_A_MESSAGE;
    let gb_seconds = batches * billed_ms(IN_A_MESSAGE, dec!(1)) / dec!(4000);
    let (queue, functions) = if hop {
        (aws.sqs(dec!(3) * batches + IDLE_POLLS)?, aws.lambda(batches, gb_seconds, Processor::Arm)?)
    } else {
        (Decimal::ZERO, Decimal::ZERO)
    };
    Ok(Bill::new(name, &prices.currency, load.devices)
        .with("Fargate", aws.fargate(dec!(2), dec!(0.25), dec!(0.5), Processor::Arm)?)
        .with("Public IPv4", aws.addresses(dec!(2))?)
        .with("SQS", queue)
        .with("Lambda", functions)
        .with("S3", objects(load, &aws)?)
        .with_database("Database writes", aws.writes_provisioned(load.second() / dec!(0.8) / dec!(25))?)
        .with_database("Database storage", aws.stored(messages * dec!(41))?))
}

/// The designs of [`study`] with their names, as printed and corrected.
pub fn of_the_study() -> Vec<(String, Design, Accounting)> {
    let named = |design: Design| {
        let printed = (format!("study-{}", design.table()), design, Accounting::Printed);
        let corrected = (format!("study-{}-corrected", design.table()), design, Accounting::Everything);
        [printed, corrected]
    };
    study::Design::ALL.into_iter().flat_map(named).collect()
}
