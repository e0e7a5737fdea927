//! Monthly invocations of each function, and the traffic of queues and stream.

use rust_decimal::{Decimal, dec};

use super::setup::{Batching, Callbacks, Setup, Store};
use crate::aws::BatchSize;
use crate::capacity::{self, Inflow};
use crate::limits::{
    BASE64, CALL_MESSAGES, CALLBACK_BYTES, EVENT_BYTES, EVENT_OVERHEAD, MESSAGE_BYTES, POLL_SECONDS, POLLERS,
};
use crate::load::{Load, SECONDS};
use crate::measurement::{Function, Measurement, Queue};
use crate::money::{measured, whole};
use crate::template::{ARCHIVE_BATCH, ARCHIVE_WINDOW, QUEUE_BATCH, QUEUE_WINDOW, STREAM_BATCH, STREAM_WINDOW};

/// The billed quantities of a month's uplinks.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Calls that API Gateway bills.
    pub calls: Decimal,
    /// Invocations by function, in the order in which an uplink passes them; the callback is first.
    pub functions: Vec<Runs>,
    /// Requests that SQS bills, by queue.
    pub queues: Vec<(&'static str, Decimal)>,
    /// Records that Kinesis bills.
    pub records: Decimal,
    /// Shards.
    pub shards: Decimal,
    /// Tasks of the bridge; 0 without NB-IoT.
    pub tasks: Decimal,
    /// Processors of each task.
    pub task_size: Decimal,
    /// Bytes of the functions' logs.
    pub log_bytes: Decimal,
}

/// A function's monthly invocations.
#[derive(Debug, Clone)]
pub struct Runs {
    /// Name of the function in the template.
    pub name: &'static str,
    /// Number of invocations.
    pub invocations: Decimal,
    /// Uplinks of each invocation.
    pub uplinks: Decimal,
    /// Billed milliseconds of each invocation.
    pub milliseconds: Decimal,
    /// GB of memory.
    pub gb: Decimal,
}

/// A function behind a queue.
struct Stage<'a> {
    /// Names of the function and of the queue.
    name: (&'static str, &'static str),
    function: &'a Function,
    queue: &'a Queue,
}

impl Flow {
    /// Calculates the flow of a load.
    pub fn of(setup: &Setup, load: &Load, measured: &Measurement) -> Self {
        let none = Decimal::ZERO;
        let (shards, tasks, task_size) = (Decimal::ONE, none, none);
        let flow = Self {
            calls: none,
            functions: Vec::new(),
            queues: Vec::new(),
            records: none,
            shards,
            tasks,
            task_size,
            log_bytes: none,
        };
        flow.with_sigfox(setup, load, measured).with_nbiot(setup, load, measured)
    }

    /// Requests that SQS bills.
    pub fn requests(&self) -> Decimal {
        self.queues.iter().map(|(_, requests)| requests).sum()
    }

    /// Invocations of the raw stages.
    pub fn raw_invocations(&self) -> Decimal {
        let raw = self.functions.iter().filter(|runs| runs.name.starts_with("raw-"));
        raw.map(|runs| runs.invocations).sum()
    }

    fn with_sigfox(mut self, setup: &Setup, load: &Load, of: &Measurement) -> Self {
        let uplinks = load.sigfox(load.month());
        let (f, q) = (&of.functions, &of.queues);
        let calls = calls(setup, load, of);
        let each = uplinks.checked_div(calls).unwrap_or_default();
        self.calls = calls;
        self.run("sigfox-callback", &f.sigfox_callback, setup, calls, each);
        let name = ("raw-sigfox", "ProcessRawDataSigfox");
        let raw = Stage { name, function: &f.raw_sigfox, queue: &q.raw_sigfox };
        let (batches, each) = self.behind(&raw, setup, uplinks, calls * messages(each, raw.queue));
        let name = ("pulse-sigfox", "ProcessPulseDataSigfox");
        let pulse = Stage { name, function: &f.pulse_sigfox, queue: &q.pulse_sigfox };
        if setup.store.has_pulses() {
            self.behind(&pulse, setup, uplinks, batches * messages(each, pulse.queue));
        }
        self
    }

    fn with_nbiot(mut self, setup: &Setup, load: &Load, of: &Measurement) -> Self {
        let (uplinks, rate) = (load.nbiot(load.month()), load.nbiot(load.second()));
        let name = ("pulse-nbiot", "ProcessPulseDataNbiot");
        let pulse = Stage { name, function: &of.functions.pulse_nbiot, queue: &of.queues.pulse_nbiot };
        if uplinks.is_zero() {
            if setup.store.has_pulses() {
                self.behind(&pulse, setup, uplinks, Decimal::ZERO);
            }
            return self;
        }
        let peak = capacity::peak(rate, setup.arrival);
        let bridge = capacity::bridge(peak, setup.arrival, of);
        (self.tasks, self.task_size) = (bridge.tasks.into(), bridge.processors());
        let in_a_record = capacity::in_a_record(rate / self.tasks, of);
        self.records = uplinks / in_a_record;
        let records = peak / capacity::in_a_record(peak / self.tasks, of);
        self.shards = capacity::shards(Inflow { uplinks: peak, records, average: rate }, of, setup.slower).into();
        let record = EVENT_OVERHEAD + in_a_record * capacity::bytes_in_a_record(of) * BASE64;
        let (records, window) = batch(setup, (STREAM_BATCH, STREAM_WINDOW), record);
        let most = in_a_record * records;
        let held = match batching(setup) {
            Batching::Measured => batch_size(&of.functions.raw_nbiot, most).at(rate / self.shards),
            Batching::Template => (rate / self.shards * window).min(most),
        };
        let held = held.max(in_a_record);
        self.run("raw-nbiot", &of.functions.raw_nbiot, setup, uplinks / held, held);
        if setup.store.has_pulses() {
            self.behind(&pulse, setup, uplinks, uplinks / held * messages(held, pulse.queue));
        }
        self
    }

