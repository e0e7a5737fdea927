//! Everything that a fleet needs, and how the burst of an hour drains with it.
//!
//! A burst is taken in at the door as it comes: by the bridge and the stream, or by the callback and its queue. What is behind
//! needs no more than the hour's average, with something to spare: the tables' capacity decides how long the burst takes.
//! Nothing holds the functions to it. What a provisioned table refuses they try again until their time is up, and are billed
//! for it.

use rust_decimal::{Decimal, dec};

use super::Options;
use super::capacity::{self, Bridge, Inflow, throughput};
use crate::Problem;
use crate::cost::deployed::QUEUE_BATCH;
use crate::cost::limits::{
    ACCOUNT_BURST, ACCOUNT_CALLS, BRIDGE_PATIENCE, CALLBACK_BYTES, MESSAGE_BYTES, QUERY_UPLINKS, TABLE_WRITES,
};
use crate::cost::load::Load;
use crate::cost::measurement::Measurement;
use crate::cost::money::{measured, whole};
use crate::cost::ours::tables::write_capacity;
use crate::cost::ours::{Callbacks, Database};
use crate::spec::Arrival;

/// By how much more is allowed than is reckoned with: callbacks are repeated, and so are messages that a table or a queue
/// refused.
const ROOM: Decimal = dec!(2);

/// What a fleet needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Needs {
    /// Uplinks a second on average, and in the fastest second.
    pub average: Decimal,
    /// See `average`.
    pub peak: Decimal,
    /// Of the fastest second, datagrams.
    pub datagrams: Decimal,
    /// Of the fastest second, callbacks.
    pub callbacks: Decimal,
    /// Tasks of the bridge.
    pub bridge: Bridge,
    /// Part of their processors that the fastest second takes.
    pub busy: Decimal,
    /// `StreamShards`.
    pub shards: u32,
    /// Bytes and records a second that the stream gets in the fastest second.
    pub stream_bytes: Decimal,
    /// See `stream_bytes`.
    pub stream_records: Decimal,
    /// `TableWriteCapacity`; units that the tables take each if they are paid by request.
    pub writes: Decimal,
    /// `MaximumConcurrency`.
    pub concurrency: u32,
    /// `ThrottleRate` and `ThrottleBurst`.
    pub throttle: (Decimal, Decimal),
    /// How an hour's burst drains.
    pub drain: Drain,
    /// What one has to know, or to ask AWS for.
    pub notes: Vec<String>,
}

/// How an hour's uplinks drain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drain {
    /// Uplinks of an hour.
    pub uplinks: Decimal,
    /// Seconds in which they come.
    pub comes: Decimal,
    /// Uplinks a second that tables and functions take.
    pub rate: Decimal,
    /// Seconds from the first to when the last is a pulse.
    pub takes: Decimal,
    /// The most that waits.
    pub backlog: Decimal,
}

impl Needs {
    /// Of a fleet.
    ///
    /// # Errors
    /// [`Problem::Wrong`] if there is no such capacity.
    pub fn of(options: &Options, of: &Measurement) -> Result<Self, Problem> {
        let load = options.load();
        let (average, arrival) = (load.second(), options.sending.arrival);
        let peak = capacity::peak(average, arrival);
        let datagrams = load.nbiot(peak);
        let bridge = capacity::bridge(datagrams, arrival, of);
        let in_a_record = capacity::in_a_record(datagrams / Decimal::from(bridge.tasks), of);
        let stream_records = datagrams / in_a_record;
        let inflow = Inflow { uplinks: datagrams, records: stream_records, average: load.nbiot(average) };
        let shards = capacity::shards(inflow, of, options.slower);
        let writes = match options.database {
            Database::Provisioned => write_capacity(average, of, options.utilisation),
            Database::OnDemand => TABLE_WRITES,
        };
        let callbacks = callbacks(options.callbacks(), &load, peak);
        let units = measured(of.tables.raw_units).max(measured(of.tables.pulse_units));
        let slowest = slowest(of, options.slower);
        let concurrency = concurrency(writes / units, slowest)?;
        let queues = slowest * Decimal::from(concurrency);
        let stream = capacity::behind_a_shard(of, options.slower) * Decimal::from(shards);
        let rate = behind(&load, writes / units, queues, stream);
        let mut needs = Self {
            average,
            peak,
            datagrams,
            callbacks,
            bridge,
            busy: datagrams * capacity::processor_seconds(of) / (Decimal::from(bridge.tasks) * bridge.processors()),
            shards,
            stream_bytes: datagrams * capacity::bytes_in_a_record(of),
            stream_records,
            writes,
            concurrency,
            throttle: throttle(callbacks),
            drain: Drain::of(load.hour(), arrival, rate),
            notes: Vec::new(),
        };
        needs.notes = needs.notes(options);
        needs.notes.extend(too_long(options, load.sigfox(peak), of));
        needs.notes.extend(not_in_a_query(options, load.sigfox(peak)));
        Ok(needs)
    }

