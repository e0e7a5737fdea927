//! The bill of this project's own design, as `template.yaml` deploys it: measurements ([`crate::measurement`]) times prices
//! ([`crate::aws`]).
//!
//! # Layout
//!
//! - [`setup`]: the settings that the bill depends on.
//! - [`flow`]: invocations of each function, and the traffic of queues and stream.
//! - [`tables`]: the database.

pub mod flow;
pub mod setup;
pub mod tables;

use rust_decimal::{Decimal, dec};

use self::flow::Flow;
use self::setup::Setup;
use super::monthly::Bill;
use crate::Error;
use crate::aws::{Flows, Rates};
use crate::limits::{SECRET_SECONDS, SECRET_VERSIONS, UDP_HEADS, UDP_IDLE};
use crate::load::{HOURS, Load, SECONDS};
use crate::measurement::Measurement;
use crate::money::{measured, whole};
use crate::template::{BALANCER_ADDRESSES, BRIDGE_ALARMS, GB_PER_PROCESSOR, LOG_DAYS, SECRETS, STREAM_HOURS};

/// Calculates the monthly bill.
///
/// # Errors
/// [`Error::Invalid`] if a price is missing.
pub fn bill(name: &str, setup: &Setup, load: &Load, measured: &Measurement, aws: &Rates) -> Result<Bill, Error> {
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

/// Cost of records that the stream keeps for more than a day.
fn kept(setup: &Setup, flow: &Flow, aws: &Rates) -> Result<Decimal, Error> {
    if setup.stream_hours > STREAM_HOURS { aws.kinesis_retention(flow.shards) } else { Ok(Decimal::ZERO) }
}

/// Adds load balancer, tasks and addresses, unless there is no NB-IoT.
fn with_bridge(
    bill: Bill,
    setup: &Setup,
    load: &Load,
    measured: &Measurement,
    flow: &Flow,
    aws: &Rates,
) -> Result<Bill, Error> {
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

/// Bytes of a datagram and its acknowledgement, with IP and UDP headers.
fn exchange(of: &Measurement) -> Decimal {
    measured(of.bridge.datagram_bytes) + measured(of.bridge.acknowledgement_bytes) + dec!(2) * UDP_HEADS
}

/// Cost of metrics, alarms and logs.
fn watching(setup: &Setup, load: &Load, of: &Measurement, flow: &Flow, aws: &Rates) -> Result<Decimal, Error> {
    let metrics = setup.metrics.unwrap_or_else(|| of.metrics.into());
    let alarms = if load.nbiot(load.month()).is_zero() { Decimal::ZERO } else { BRIDGE_ALARMS };
    let logs = flow.log_bytes + flow.tasks * HOURS * dec!(60) * measured(of.bridge.log_bytes_per_minute);
    let kept = logs * LOG_DAYS / tables::MONTH_DAYS;
    Ok(aws.metrics(metrics)? + aws.alarms(alarms)? + aws.logs(logs)? + aws.logs_kept(kept)?)
}

/// Cost of the secrets. Each instance of the callback's function reads its secret every five minutes.
fn secrets(flow: &Flow, aws: &Rates) -> Result<Decimal, Error> {
    let callback = &flow.functions[0];
    let instances = whole(callback.invocations * callback.milliseconds / dec!(1000) / SECONDS);
    aws.secrets(SECRETS, instances * SECRET_VERSIONS * SECONDS / SECRET_SECONDS)
}

/// Cost of acknowledgements and answers to the internet, and of the half of the datagrams that reaches a task in the other
/// zone.
fn transfer(load: &Load, of: &Measurement, flow: &Flow, aws: &Rates) -> Result<Decimal, Error> {
    let datagrams = load.nbiot(load.month());
    let acknowledgements = datagrams * (measured(of.bridge.acknowledgement_bytes) + UDP_HEADS);
    let answers = flow.calls * measured(of.callbacks.answer_bytes);
    aws.transfer(acknowledgements + answers, datagrams * exchange(of) / dec!(2))
}
