//! What our own design costs, as `template.yaml` deploys it: reckoned from what was measured ([`super::measurement`]), by what
//! AWS bills ([`super::aws`]).
//!
//! # Layout
//!
//! - [`flow`]: how often each function is invoked, and what passes queues and stream.
//! - [`tables`]: the database.

pub mod flow;
pub mod tables;

use rust_decimal::{Decimal, dec};

use self::flow::Flow;
use super::aws::{Flows, Processor, Rates};
use super::bill::Bill;
use super::deployed::{BALANCER_ADDRESSES, BRIDGE_ALARMS, GB_PER_PROCESSOR, LOG_DAYS, SECRETS, STREAM_HOURS};
use super::limits::{SECRET_SECONDS, SECRET_VERSIONS, UDP_HEADS, UDP_IDLE};
use super::load::{HOURS, Load, SECONDS};
use super::measurement::Measurement;
use super::money::{measured, whole};
use crate::Problem;
use crate::spec::Arrival;

/// How Sigfox calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callbacks {
    /// For each uplink.
    Single,
    /// Each second for each device type, with all that has come.
    Batch,
}

/// How the tables are paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Database {
    /// By request
    OnDemand,
    /// By the hour, for a capacity
    Provisioned,
}

/// How our design is set up.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// How Sigfox calls.
    pub callbacks: Callbacks,
    /// How the tables are paid for.
    pub database: Database,
    /// Part of a provisioned capacity that is used.
    pub utilisation: Decimal,
    /// Days for which raw uplinks are kept.
    pub raw_days: Decimal,
    /// For how many months the fleet has been sending: pulses are kept for ever.
    pub months: Decimal,
    /// Hours for which the stream keeps records, up to a week.
    pub stream_hours: u32,
    /// Whether the tables can be set back to any moment.
    pub point_in_time: bool,
    /// What functions and tasks run on.
    pub processor: Processor,
    /// When in the hour meters send, which decides on shards and tasks.
    pub arrival: Arrival,
    /// By what functions' measured time is multiplied.
    pub slower: Decimal,
    /// Part of the uplinks that comes twice, since an acknowledgement was lost or a call took too long.
    pub repeats: Decimal,
    /// How Lambda gathers messages for an invocation.
    pub batching: Batching,
    /// Different metrics; the measured number if it is not given.
    pub metrics: Option<Decimal>,
}

/// How Lambda gathers messages for an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Batching {
    /// As measured
    Measured,
    /// By the template's windows, each of Lambda's pollers by itself
    Template,
}

/// A month of it.
///
/// # Errors
/// [`Problem::Wrong`] if a price is missing.
pub fn bill(name: &str, setup: &Setup, load: &Load, measured: &Measurement, aws: &Rates) -> Result<Bill, Problem> {
    let sent = &load.repeated(setup.repeats);
    let flow = Flow::of(setup, sent, measured);
    let bill = Bill::new(name, &aws.prices.currency, load.devices)
        .with("API Gateway", aws.api(flow.calls)?)
        .with("Lambda", aws.lambda(flow.invocations(), flow.gb_seconds(), setup.processor)?)
        .with("SQS", aws.sqs(flow.requests)?)
        .with("Kinesis", aws.kinesis(flow.shards, flow.records)? + kept(setup, &flow, aws)?);
    let bill = with_bridge(bill, setup, sent, measured, &flow, aws)?;
    let bill = bill
        .with("CloudWatch", watching(setup, sent, measured, &flow, aws)?)
        .with("Secrets Manager", secrets(&flow, aws)?)
        .with("Data transfer", transfer(sent, measured, &flow, aws)?);
    tables::with_tables(bill, setup, load, measured, aws)
}

/// What the stream keeps for over a day.
fn kept(setup: &Setup, flow: &Flow, aws: &Rates) -> Result<Decimal, Problem> {
    if setup.stream_hours > STREAM_HOURS { aws.kinesis_retention(flow.shards) } else { Ok(Decimal::ZERO) }
}

/// Load balancer, tasks and addresses: none without NB-IoT.
fn with_bridge(
    bill: Bill,
    setup: &Setup,
    load: &Load,
    measured: &Measurement,
    flow: &Flow,
    aws: &Rates,
) -> Result<Bill, Problem> {
    if flow.tasks.is_zero() {
        return Ok(bill);
    }
    let rate = load.nbiot(load.second());
    let udp = Flows { new: rate, open_seconds: UDP_IDLE, bytes: rate * exchange(measured) };
    let memory = flow.task_size * GB_PER_PROCESSOR;
    Ok(bill
        .with("NLB", aws.balancer(udp, None)?)
        .with("Fargate", aws.fargate(flow.tasks, flow.task_size, memory, setup.processor)?)
        .with("Public IPv4", aws.addresses(BALANCER_ADDRESSES + flow.tasks)?))
}

/// Bytes of a datagram and its acknowledgement, with their heads.
fn exchange(of: &Measurement) -> Decimal {
    measured(of.bridge.datagram_bytes) + measured(of.bridge.acknowledgement_bytes) + dec!(2) * UDP_HEADS
}

/// Metrics, alarms and logs.
fn watching(setup: &Setup, load: &Load, of: &Measurement, flow: &Flow, aws: &Rates) -> Result<Decimal, Problem> {
    let metrics = setup.metrics.unwrap_or_else(|| of.metrics.into());
    let alarms = if load.nbiot(load.month()).is_zero() { Decimal::ZERO } else { BRIDGE_ALARMS };
    let logs = flow.log_bytes + flow.tasks * HOURS * dec!(60) * measured(of.bridge.log_bytes_per_minute);
    let kept = logs * LOG_DAYS / tables::MONTH_DAYS;
    Ok(aws.metrics(metrics)? + aws.alarms(alarms)? + aws.logs(logs)? + aws.logs_kept(kept)?)
}

/// The callback's secret is read anew every five minutes by each instance of its function.
fn secrets(flow: &Flow, aws: &Rates) -> Result<Decimal, Problem> {
    let callback = &flow.functions[0];
    let instances = whole(callback.invocations * callback.milliseconds / dec!(1000) / SECONDS);
    aws.secrets(SECRETS, instances * SECRET_VERSIONS * SECONDS / SECRET_SECONDS)
}

/// Acknowledgements and answers to the internet; half of the datagrams meet a task in the other zone.
fn transfer(load: &Load, of: &Measurement, flow: &Flow, aws: &Rates) -> Result<Decimal, Problem> {
    let datagrams = load.nbiot(load.month());
    let acknowledgements = datagrams * (measured(of.bridge.acknowledgement_bytes) + UDP_HEADS);
    let answers = flow.calls * measured(of.callbacks.answer_bytes);
    aws.transfer(acknowledgements + answers, datagrams * exchange(of) / dec!(2))
}