    fn notes(&self, options: &Options) -> Vec<String> {
        let mut notes = Vec::new();
        if self.callbacks > ACCOUNT_CALLS {
            notes.push(format!(
                "{} callbacks a second are more than the {ACCOUNT_CALLS} that an account has: use batch callbacks, or ask AWS",
                whole(self.callbacks)
            ));
        }
        if self.throttle.1 > ACCOUNT_BURST {
            notes.push(format!(
                "an account takes {ACCOUNT_BURST} calls at once unless AWS raises that: ThrottleBurst is more"
            ));
        }
        if self.drain.rate < self.average {
            notes.push(
                "the tables and functions take less than comes on average: the backlog grows for ever".to_owned(),
            );
        } else if self.drain.takes > Decimal::from(options.give_up_seconds()) {
            notes.push(
                "a burst takes longer than the stream is given (StreamGiveUpSeconds): raise the capacity".to_owned(),
            );
        }
        if options.database == Database::Provisioned && self.writes > TABLE_WRITES {
            notes.push(format!(
                "an account may give a table {TABLE_WRITES} writes a second unless AWS raises that: TableWriteCapacity is more"
            ));
        }
        if options.database == Database::OnDemand {
            notes.push(format!(
                "paid by request a table takes up to {TABLE_WRITES} writes a second, but at once only twice its former peak \
                 (4,000 if it is new): what is throttled comes again"
            ));
        }
        if options.sending.arrival == Arrival::TopOfHour {
            notes.push(format!(
                "what the stream does not take within {BRIDGE_PATIENCE} s is not acknowledged, and the meters send it again"
            ));
        }
        notes
    }
}

impl Drain {
    fn of(uplinks: Decimal, arrival: Arrival, rate: Decimal) -> Self {
        let comes = match arrival {
            Arrival::Uniform | Arrival::Jitter => dec!(3600),
            Arrival::TopOfHour => dec!(60),
        };
        let takes = (uplinks / rate).max(comes);
        let backlog = (uplinks - rate * comes).max(Decimal::ZERO);
        Self { uplinks, comes, rate, takes, backlog }
    }
}

/// Callbacks of the fastest second.
fn callbacks(callbacks: Callbacks, load: &Load, peak: Decimal) -> Decimal {
    let uplinks = load.sigfox(peak);
    match callbacks {
        Callbacks::Single => uplinks,
        Callbacks::Batch => uplinks.min(load.device_types.into()),
    }
}

/// What to do if the batch of the fastest second is longer than the callback takes.
fn too_long(options: &Options, uplinks: Decimal, of: &Measurement) -> Option<String> {
    let types = whole(uplinks * measured(of.callbacks.line_bytes) / CALLBACK_BYTES);
    let long = options.callbacks() == Callbacks::Batch && types > options.sending.device_types.into();
    long.then(|| {
        format!(
            "{} uplinks of Sigfox in a second are more than fit into {} batches of 256 KiB, and a longer one is answered 413: \
             spread the devices over {types} device types or more",
            whole(uplinks),
            options.sending.device_types
        )
    })
}

/// What a batch depends on that would not fit into a URL.
fn not_in_a_query(options: &Options, uplinks: Decimal) -> Option<String> {
    let types = whole(uplinks / QUERY_UPLINKS);
    let long = options.callbacks() == Callbacks::Batch && types > options.sending.device_types.into();
    long.then(|| {
        format!(
            "the lines of a batch are taken to come in the body, of which the function takes 256 KiB; a query string would hold \
             some {QUERY_UPLINKS} uplinks (API Gateway takes 10,240 bytes of request line and headers), and the devices would \
             have to be spread over {types} device types"
        )
    })
}

/// Callbacks a second and at once, with room for repetitions; no less than a hundred, so that a small fleet may grow.
fn throttle(callbacks: Decimal) -> (Decimal, Decimal) {
    let rate = whole(callbacks * ROOM).max(dec!(100));
    (rate, rate * ROOM)
}

/// Uplinks of a full batch of messages.
fn full_batch(bytes: f64) -> Decimal {
    QUEUE_BATCH * (MESSAGE_BYTES / measured(bytes)).floor().max(Decimal::ONE)
}

/// What an instance of the slowest stage behind a queue takes.
fn slowest(of: &Measurement, slower: Decimal) -> Decimal {
    let (f, q) = (&of.functions, &of.queues);
    let stages = [(&f.raw_sigfox, &q.raw_sigfox), (&f.pulse_sigfox, &q.pulse_sigfox), (&f.pulse_nbiot, &q.pulse_nbiot)];
    let each = stages.map(|(function, queue)| throughput(function, full_batch(queue.uplink_bytes), slower));
    each.into_iter().min().unwrap_or(Decimal::ONE)
}

/// Invocations at once for each queue: enough to fill a table's capacity, and at least two, which is the least that AWS has.
fn concurrency(writes: Decimal, slowest: Decimal) -> Result<u32, Problem> {
    let needed = whole(writes * ROOM / slowest).max(dec!(2));
    u32::try_from(needed).ok().filter(|n| *n <= 1000).ok_or_else(|| {
        Problem::Wrong(format!(
            "{needed} invocations at once for a queue are more than the 1000 that AWS has; use several stacks"
        ))
    })
}

/// Uplinks of both networks a second, in the mix of the fleet, that tables and functions take: neither network gets more than its
/// functions take, nor both together more than the tables.
fn behind(load: &Load, writes: Decimal, queues: Decimal, stream: Decimal) -> Decimal {
    let sigfox = queues.checked_div(load.sigfox_share);
    let nbiot = queues.min(stream).checked_div(Decimal::ONE - load.sigfox_share);
    [sigfox, nbiot].into_iter().flatten().fold(writes, Decimal::min)
}
