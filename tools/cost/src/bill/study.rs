//! The designs of the study: an engineering study of 2020 that built this pipeline twice, on AWS (its tables 4.2 to 4.5) and
//! on rented machines (5.2 and 5.3), for meters that report once an hour.
//!
//! Its formulas were derived from its tables. `docs/cost.md` lists the omitted costs; [`Accounting::Everything`] adds them.

use rust_decimal::{Decimal, dec};

use super::monthly::Bill;
use crate::Error;
use crate::aws::{Flows, Processor, Rates};
use crate::load::Load;
use crate::money::whole;
use crate::prices::{FreeTiers, Prices};

/// A design of the study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Design {
    /// Table 4.2: Sigfox through API Gateway and a function, NB-IoT through containers, SQS.
    Variant1,
    /// Table 4.3: both networks through containers.
    Variant2,
    /// Table 4.4: Kinesis instead of SQS.
    Kinesis,
    /// Table 4.5: with batches of ten.
    Batches,
    /// Table 5.2: rented machines.
    Rented,
    /// Table 5.3: rented machines with paid monitoring.
    Monitored,
}

/// How a design's cost is calculated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accounting {
    /// At the study's prices, with its omissions.
    Printed,
    /// The same at today's prices, with functions billed by the millisecond.
    Today,
    /// At today's prices, with everything that AWS bills for the same design.
    Everything,
}

impl Design {
    /// All designs, in the order of the study's tables.
    pub const ALL: [Self; 6] =
        [Self::Variant1, Self::Variant2, Self::Kinesis, Self::Batches, Self::Rented, Self::Monitored];

    /// Number of the design's table.
    pub fn table(self) -> &'static str {
        match self {
            Self::Variant1 => "4.2",
            Self::Variant2 => "4.3",
            Self::Kinesis => "4.4",
            Self::Batches => "4.5",
            Self::Rented => "5.2",
            Self::Monitored => "5.3",
        }
    }

    /// Short description.
    pub fn title(self) -> &'static str {
        match self {
            Self::Variant1 => "API Gateway and containers, SQS",
            Self::Variant2 => "containers, SQS",
            Self::Kinesis => "containers, Kinesis",
            Self::Batches => "containers, Kinesis, batches of ten",
            Self::Rented => "rented machines",
            Self::Monitored => "rented machines, monitored",
        }
    }

    /// Calculates the monthly bill.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a price is missing.
    pub fn bill(self, accounting: Accounting, load: &Load, prices: &Prices) -> Result<Bill, Error> {
        let name = match accounting {
            Accounting::Printed => format!("study-{}", self.table()),
            Accounting::Today => format!("study-{}-today", self.table()),
            Accounting::Everything => format!("study-{}-corrected", self.table()),
        };
        match self {
            _ if self.is_rented() => rented(self, &name, load),
            _ if accounting == Accounting::Everything => everything(self, &name, load, prices),
            _ => as_the_study(self, accounting, &name, load, prices),
        }
    }

    /// True if the design is of rented machines, whose cost the study gives in EUR.
    pub fn is_rented(self) -> bool {
        matches!(self, Self::Rented | Self::Monitored)
    }

    fn by_api(self) -> bool {
        self == Self::Variant1
    }

    fn by_queue(self) -> bool {
        matches!(self, Self::Variant1 | Self::Variant2)
    }

    /// Monthly invocations of two stages, and of the function behind the API if there is one.
    ///
    /// The study's table of batches fits 1.1 invocations a message, so one stage is not batched; with both batched it is 0.2.
    fn invocations(self, accounting: Accounting, load: &Load) -> Decimal {
        let stages = match (self, accounting) {
            (Self::Batches, Accounting::Everything) => dec!(0.2),
            (Self::Batches, _) => dec!(1.1),
            _ => dec!(2),
        };
        let door = if self.by_api() { load.sigfox(load.month()) } else { Decimal::ZERO };
        load.month() * stages + door
    }
}

/// Bytes of an HTTP or UDP message, as the study assumes.
const MESSAGE: Decimal = dec!(750);

/// GB-seconds of an invocation of 150 ms with 128 MB; in 2020 AWS billed 200 ms.
const GB_SECONDS: Decimal = dec!(0.01875);
const GB_SECONDS_ROUNDED: Decimal = dec!(0.025);