    /// Adds `invocations` of a function with `uplinks` each.
    fn run(&mut self, name: &'static str, function: &Function, setup: &Setup, invocations: Decimal, uplinks: Decimal) {
        let milliseconds = measured(function.fixed_ms) + measured(function.per_uplink_ms) * uplinks;
        self.log_bytes += invocations * measured(function.log_bytes);
        let gb = measured(function.memory_mb) / dec!(1024);
        self.functions.push(Runs { name, invocations, uplinks, milliseconds: milliseconds * setup.slower, gb });
    }

    /// Adds a queue with `messages` of `uplinks` in total, and the function behind it. Returns that function's monthly
    /// invocations, and the uplinks of each.
    fn behind(&mut self, stage: &Stage, setup: &Setup, uplinks: Decimal, messages: Decimal) -> (Decimal, Decimal) {
        let (function, queue) = stage.name;
        if messages.is_zero() {
            self.queues.push((queue, POLLERS * SECONDS / POLL_SECONDS));
            return (Decimal::ZERO, Decimal::ZERO);
        }
        let (in_a_message, rate) = (uplinks / messages, uplinks / SECONDS);
        let message = EVENT_OVERHEAD + in_a_message * measured(stage.queue.uplink_bytes);
        let full = if setup.store.has_archive() && function == "raw-sigfox" { ARCHIVE_BATCH } else { QUEUE_BATCH };
        let (held_messages, window) = batch(setup, (full, QUEUE_WINDOW), message);
        let most = in_a_message * held_messages;
        let held = match batching(setup) {
            Batching::Measured => batch_size(stage.function, most).at(rate),
            Batching::Template => (rate * window / POLLERS).min(most),
        };
        let held = held.max(in_a_message);
        let invocations = uplinks / held;
        let traffic = Traffic { uplinks, messages, invocations };
        let requests = messages + receives(setup.store, stage.queue, traffic) + messages / in_a_call(traffic);
        self.queues.push((queue, requests));
        self.run(function, stage.function, setup, invocations, held);
        (invocations, held)
    }
}

/// Maximum messages or records of a batch, of which an event holds those of `bytes` each, and its window in seconds. `short`
/// are those with a table of pulses.
fn batch(setup: &Setup, short: (Decimal, Decimal), bytes: Decimal) -> (Decimal, Decimal) {
    let (batch, window) = if setup.store == Store::Archive { (ARCHIVE_BATCH, ARCHIVE_WINDOW) } else { short };
    if batch == ARCHIVE_BATCH { (batch.min((EVENT_BYTES / bytes).floor()).max(Decimal::ONE), window) } else { short }
}

/// Batches were measured with the windows of a table of pulses.
fn batching(setup: &Setup) -> Batching {
    if setup.store == Store::Archive { Batching::Template } else { setup.batching }
}

/// Monthly callbacks, each with at least one uplink. A batch above the maximum length counts as several, which takes as many
/// device types.
fn calls(setup: &Setup, load: &Load, of: &Measurement) -> Decimal {
    let uplinks = load.sigfox(load.month());
    match setup.callbacks {
        Callbacks::Single => uplinks,
        Callbacks::Batch => {
            // A repeated batch is a call of its own.
            let batches = load.batches() * (Decimal::ONE + setup.repeats);
            let each = uplinks.checked_div(batches).unwrap_or_default();
            (batches * whole(each * measured(of.callbacks.line_bytes) / CALLBACK_BYTES).max(Decimal::ONE)).min(uplinks)
        }
    }
}

/// Number of messages that hold `uplinks` packed together.
fn messages(uplinks: Decimal, queue: &Queue) -> Decimal {
    let in_one = (MESSAGE_BYTES / measured(queue.uplink_bytes)).floor().max(Decimal::ONE);
    whole(uplinks / in_one)
}

/// Billed requests that receive messages: one for each 64 KiB of each call, and at least those of pollers at an empty queue.
fn receives(store: Store, queue: &Queue, traffic: Traffic) -> Decimal {
    let in_one = match store {
        // A batch of a minute takes many calls: a poller asks again as soon as it has an answer, at least every second.
        Store::Archive => in_a_call(traffic).min((traffic.messages / SECONDS / POLLERS).max(Decimal::ONE)),
        Store::Pulses | Store::Tables => in_a_call(traffic),
    };
    let bytes = in_one * traffic.uplinks / traffic.messages * measured(queue.uplink_bytes);
    let requests = traffic.messages / in_one * whole(bytes / MESSAGE_BYTES);
    requests.max(POLLERS * SECONDS / POLL_SECONDS)
}

/// Messages of a call that receives or deletes: those of an invocation, at most ten.
fn in_a_call(traffic: Traffic) -> Decimal {
    (traffic.messages / traffic.invocations).clamp(Decimal::ONE, CALL_MESSAGES)
}

/// Monthly traffic of a queue.
#[derive(Debug, Clone, Copy)]
struct Traffic {
    uplinks: Decimal,
    messages: Decimal,
    invocations: Decimal,
}

fn batch_size(function: &Function, max: Decimal) -> BatchSize {
    BatchSize { measured: function.uplinks_per_invocation, rate: function.uplinks_per_second, max }
}
