//! The monthly cost of each AWS service, by the quantities that AWS bills. The bill of each design is a sum of these.

use rust_decimal::{Decimal, dec};

use super::load::HOURS;
use super::money::measured;
use super::prices::{FreeTiers, Prices};
use crate::Error;

/// Bytes of a GB in the prices of storage and logs.
pub const GIB: Decimal = dec!(1_073_741_824);

/// Bytes of a GB in the prices of load balancers and data transfer.
pub const GB: Decimal = dec!(1_000_000_000);

/// Prices, and the free tiers to deduct.
#[derive(Debug, Clone)]
pub struct Rates<'a> {
    /// The price file.
    pub prices: &'a Prices,
    /// The free tiers to deduct.
    pub free: FreeTiers,
}

/// The processor that functions and tasks run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Processor {
    /// `x86_64`
    #[value(name = "x86_64")]
    X86,
    /// `arm64`
    #[value(name = "arm64")]
    Arm,
}

/// Flows of one protocol through a load balancer. AWS bills the largest dimension, as a mean over an hour.
#[derive(Debug, Clone, Copy)]
pub struct Flows {
    /// New flows a second.
    pub new: Decimal,
    /// Seconds for which a flow counts as open.
    pub open_seconds: Decimal,
    /// Bytes a second, both directions together.
    pub bytes: Decimal,
}

type Cost = Result<Decimal, Error>;

impl Rates<'_> {
    fn at(&self, id: &str, quantity: Decimal) -> Cost {
        self.prices.cost(id, quantity, &self.free)
    }

    /// Calls of an HTTP API.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the price file lacks the price; so do all of these functions.
    pub fn api(&self, calls: Decimal) -> Cost {
        self.at("api-request", calls)
    }

    /// Invocations of functions, and the GB-seconds of their memory.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn lambda(&self, invocations: Decimal, gb_seconds: Decimal, on: Processor) -> Cost {
        let duration = match on {
            Processor::X86 => "lambda-gb-second-x86",
            Processor::Arm => "lambda-gb-second-arm64",
        };
        Ok(self.at("lambda-request", invocations)? + self.at(duration, gb_seconds)?)
    }

    /// Requests to queues, of 64 KiB each.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn sqs(&self, requests: Decimal) -> Cost {
        self.at("sqs-request", requests)
    }

    /// Shards, and records put, of 25 KB each.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn kinesis(&self, shards: Decimal, units: Decimal) -> Cost {
        Ok(self.at("kinesis-shard-hour", shards * HOURS)? + self.at("kinesis-payload-unit", units)?)
    }

    /// A network load balancer for the whole month.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn balancer(&self, udp: Flows, tcp: Option<Flows>) -> Cost {
        let units = udp.udp_units() + tcp.map_or(Decimal::ZERO, |f| f.units(dec!(800), dec!(100_000)));
        Ok(self.at("load-balancer-hour", HOURS)? + self.balancer_units(units)?)
    }

    /// Capacity units of a load balancer, without its hours.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn balancer_units(&self, units: Decimal) -> Cost {
        self.at("load-balancer-unit-hour", units * HOURS)
    }

    /// Tasks that run for the whole month.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn fargate(&self, tasks: Decimal, vcpu: Decimal, gb: Decimal, on: Processor) -> Cost {
        let (processor, memory) = match on {
            Processor::X86 => ("fargate-vcpu-hour-x86", "fargate-gb-hour-x86"),
            Processor::Arm => ("fargate-vcpu-hour-arm64", "fargate-gb-hour-arm64"),
        };
        Ok(self.at(processor, tasks * vcpu * HOURS)? + self.at(memory, tasks * gb * HOURS)?)
    }

    /// Small machines with 8 GB of disk each, for the whole month.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn ec2(&self, machines: Decimal) -> Cost {
        Ok(self.at("ec2-t3a-small-hour", machines * HOURS)? + self.at("ebs-gb-month", machines * dec!(8))?)
    }

    /// Public addresses, for the whole month.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn addresses(&self, number: Decimal) -> Cost {
        self.at("ipv4-hour", number * HOURS)
    }

    /// Ingestion of log lines.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn logs(&self, bytes: Decimal) -> Cost {
        self.at("logs-gb", bytes / GIB)
    }

    /// Custom metrics.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn metrics(&self, number: Decimal) -> Cost {
        self.at("metric-month", number)
    }

    /// Writes of items up to 1 KB, paid by request.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn writes_on_demand(&self, units: Decimal) -> Cost {
        self.at("dynamodb-write-request", units)
    }

    /// Provisioned writes a second of items up to 1 KB, paid by the hour.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn writes_provisioned(&self, a_second: Decimal) -> Cost {
        self.at("dynamodb-write-capacity-hour", a_second * HOURS)
    }

    /// Storage of tables.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn stored(&self, bytes: Decimal) -> Cost {
        self.at("dynamodb-storage", bytes / GIB)
    }

    /// Puts of objects, and their storage.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn s3(&self, puts: Decimal, bytes: Decimal) -> Cost {
        Ok(self.at("s3-put", puts)? + self.at("s3-gb-month", bytes / GIB)?)
    }
}

impl Flows {
    /// Capacity units of UDP flows.
    pub fn udp_units(self) -> Decimal {
        self.units(dec!(400), dec!(50_000))
    }

    fn units(self, new: Decimal, open: Decimal) -> Decimal {
        let bytes = self.bytes * dec!(3600) / GB;
        (self.new / new).max(self.new * self.open_seconds / open).max(bytes)
    }
}

/// The mean number of uplinks in a batch (an invocation or a record), as a function of the rate of uplinks.
///
/// It was measured at one rate. At another rate as many batches are made a second, so that each holds proportionally more
/// or fewer uplinks. Once batches are full, more of them are made.
#[derive(Debug, Clone, Copy)]
pub struct BatchSize {
    /// Measured uplinks of a batch, mean.
    pub measured: f64,
    /// Uplinks a second in that measurement.
    pub rate: f64,
    /// Uplinks of a full batch.
    pub max: Decimal,
}

impl BatchSize {
    /// Mean uplinks of a batch at `rate` uplinks a second; at least 1.
    pub fn at(&self, rate: Decimal) -> Decimal {
        // A quotient that overflows a decimal is larger than a full batch.
        let scaled = (measured(self.measured) * rate).checked_div(measured(self.rate)).unwrap_or(self.max);
        scaled.min(self.max).max(Decimal::ONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gathers_holds_more_of_a_faster_stream_up_to_what_fits() {
        let size = BatchSize { measured: 50.0, rate: 500.0, max: dec!(300) };
        for (rate, holds) in
            [(dec!(500), dec!(50)), (dec!(1000), dec!(100)), (dec!(1), dec!(1)), (dec!(9000), dec!(300))]
        {
            assert_eq!(size.at(rate), holds, "{rate}");
        }
        let slow = BatchSize { measured: 1e9, rate: 1e-15, max: dec!(300) };
        assert_eq!(slow.at(dec!(1_000_000_000)), dec!(300), "the quotient overflows a decimal");
    }
}
