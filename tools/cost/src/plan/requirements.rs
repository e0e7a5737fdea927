//! The requirements of a fleet, and how an hour's burst drains with them.
//!
//! The ingress accepts a burst at its own rate: the bridge and the stream, or the callback and its queue. The stages behind
//! it need the hour's average plus a reserve; the capacity of the table of pulses determines how long the burst takes. Nothing
//! limits the functions to that capacity: they retry writes that a provisioned table throttles until their time-out, and AWS
//! bills that time. Without that table the functions alone determine it.

use rust_decimal::{Decimal, dec};

use super::options::Options;
use super::settling::Settling;
use crate::Error;
use crate::bill::pulsegate::setup::{Callbacks, Database, Store};
use crate::bill::pulsegate::tables::{units, write_capacity};
use crate::capacity::{self, Bridge, Inflow, throughput};
use crate::limits::{
    ACCOUNT_BURST, ACCOUNT_CALLS, BRIDGE_TIMEOUT, CALLBACK_BYTES, MESSAGE_BYTES, QUERY_UPLINKS, TABLE_WRITES,
};
use crate::load::{Arrival, Load};
use crate::measurement::Measurement;
use crate::money::{measured, whole};
use crate::template::QUEUE_BATCH;

/// Factor by which limits exceed the calculated rate: callbacks are repeated, and so are messages that a table or a queue
/// throttled.
const RESERVE: Decimal = dec!(2);

/// Seconds in which the functions of an archive process a burst: nothing else limits them.
const BURST_SECONDS: Decimal = dec!(600);

/// The requirements of a fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirements {
    /// Uplinks a second, on average.
    pub average: Decimal,
    /// Uplinks in the busiest second.
    pub peak: Decimal,
    /// Datagrams in the busiest second.
    pub datagrams: Decimal,
    /// Callbacks in the busiest second.
    pub callbacks: Decimal,
    /// Tasks of the bridge.
    pub bridge: Bridge,
    /// Used part of their processors in the busiest second.
    pub busy: Decimal,
    /// `StreamShards`.
    pub shards: u32,
    /// Bytes that the stream receives in the busiest second.
    pub stream_bytes: Decimal,
    /// Records that the stream receives in the busiest second.
    pub stream_records: Decimal,
    /// `TableWriteCapacity`; for a table paid by request, the write units that it accepts. 0 without a table.
    pub writes: Decimal,
    /// `MaximumConcurrency`.
    pub concurrency: u32,
    /// `ThrottleRate` and `ThrottleBurst`.
    pub throttle: (Decimal, Decimal),
    /// How an hour's burst drains.
    pub drain: Drain,
    /// The archive.
    pub settling: Settling,
    /// Remarks: limits to be raised by AWS, and consequences.
    pub notes: Vec<String>,
}

/// How an hour's uplinks drain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drain {
    /// Uplinks of an hour.
    pub uplinks: Decimal,
    /// Seconds in which they arrive.
    pub arrives_in: Decimal,
    /// Uplinks a second that tables and functions process.
    pub rate: Decimal,
    /// Seconds from the first uplink to the last stored pulse.
    pub takes: Decimal,
    /// Maximum number of waiting uplinks.
    pub backlog: Decimal,
}

