//! How often each function is invoked in a month, and what passes queues and stream.

use rust_decimal::{Decimal, dec};

use super::{Batching, Callbacks, Setup};
use crate::cost::aws::Gathering;
use crate::cost::deployed::{QUEUE_BATCH, QUEUE_WINDOW, STREAM_BATCH, STREAM_WINDOW};
use crate::cost::limits::{CALL_MESSAGES, CALLBACK_BYTES, MESSAGE_BYTES, POLL_SECONDS, POLLERS};
use crate::cost::load::{Load, SECONDS};
use crate::cost::measurement::{Function, Measurement, Queue};
use crate::cost::money::{measured, whole};
use crate::plan::capacity::{self, Inflow};

/// What a month's uplinks make of everything.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Calls that API Gateway bills.
    pub calls: Decimal,
    /// By function, in the order in which an uplink meets them: the callback's first.
    pub functions: Vec<Runs>,
    /// Requests that SQS bills.
    pub requests: Decimal,
    /// Records that Kinesis bills.
    pub records: Decimal,
    /// Shards.
    pub shards: Decimal,
    /// Tasks of the bridge; none without NB-IoT.
    pub tasks: Decimal,
    /// Processors of each.
    pub task_size: Decimal,
    /// Bytes that the functions log.
    pub log_bytes: Decimal,
}

/// A function's invocations of a month.
#[derive(Debug, Clone)]
pub struct Runs {
    /// What the function is called in the template.
    pub name: &'static str,
    /// How many.
    pub invocations: Decimal,
    /// Uplinks of each.
    pub uplinks: Decimal,
    /// Billed milliseconds of each.
    pub milliseconds: Decimal,
    /// GB of memory.
    pub gb: Decimal,
}

/// A function behind a queue.
struct Stage<'a> {
    name: &'static str,
    function: &'a Function,
    queue: &'a Queue,
}

impl Flow {
    /// Of a load.
    pub fn of(setup: &Setup, load: &Load, measured: &Measurement) -> Self {
        let none = Decimal::ZERO;
        let (shards, tasks, task_size) = (Decimal::ONE, none, none);
        let flow = Self {
            calls: none,
            functions: Vec::new(),
            requests: none,
            records: none,
            shards,
            tasks,
            task_size,
            log_bytes: none,
        };
        flow.with_sigfox(setup, load, measured).with_nbiot(setup, load, measured)
    }

    /// Invocations of all functions.
    pub fn invocations(&self) -> Decimal {
        self.functions.iter().map(|runs| runs.invocations).sum()
    }

    /// Memory and time of all of them.
    pub fn gb_seconds(&self) -> Decimal {
        self.functions.iter().map(|runs| runs.invocations * runs.milliseconds / dec!(1000) * runs.gb).sum()
    }

    fn with_sigfox(mut self, setup: &Setup, load: &Load, of: &Measurement) -> Self {
        let uplinks = load.sigfox(load.month());
        let (f, q) = (&of.functions, &of.queues);
        let calls = calls(setup, load, of);
        let each = uplinks.checked_div(calls).unwrap_or_default();
        self.calls = calls;
        self.run("sigfox-callback", &f.sigfox_callback, setup, calls, each);
        let raw = Stage { name: "raw-sigfox", function: &f.raw_sigfox, queue: &q.raw_sigfox };
        let (batches, each) = self.behind(&raw, setup, uplinks, calls * messages(each, raw.queue));
        let pulse = Stage { name: "pulse-sigfox", function: &f.pulse_sigfox, queue: &q.pulse_sigfox };
        self.behind(&pulse, setup, uplinks, batches * messages(each, pulse.queue));
        self
    }

    fn with_nbiot(mut self, setup: &Setup, load: &Load, of: &Measurement) -> Self {
        let (uplinks, rate) = (load.nbiot(load.month()), load.nbiot(load.second()));
        let pulse = Stage { name: "pulse-nbiot", function: &of.functions.pulse_nbiot, queue: &of.queues.pulse_nbiot };
        if uplinks.is_zero() {
            self.behind(&pulse, setup, uplinks, Decimal::ZERO);
            return self;
        }
        let peak = capacity::peak(rate, setup.arrival);
        let bridge = capacity::bridge(peak, setup.arrival, of);
        (self.tasks, self.task_size) = (bridge.tasks.into(), bridge.processors());
        let in_a_record = capacity::in_a_record(rate / self.tasks, of);
        self.records = uplinks / in_a_record;
        let records = peak / capacity::in_a_record(peak / self.tasks, of);
        self.shards = capacity::shards(Inflow { uplinks: peak, records, average: rate }, of, setup.slower).into();
        let most = in_a_record * STREAM_BATCH;
        let held = match setup.batching {
            Batching::Measured => gathering(&of.functions.raw_nbiot, most).holds(rate / self.shards),
            Batching::Template => (rate / self.shards * STREAM_WINDOW).min(most),
        };
        let held = held.max(in_a_record);
        self.run("raw-nbiot", &of.functions.raw_nbiot, setup, uplinks / held, held);
        self.behind(&pulse, setup, uplinks, uplinks / held * messages(held, pulse.queue));
        self
    }

