//! The database: two writes for each uplink, and storage.

use rust_decimal::{Decimal, dec};

use super::setup::{Database, Setup};
use crate::Error;
use crate::aws::Rates;
use crate::bill::monthly::Bill;
use crate::limits::ITEM_OVERHEAD;
use crate::load::Load;
use crate::measurement::Measurement;
use crate::money::{measured, whole};
use crate::template::{READ_CAPACITY, TABLES};

/// Days of a month of 730 hours.
pub const MONTH_DAYS: Decimal = dec!(30.416666666666666666666666667);

/// Adds writes, storage and point-in-time recovery of the tables.
pub(super) fn with_tables(
    bill: Bill,
    setup: &Setup,
    load: &Load,
    of: &Measurement,
    aws: &Rates,
) -> Result<Bill, Error> {
    // A repeated uplink overwrites the same item.
    let sent = load.repeated(setup.repeats);
    let bytes = stored(setup, load, of);
    let bill = bill
        .with_database("Database writes", writes(setup, &sent, of, aws)?)
        .with_database("Database storage", aws.stored(bytes)?);
    let restorable = if setup.point_in_time { aws.point_in_time(bytes)? } else { Decimal::ZERO };
    Ok(bill.with_database("Point-in-time recovery", restorable))
}

fn writes(setup: &Setup, load: &Load, of: &Measurement, aws: &Rates) -> Result<Decimal, Error> {
    let (raw, pulse) = (measured(of.tables.raw_units), measured(of.tables.pulse_units));
    match setup.database {
        Database::OnDemand => aws.writes_on_demand(load.month() * (raw + pulse)),
        Database::Provisioned => {
            // One parameter sets the capacity of both tables, so the larger item determines it.
            let each = write_capacity(load.second(), of, setup.utilisation);
            Ok(aws.writes_provisioned(TABLES * each)? + aws.reads_provisioned(TABLES * READ_CAPACITY)?)
        }
    }
}

/// Write units a second that each table needs for `uplinks` a second.
pub fn write_capacity(uplinks: Decimal, of: &Measurement, utilisation: Decimal) -> Decimal {
    let units = measured(of.tables.raw_units).max(measured(of.tables.pulse_units));
    whole(uplinks * units / utilisation).max(Decimal::ONE)
}

/// Stored bytes at the end of the fleet's age: pulses of all months, raw uplinks of their retention.
fn stored(setup: &Setup, load: &Load, of: &Measurement) -> Decimal {
    let raw_months = (setup.raw_days / MONTH_DAYS).min(setup.months);
    let raw = measured(of.tables.raw_bytes) + ITEM_OVERHEAD;
    let pulses = measured(of.tables.pulse_bytes) + ITEM_OVERHEAD;
    load.month() * (raw_months * raw + setup.months * pulses)
}
