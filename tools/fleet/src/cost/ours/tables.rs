//! The database: two writes of an uplink, and what is kept.

use rust_decimal::{Decimal, dec};

use super::{Database, Setup};
use crate::Problem;
use crate::cost::aws::Rates;
use crate::cost::bill::Bill;
use crate::cost::deployed::{READ_CAPACITY, TABLES};
use crate::cost::limits::ITEM_OVERHEAD;
use crate::cost::load::Load;
use crate::cost::measurement::Measurement;
use crate::cost::money::{measured, whole};

/// Days of a month of 730 hours.
pub const MONTH_DAYS: Decimal = dec!(30.416666666666666666666666667);

/// Writes of the tables, what they hold, and what is paid for being able to set them back.
pub(super) fn with_tables(
    bill: Bill,
    setup: &Setup,
    load: &Load,
    of: &Measurement,
    aws: &Rates,
) -> Result<Bill, Problem> {
    // What is sent again is written again, over the same item.
    let sent = load.repeated(setup.repeats);
    let bytes = stored(setup, load, of);
    let bill = bill
        .with_database("Database writes", writes(setup, &sent, of, aws)?)
        .with_database("Database storage", aws.stored(bytes)?);
    let restorable = if setup.point_in_time { aws.point_in_time(bytes)? } else { Decimal::ZERO };
    Ok(bill.with_database("Point-in-time recovery", restorable))
}

fn writes(setup: &Setup, load: &Load, of: &Measurement, aws: &Rates) -> Result<Decimal, Problem> {
    let (raw, pulse) = (measured(of.tables.raw_units), measured(of.tables.pulse_units));
    match setup.database {
        Database::OnDemand => aws.writes_on_demand(load.month() * (raw + pulse)),
        Database::Provisioned => {
            // One parameter is the capacity of each table, so the more expensive item decides.
            let each = write_capacity(load.second(), of, setup.utilisation);
            Ok(aws.writes_provisioned(TABLES * each)? + aws.reads_provisioned(TABLES * READ_CAPACITY)?)
        }
    }
}

/// Write units a second that each table needs for so many uplinks a second.
pub fn write_capacity(uplinks: Decimal, of: &Measurement, utilisation: Decimal) -> Decimal {
    let units = measured(of.tables.raw_units).max(measured(of.tables.pulse_units));
    whole(uplinks * units / utilisation).max(Decimal::ONE)
}

/// Bytes that are there at the end of those months: pulses of all of them, raw uplinks of as many as they are kept for.
fn stored(setup: &Setup, load: &Load, of: &Measurement) -> Decimal {
    let raw_months = (setup.raw_days / MONTH_DAYS).min(setup.months);
    let raw = measured(of.tables.raw_bytes) + ITEM_OVERHEAD;
    let pulses = measured(of.tables.pulse_bytes) + ITEM_OVERHEAD;
    load.month() * (raw_months * raw + setup.months * pulses)
}