impl Requirements {
    /// Calculates the requirements.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the fleet needs more than AWS offers.
    pub fn of(options: &Options, of: &Measurement) -> Result<Self, Error> {
        let load = options.load();
        let of = &of.with_archive();
        let (average, arrival) = (load.second(), options.sending.arrival);
        let peak = capacity::peak(average, arrival);
        let datagrams = load.nbiot(peak);
        let bridge = capacity::bridge(datagrams, arrival, of);
        let in_a_record = capacity::in_a_record(datagrams / Decimal::from(bridge.tasks), of);
        let stream_records = datagrams / in_a_record;
        let inflow = Inflow { uplinks: datagrams, records: stream_records, average: load.nbiot(average) };
        let shards = capacity::shards(inflow, of, options.slower);
        let writes = match (options.store, options.database) {
            (Store::Archive, _) => Decimal::ZERO,
            (store, Database::Provisioned) => write_capacity(average, store, of, options.utilisation),
            (_, Database::OnDemand) => TABLE_WRITES,
        };
        let callbacks = callbacks(options.callbacks(), &load, peak);
        let wanted = match options.store {
            Store::Archive => load.sigfox(wanted(&load, arrival)),
            store => writes / units(store, of),
        };
        let slowest = slowest(options.store, of, options.slower);
        let concurrency = concurrency(wanted, slowest)?;
        let queues = slowest * Decimal::from(concurrency);
        let stream = capacity::behind_a_shard(of, options.slower) * Decimal::from(shards);
        let table = options.store.has_pulses().then_some(wanted);
        // Both networks' pulse functions are behind a queue.
        let nbiot = if options.store.has_pulses() { queues.min(stream) } else { stream };
        let rate = behind(&load, table, queues, nbiot);
        let mut requirements = Self {
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
            settling: Settling::of(options, &load, rate, of),
            notes: Vec::new(),
        };
        requirements.notes = requirements.notes(options);
        requirements.notes.extend(requirements.settling.notes(options.devices));
        requirements.notes.extend(too_long(options, load.sigfox(peak), of));
        requirements.notes.extend(not_in_a_query(options, load.sigfox(peak)));
        Ok(requirements)
    }

    fn notes(&self, options: &Options) -> Vec<String> {
        let mut notes = Vec::new();
        if self.callbacks > ACCOUNT_CALLS {
            notes.push(format!(
                "{} callbacks a second exceed an account's quota of {ACCOUNT_CALLS}: use batch callbacks, or ask AWS to raise it",
                whole(self.callbacks)
            ));
        }
        if self.throttle.1 > ACCOUNT_BURST {
            notes.push(format!(
                "ThrottleBurst exceeds an account's quota of {ACCOUNT_BURST} calls at once, unless AWS raises it"
            ));
        }
        if self.drain.rate < self.average {
            notes
                .push("table and functions are slower than the average arrival: the backlog grows for ever".to_owned());
        } else if self.drain.takes > Decimal::from(options.give_up_seconds()) {
            notes.push("a burst takes longer than StreamGiveUpSeconds: raise the capacity".to_owned());
        }
        if options.database == Database::Provisioned && self.writes > TABLE_WRITES {
            notes.push(format!(
                "TableWriteCapacity exceeds an account's quota of {TABLE_WRITES} writes a second of a table, unless AWS raises it"
            ));
        }
        if options.store.has_pulses() && options.database == Database::OnDemand {
            notes.push(format!(
                "a table paid by request accepts up to {TABLE_WRITES} writes a second, but at first only twice its previous peak \
                 (4,000 for a new table); throttled writes are retried"
            ));
        }
        if options.sending.arrival == Arrival::TopOfHour {
            notes.push(format!(
                "datagrams that the stream does not accept within {BRIDGE_TIMEOUT} s are not acknowledged, and the meters send them again"
            ));
        }
        notes
    }
}

impl Drain {
    fn of(uplinks: Decimal, arrival: Arrival, rate: Decimal) -> Self {
        let arrives_in = match arrival {
            Arrival::Uniform | Arrival::Jitter => dec!(3600),
            Arrival::TopOfHour => dec!(60),
        };
        let takes = (uplinks / rate).max(arrives_in);
        let backlog = (uplinks - rate * arrives_in).max(Decimal::ZERO);
        Self { uplinks, arrives_in, rate, takes, backlog }
    }
}

/// Callbacks of the busiest second.
fn callbacks(callbacks: Callbacks, load: &Load, peak: Decimal) -> Decimal {
    let uplinks = load.sigfox(peak);
    match callbacks {
        Callbacks::Single => uplinks,
        Callbacks::Batch => uplinks.min(load.device_types.into()),
    }
}