fn as_the_study(
    design: Design,
    accounting: Accounting,
    name: &str,
    load: &Load,
    prices: &Prices,
) -> Result<Bill, Error> {
    let aws = Rates { prices, free: FreeTiers::of(&["Lambda", "API Gateway"]) };
    let printed = accounting == Accounting::Printed;
    let (messages, bill) = (load.month(), Bill::new(name, &prices.currency, load.devices));
    let bill = if design.by_queue() {
        bill.with("SQS", aws.sqs(dec!(2) * messages)?)
    } else {
        // The study omits the shard at 1,000 devices. Otherwise it counts one shard for all queues, fully used.
        let forgotten = printed && load.devices <= 1000;
        let shards = if forgotten { Decimal::ZERO } else { whole(dec!(2) * load.second() / dec!(1000)).max(dec!(1)) };
        bill.with("Kinesis", aws.kinesis(shards, dec!(2) * messages)?)
    };
    let through = if design.by_api() { load.nbiot(load.hour()) } else { load.hour() };
    let invocations = design.invocations(accounting, load);
    let gb_seconds = invocations * if printed { GB_SECONDS_ROUNDED } else { GB_SECONDS };
    let bill = bill
        .with("NLB", aws.balancer_units(through * MESSAGE / dec!(1_000_000_000))?)
        .with("Lambda", aws.lambda(invocations, gb_seconds, Processor::X86)?);
    let bill = if design.by_api() { bill.with("API Gateway", aws.api(load.sigfox(messages))?) } else { bill };
    Ok(bill.with("EC2", aws.ec2(dec!(3))?))
}

/// UDP flows of NB-IoT: a meter sends once an hour, so each datagram is a new flow, which stays open for two minutes.
pub(super) fn datagrams(load: &Load) -> Flows {
    let rate = load.nbiot(load.second());
    Flows { new: rate, open_seconds: dec!(120), bytes: rate * dec!(68) }
}

/// Connections of Sigfox callbacks through the load balancer: 1,150 bytes each, with TLS and all headers.
pub(super) fn connections(load: &Load) -> Flows {
    let rate = load.sigfox(load.second());
    Flows { new: rate, open_seconds: dec!(10), bytes: rate * dec!(1150) }
}

/// Monthly requests of Lambda's five pollers to an empty queue, 20 seconds each.
pub(super) const IDLE_POLLS: Decimal = dec!(657_000);

/// Bytes of the three log lines that Lambda itself writes for an invocation.
const PLATFORM_LOG: Decimal = dec!(350);

fn everything(design: Design, name: &str, load: &Load, prices: &Prices) -> Result<Bill, Error> {
    let free = FreeTiers::of(&["Lambda", "SQS", "CloudWatch Logs"]);
    let aws = Rates { prices, free };
    let (messages, bill) = (load.month(), Bill::new(name, &prices.currency, load.devices));
    let bill = if design.by_queue() {
        // Each message is sent, received and deleted twice; Lambda polls four queues.
        bill.with("SQS", aws.sqs(dec!(6) * messages + dec!(4) * IDLE_POLLS)?)
    } else {
        // At least one shard for each hop, used to at most 70 percent.
        let shards = dec!(2) * whole(load.second() / dec!(1000) / dec!(0.7)).max(dec!(1));
        bill.with("Kinesis", aws.kinesis(shards, dec!(2) * messages)?)
    };
    let tcp = (!design.by_api()).then(|| connections(load));
    let invocations = design.invocations(Accounting::Everything, load);
    let bill = bill
        .with("NLB", aws.balancer(datagrams(load), tcp)?)
        .with("Lambda", aws.lambda(invocations, invocations * GB_SECONDS, Processor::X86)?);
    let bill = if design.by_api() { bill.with("API Gateway", aws.api(load.sigfox(messages))?) } else { bill };
    // The study's three machines were 8 percent busy at 180,000 devices; here none is above 70 percent.
    let through = if design.by_api() { load.nbiot(load.hour()) } else { load.hour() };
    let busy = through / dec!(180_000) * dec!(0.08) * dec!(3) / dec!(0.7);
    let machines = whole(busy).max(dec!(3));
    let database = Rates { prices, free: FreeTiers::of(&[]) }.writes_on_demand(dec!(2) * messages)?;
    Ok(bill
        .with("EC2", aws.ec2(machines)?)
        .with("Public IPv4", aws.addresses(machines + dec!(3))?)
        .with("CloudWatch Logs", aws.logs(invocations * PLATFORM_LOG)?)
        .with_database("Database writes", database))
}

/// Messages an hour that the study tested with its small machines, and with its larger ones, after the small ones had lost
/// half of 3.6 million. Between the two only the larger ones are known to suffice; above nothing is known.
const SMALL_UP_TO: Decimal = dec!(360_000);
/// See [`SMALL_UP_TO`].
const LARGE_UP_TO: Decimal = dec!(3_600_000);

fn rented(design: Design, name: &str, load: &Load) -> Result<Bill, Error> {
    let prices = Prices::rented()?;
    let of = |id, number| prices.cost(id, number, &FreeTiers::Ever);
    let bill = Bill::new(name, &prices.currency, load.devices);
    let machine = match load.hour() {
        few if few <= SMALL_UP_TO => "machine-small-month",
        many if many <= LARGE_UP_TO => "machine-large-month",
        _ => return Ok(bill),
    };
    let bill = bill.with("Machines", of(machine, dec!(6))?).with("Everything else", of("rest-month", dec!(1))?);
    Ok(if design == Design::Monitored { bill.with("Monitoring", of("monitoring-month", dec!(6))?) } else { bill })
}
