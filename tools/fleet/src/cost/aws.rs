//! What AWS bills a month for its services, each by what drives it. Every design is put together from these.

use rust_decimal::{Decimal, dec};

use super::load::HOURS;
use super::money::measured;
use super::prices::{FreeTiers, Prices};
use crate::Problem;

/// Bytes of a GB as storage and logs are billed.
pub const GIB: Decimal = dec!(1_073_741_824);

/// Bytes of a GB as load balancers and transfer are billed.
pub const GB: Decimal = dec!(1_000_000_000);

/// Prices, and which free tiers are taken off.
#[derive(Debug, Clone)]
pub struct Rates<'a> {
    /// Of a price file.
    pub prices: &'a Prices,
    /// Of which services.
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

/// Flows through a load balancer, of one protocol. It is billed by the largest of its dimensions, an hour's mean.
#[derive(Debug, Clone, Copy)]
pub struct Flows {
    /// New ones a second.
    pub new: Decimal,
    /// Seconds for which one counts as open.
    pub open_seconds: Decimal,
    /// Bytes a second, either way.
    pub bytes: Decimal,
}

type Cost = Result<Decimal, Problem>;

impl Rates<'_> {
    fn at(&self, id: &str, quantity: Decimal) -> Cost {
        self.prices.cost(id, quantity, &self.free)
    }

    /// Calls of an HTTP API.
    ///
    /// # Errors
    /// As all here: a price that the file does not have.
    pub fn api(&self, calls: Decimal) -> Cost {
        self.at("api-request", calls)
    }

    /// Invocations of functions, and the time for which they have their memory.
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

    /// What shards pay more for keeping records for over 24 hours.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn kinesis_retention(&self, shards: Decimal) -> Cost {
        self.at("kinesis-long-retention-shard-hour", shards * HOURS)
    }

    /// A network load balancer that is there all month.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn balancer(&self, udp: Flows, tcp: Option<Flows>) -> Cost {
        let units =
            udp.units(dec!(400), dec!(50_000)) + tcp.map_or(Decimal::ZERO, |f| f.units(dec!(800), dec!(100_000)));
        Ok(self.at("load-balancer-hour", HOURS)? + self.balancer_units(units)?)
    }

    /// Capacity units of a load balancer alone.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn balancer_units(&self, units: Decimal) -> Cost {
        self.at("load-balancer-unit-hour", units * HOURS)
    }

    /// Tasks that run all month.
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

    /// Small machines of 8 GB disk each, all month.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn ec2(&self, machines: Decimal) -> Cost {
        Ok(self.at("ec2-t3a-small-hour", machines * HOURS)? + self.at("ebs-gb-month", machines * dec!(8))?)
    }

    /// Public addresses, all month.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn addresses(&self, number: Decimal) -> Cost {
        self.at("ipv4-hour", number * HOURS)
    }

    /// Log lines taken in.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn logs(&self, bytes: Decimal) -> Cost {
        self.at("logs-gb", bytes / GIB)
    }

    /// Log lines kept.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn logs_kept(&self, bytes: Decimal) -> Cost {
        self.at("logs-storage-gb-month", bytes / GIB)
    }

    /// Metrics of one's own.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn metrics(&self, number: Decimal) -> Cost {
        self.at("metric-month", number)
    }

    /// Alarms.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn alarms(&self, number: Decimal) -> Cost {
        self.at("alarm-month", number)
    }

    /// Secrets, and how often they are read.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn secrets(&self, number: Decimal, calls: Decimal) -> Cost {
        Ok(self.at("secret-month", number)? + self.at("secret-call", calls)?)
    }

    /// Bytes to the internet, and bytes from one zone to another (which both of them pay for).
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn transfer(&self, out: Decimal, between_zones: Decimal) -> Cost {
        Ok(self.at("transfer-out-gb", out / GB)? + self.at("transfer-zone-gb", dec!(2) * between_zones / GB)?)
    }

    /// Writes of items up to 1 KB, paid one by one.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn writes_on_demand(&self, units: Decimal) -> Cost {
        self.at("dynamodb-write-request", units)
    }

    /// Writes a second of items up to 1 KB, paid by the hour.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn writes_provisioned(&self, a_second: Decimal) -> Cost {
        self.at("dynamodb-write-capacity-hour", a_second * HOURS)
    }

    /// The same of reads, of 4 KB.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn reads_provisioned(&self, a_second: Decimal) -> Cost {
        self.at("dynamodb-read-capacity-hour", a_second * HOURS)
    }

    /// What tables hold.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn stored(&self, bytes: Decimal) -> Cost {
        self.at("dynamodb-storage", bytes / GIB)
    }

    /// What tables hold that can be set back to any moment.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn point_in_time(&self, bytes: Decimal) -> Cost {
        self.at("dynamodb-point-in-time", bytes / GIB)
    }

    /// Objects put, and what is kept.
    ///
    /// # Errors
    /// See [`Rates::api`].
    pub fn s3(&self, puts: Decimal, bytes: Decimal) -> Cost {
        Ok(self.at("s3-put", puts)? + self.at("s3-gb-month", bytes / GIB)?)
    }
}

impl Flows {
    fn units(self, new: Decimal, open: Decimal) -> Decimal {
        let bytes = self.bytes * dec!(3600) / GB;
        (self.new / new).max(self.new * self.open_seconds / open).max(bytes)
    }
}

/// Something that gathers uplinks for a while: an invocation, or a record.
///
/// It was measured at some rate. At others it gathers as often as then, so that it holds more of a faster stream, up to what it
/// can hold; and from there on it gathers more often.
#[derive(Debug, Clone, Copy)]
pub struct Gathering {
    /// Uplinks that one held, mean.
    pub held: f64,
    /// Uplinks a second, then.
    pub at: f64,
    /// Uplinks that fit.
    pub most: Decimal,
}

impl Gathering {
    /// Uplinks that one holds at a rate: never less than one.
    pub fn holds(&self, rate: Decimal) -> Decimal {
        // What is more than a decimal holds is more than fits.
        let scaled = (measured(self.held) * rate).checked_div(measured(self.at)).unwrap_or(self.most);
        scaled.min(self.most).max(Decimal::ONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gathers_holds_more_of_a_faster_stream_up_to_what_fits() {
        let gathering = Gathering { held: 50.0, at: 500.0, most: dec!(300) };
        for (rate, holds) in
            [(dec!(500), dec!(50)), (dec!(1000), dec!(100)), (dec!(1), dec!(1)), (dec!(9000), dec!(300))]
        {
            assert_eq!(gathering.holds(rate), holds, "{rate}");
        }
        let slow = Gathering { held: 1e9, at: 1e-15, most: dec!(300) };
        assert_eq!(slow.holds(dec!(1_000_000_000)), dec!(300), "a decimal does not hold what comes out");
    }
}