    /// So many invocations of so many uplinks each.
    fn run(&mut self, name: &'static str, function: &Function, setup: &Setup, invocations: Decimal, uplinks: Decimal) {
        let milliseconds = measured(function.fixed_ms) + measured(function.per_uplink_ms) * uplinks;
        self.log_bytes += invocations * measured(function.log_bytes);
        let gb = measured(function.memory_mb) / dec!(1024);
        self.functions.push(Runs { name, invocations, uplinks, milliseconds: milliseconds * setup.slower, gb });
    }

    /// Uplinks through a queue, in so many messages, and the function behind it. EventDetails how often that is invoked in a month, and
    /// with how many uplinks.
    fn behind(&mut self, stage: &Stage, setup: &Setup, uplinks: Decimal, messages: Decimal) -> (Decimal, Decimal) {
        if messages.is_zero() {
            self.requests += POLLERS * SECONDS / POLL_SECONDS;
            return (Decimal::ZERO, Decimal::ZERO);
        }
        let (in_a_message, rate) = (uplinks / messages, uplinks / SECONDS);
        let most = in_a_message * QUEUE_BATCH;
        let held = match setup.batching {
            Batching::Measured => gathering(stage.function, most).holds(rate),
            Batching::Template => (rate * QUEUE_WINDOW / POLLERS).min(most),
        };
        let held = held.max(in_a_message);
        let invocations = uplinks / held;
        let traffic = Traffic { uplinks, messages, invocations };
        self.requests += messages + receives(stage.queue, traffic) + messages / in_a_call(traffic);
        self.run(stage.name, stage.function, setup, invocations, held);
        (invocations, held)
    }
}

/// Callbacks in a month, of which none is without an uplink. A batch that would be longer than what is taken is several: there
/// have to be as many device types.
fn calls(setup: &Setup, load: &Load, of: &Measurement) -> Decimal {
    let uplinks = load.sigfox(load.month());
    match setup.callbacks {
        Callbacks::Single => uplinks,
        Callbacks::Batch => {
            // A batch comes again as a whole, beside that of its second.
            let batches = load.batches() * (Decimal::ONE + setup.repeats);
            let each = uplinks.checked_div(batches).unwrap_or_default();
            (batches * whole(each * measured(of.callbacks.line_bytes) / CALLBACK_BYTES).max(Decimal::ONE)).min(uplinks)
        }
    }
}

/// Messages that so many uplinks are packed into at once: as few as hold them.
fn messages(uplinks: Decimal, queue: &Queue) -> Decimal {
    let in_one = (MESSAGE_BYTES / measured(queue.uplink_bytes)).floor().max(Decimal::ONE);
    whole(uplinks / in_one)
}

/// Requests that receive messages: each call by 64 KiB of what it brings, and no fewer than pollers make that find nothing.
fn receives(queue: &Queue, traffic: Traffic) -> Decimal {
    let in_one = in_a_call(traffic);
    let bytes = in_one * traffic.uplinks / traffic.messages * measured(queue.uplink_bytes);
    let requests = traffic.messages / in_one * whole(bytes / MESSAGE_BYTES);
    requests.max(POLLERS * SECONDS / POLL_SECONDS)
}

/// Messages of a call that receives or deletes some: as many as an invocation gets, and at most ten.
fn in_a_call(traffic: Traffic) -> Decimal {
    (traffic.messages / traffic.invocations).clamp(Decimal::ONE, CALL_MESSAGES)
}

/// A month of a queue.
#[derive(Debug, Clone, Copy)]
struct Traffic {
    uplinks: Decimal,
    messages: Decimal,
    invocations: Decimal,
}

fn gathering(function: &Function, most: Decimal) -> Gathering {
    Gathering { held: function.uplinks_per_invocation, at: function.uplinks_per_second, most }
}
