//! The bill of this project's own design, as `template.yaml` deploys it: measurements ([`crate::measurement`]) times prices
//! ([`crate::prices`]).
//!
//! # Layout
//!
//! - [`setup`]: the settings that the bill depends on.
//! - [`flow`]: invocations of each function, and the traffic of queues and stream.
//! - [`archive`]: objects, files and their versions, and the scheduled functions that make them.
//! - [`days`]: the daily pass.
//! - [`tables`]: tables of pulses, and of raw uplinks.

pub mod archive;
pub mod days;
pub mod flow;
pub mod setup;
pub mod tables;

use std::collections::BTreeMap;

use rust_decimal::{Decimal, dec};

use self::archive::Work;
use self::flow::Flow;
use self::setup::Setup;
use super::monthly::{Bill, Item};
use crate::Error;
use crate::aws::{Flows, GB, GIB, Processor, Rates};
use crate::limits::{SECRET_SECONDS, SECRET_VERSIONS, UDP_HEADS, UDP_IDLE};
use crate::load::{HOURS, Load, SECONDS};
use crate::measurement::Measurement;
use crate::money::{measured, whole};
use crate::template::{
    ARCHIVE_ALARMS, BALANCER_ADDRESSES, BRIDGE_ALARMS, GB_PER_PROCESSOR, LOG_DAYS, SECRETS, STREAM_HOURS,
};

/// Lines of the store, which comparisons with the study leave out.
const STORE: [&str; 6] =
    ["S3 requests", "S3 storage", "KMS", "Database writes", "Database storage", "Point-in-time recovery"];

/// Calculates the monthly bill.
///
/// # Errors
/// [`Error::Invalid`] if a price is missing.
pub fn bill(name: &str, setup: &Setup, load: &Load, measured: &Measurement, aws: &Rates) -> Result<Bill, Error> {
    let items = items(setup, load, measured);
    // AWS deducts a free tier from the sum of all purposes, and its tiers apply to it.
    let mut sums: BTreeMap<&str, Decimal> = BTreeMap::new();
    for item in &items {
        *sums.entry(item.price).or_default() += item.quantity;
    }
    let mut bill = Bill::new(name, &aws.prices.currency, load.devices);
    for item in &items {
        let sum = sums.remove(item.price);
        let amount = sum.map_or(Ok(Decimal::ZERO), |sum| aws.prices.cost(item.price, sum, &aws.free))?;
        bill = if STORE.contains(&item.service) {
            bill.with_database(item.service, amount)
        } else {
            bill.with(item.service, amount)
        };
    }
    Ok(Bill { items, ..bill })
}

/// Everything that AWS bills in a month.
pub fn items(setup: &Setup, load: &Load, of: &Measurement) -> Vec<Item> {
    let with_archive;
    let of = if setup.store.has_archive() {
        with_archive = of.with_archive();
        &with_archive
    } else {
        of
    };
    let sent = &load.repeated(setup.repeats);
    let flow = Flow::of(setup, sent, of);
    let work = setup.store.has_archive().then(|| Work::of(setup, load, &flow, &of.archive));
    let mut items = vec![item("API Gateway", "callbacks", "api-request", flow.calls)];
    items.extend(functions(setup, of, &flow, work.as_ref()));
    items.extend(flow.queues.iter().map(|(queue, requests)| item("SQS", queue, "sqs-request", *requests)));
    items.push(item("Kinesis", "shards", "kinesis-shard-hour", flow.shards * HOURS));
    items.push(item("Kinesis", "records of the bridge", "kinesis-payload-unit", flow.records));
    if setup.stream_hours > STREAM_HOURS {
        let hours = flow.shards * HOURS;
        items.push(item("Kinesis", "retention of more than a day", "kinesis-long-retention-shard-hour", hours));
    }
    items.extend(bridge(setup, sent, of, &flow));
    items.extend(watching(setup, sent, of, &flow, work.as_ref()));
    items.extend(secrets(&flow));
    items.extend(transfer(sent, of, &flow));
    items.extend(work.iter().flat_map(|work| work.items(setup, &of.archive)));
    items.extend(tables::items(setup, load, of));
    items
}

fn item(service: &'static str, purpose: &'static str, price: &'static str, quantity: Decimal) -> Item {
    Item { service, purpose, price, quantity }
}