/// A note if the batch of the busiest second exceeds the maximum length of a callback.
fn too_long(options: &Options, uplinks: Decimal, of: &Measurement) -> Option<String> {
    let types = whole(uplinks * measured(of.callbacks.line_bytes) / CALLBACK_BYTES);
    let long = options.callbacks() == Callbacks::Batch && types > options.sending.device_types.into();
    long.then(|| {
        format!(
            "{} Sigfox uplinks in a second do not fit into {} batches of 256 KiB, and the callback answers 413 to a longer one: \
             spread the devices over {types} device types or more",
            whole(uplinks),
            options.sending.device_types
        )
    })
}

/// A note if the batch of the busiest second would not fit into a URL.
fn not_in_a_query(options: &Options, uplinks: Decimal) -> Option<String> {
    let types = whole(uplinks / QUERY_UPLINKS);
    let long = options.callbacks() == Callbacks::Batch && types > options.sending.device_types.into();
    long.then(|| {
        format!(
            "the plan assumes that batches come in the body, of which the function accepts 256 KiB; a query string holds \
             about {QUERY_UPLINKS} uplinks (API Gateway accepts 10,240 bytes of request line and headers), and the devices would \
             have to be spread over {types} device types"
        )
    })
}

/// Callbacks a second and at once, with a reserve for repetitions; at least a hundred, so that a small fleet can grow.
fn throttle(callbacks: Decimal) -> (Decimal, Decimal) {
    let rate = whole(callbacks * RESERVE).max(dec!(100));
    (rate, rate * RESERVE)
}

/// Uplinks of a full batch of messages.
pub(super) fn full_batch(bytes: f64) -> Decimal {
    QUEUE_BATCH * (MESSAGE_BYTES / measured(bytes)).floor().max(Decimal::ONE)
}

/// Uplinks a second for which the functions behind the queue of an archive are planned, of both networks.
fn wanted(load: &Load, arrival: Arrival) -> Decimal {
    match arrival {
        Arrival::Uniform | Arrival::Jitter => load.second(),
        // The concurrency doubles it.
        Arrival::TopOfHour => load.hour() / BURST_SECONDS / RESERVE,
    }
}

/// Uplinks a second that an instance of the slowest stage behind a queue processes.
fn slowest(store: Store, of: &Measurement, slower: Decimal) -> Decimal {
    let (f, q) = (&of.functions, &of.queues);
    let stages = [(&f.raw_sigfox, &q.raw_sigfox), (&f.pulse_sigfox, &q.pulse_sigfox), (&f.pulse_nbiot, &q.pulse_nbiot)];
    let there = if store.has_pulses() { stages.len() } else { 1 };
    let each =
        stages[..there].iter().map(|(function, queue)| throughput(function, full_batch(queue.uplink_bytes), slower));
    each.min().unwrap_or(Decimal::ONE)
}

/// Concurrent invocations for each queue: twice as many as process `writes` uplinks a second, and at least two, AWS's minimum.
fn concurrency(writes: Decimal, slowest: Decimal) -> Result<u32, Error> {
    let needed = whole(writes * RESERVE / slowest).max(dec!(2));
    u32::try_from(needed).ok().filter(|n| *n <= 1000).ok_or_else(|| {
        Error::Invalid(format!(
            "{needed} concurrent invocations for a queue exceed AWS's limit of 1000; use several stacks"
        ))
    })
}

/// Uplinks a second of both networks, in the fleet's mix, that tables and functions process: each network at most the rate of
/// its functions, both together at most the rate of the table.
fn behind(load: &Load, table: Option<Decimal>, sigfox: Decimal, nbiot: Decimal) -> Decimal {
    let of_sigfox = sigfox.checked_div(load.sigfox_share);
    let of_nbiot = nbiot.checked_div(Decimal::ONE - load.sigfox_share);
    [of_sigfox, of_nbiot, table].into_iter().flatten().min().unwrap_or(nbiot)
}