/// Invocations and GB-seconds of all functions.
fn functions(setup: &Setup, of: &Measurement, flow: &Flow, work: Option<&Work>) -> Vec<Item> {
    let duration = match setup.processor {
        Processor::X86 => "lambda-gb-second-x86",
        Processor::Arm => "lambda-gb-second-arm64",
    };
    let memory = of.archive.memory_mb.decimal() / dec!(1024);
    let scheduled = work.into_iter().flat_map(|work| {
        let days = &work.days;
        [
            ("settle", work.settle.runs, work.settle.runs * work.settle.seconds),
            ("derive", work.derive.runs, work.derive.runs * work.derive.seconds),
            ("days", days.invocations(), days.seconds.0 + days.seconds.1),
        ]
    });
    let behind = flow
        .functions
        .iter()
        .map(|runs| (runs.name, runs.invocations, runs.invocations * runs.milliseconds / dec!(1000) * runs.gb));
    let all = behind.chain(scheduled.map(|(name, runs, seconds)| (name, runs, seconds * memory)));
    let items = all.flat_map(|(name, invocations, gb_seconds)| {
        [item("Lambda", name, "lambda-request", invocations), item("Lambda", name, duration, gb_seconds)]
    });
    items.collect()
}

/// Load balancer, tasks and addresses; none without NB-IoT.
fn bridge(setup: &Setup, load: &Load, of: &Measurement, flow: &Flow) -> Vec<Item> {
    if flow.tasks.is_zero() {
        return Vec::new();
    }
    let rate = load.nbiot(load.second());
    let udp = Flows { new: rate, open_seconds: UDP_IDLE, bytes: rate * exchange(of) };
    let (processor, memory) = match setup.processor {
        Processor::X86 => ("fargate-vcpu-hour-x86", "fargate-gb-hour-x86"),
        Processor::Arm => ("fargate-vcpu-hour-arm64", "fargate-gb-hour-arm64"),
    };
    let processors = flow.tasks * flow.task_size;
    vec![
        item("NLB", "load balancer", "load-balancer-hour", HOURS),
        item("NLB", "flows of the meters", "load-balancer-unit-hour", udp.udp_units() * HOURS),
        item("Fargate", "processors of the bridge", processor, processors * HOURS),
        item("Fargate", "memory of the bridge", memory, processors * GB_PER_PROCESSOR * HOURS),
        item("Public IPv4", "load balancer and tasks", "ipv4-hour", (BALANCER_ADDRESSES + flow.tasks) * HOURS),
    ]
}

/// Bytes of a datagram and its acknowledgement, with IP and UDP headers.
fn exchange(of: &Measurement) -> Decimal {
    measured(of.bridge.datagram_bytes) + measured(of.bridge.acknowledgement_bytes) + dec!(2) * UDP_HEADS
}

/// Metrics, alarms and logs.
fn watching(setup: &Setup, load: &Load, of: &Measurement, flow: &Flow, work: Option<&Work>) -> Vec<Item> {
    let measured_metrics = work.map_or(of.metrics.into(), |_| of.archive.metrics.decimal());
    let alarms = if load.nbiot(load.month()).is_zero() { Decimal::ZERO } else { BRIDGE_ALARMS };
    let scheduled = work.map_or(Decimal::ZERO, |work| {
        (work.settle.runs + work.derive.runs + work.days.invocations()) * of.archive.run_log_bytes.decimal()
    });
    let bridge = flow.tasks * HOURS * dec!(60) * measured(of.bridge.log_bytes_per_minute);
    let logs = flow.log_bytes + scheduled + bridge;
    vec![
        item("CloudWatch", "metrics", "metric-month", setup.metrics.unwrap_or(measured_metrics)),
        item("CloudWatch", "alarms of the bridge", "alarm-month", alarms),
        item("CloudWatch", "alarms of the archive", "alarm-month", work.map_or(Decimal::ZERO, |_| ARCHIVE_ALARMS)),
        item("CloudWatch", "logs", "logs-gb", logs / GIB),
        item("CloudWatch", "logs that are kept", "logs-storage-gb-month", logs * LOG_DAYS / tables::MONTH_DAYS / GIB),
    ]
}

/// Secrets. Each instance of the callback's function reads its secret every five minutes.
fn secrets(flow: &Flow) -> Vec<Item> {
    let callback = &flow.functions[0];
    let instances = whole(callback.invocations * callback.milliseconds / dec!(1000) / SECONDS);
    let calls = instances * SECRET_VERSIONS * SECONDS / SECRET_SECONDS;
    vec![
        item("Secrets Manager", "secrets", "secret-month", SECRETS),
        item("Secrets Manager", "reads by the callback", "secret-call", calls),
    ]
}

/// Acknowledgements and answers to the internet, and the half of the datagrams that reaches a task in the other zone, which
/// AWS bills to both.
fn transfer(load: &Load, of: &Measurement, flow: &Flow) -> Vec<Item> {
    let datagrams = load.nbiot(load.month());
    let acknowledgements = datagrams * (measured(of.bridge.acknowledgement_bytes) + UDP_HEADS);
    let answers = flow.calls * measured(of.callbacks.answer_bytes);
    let half = datagrams * exchange(of) / dec!(2);
    vec![
        item("Data transfer", "acknowledgements and answers", "transfer-out-gb", (acknowledgements + answers) / GB),
        item("Data transfer", "datagrams between zones", "transfer-zone-gb", dec!(2) * half / GB),
    ]
}
