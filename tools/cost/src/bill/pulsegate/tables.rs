//! Tables: a write for each uplink to each table, and storage.

use rust_decimal::{Decimal, dec};

use super::setup::{Database, Setup, Store};
use crate::aws::GIB;
use crate::bill::monthly::Item;
use crate::limits::ITEM_OVERHEAD;
use crate::load::{HOURS, Load};
use crate::measurement::Measurement;
use crate::money::{measured, whole};
use crate::template::READ_CAPACITY;

/// Days of a month of 730 hours.
pub const MONTH_DAYS: Decimal = dec!(30.416666666666666666666666667);

/// Writes, storage and point-in-time recovery of the tables.
pub(super) fn items(setup: &Setup, load: &Load, of: &Measurement) -> Vec<Item> {
    if setup.store == Store::Archive {
        return Vec::new();
    }
    // A repeated uplink overwrites the same item.
    let mut items = writes(setup, &load.repeated(setup.repeats), of);
    let item = |service, purpose, price, bytes: Decimal| Item { service, purpose, price, quantity: bytes / GIB };
    let stored = stored(setup, load, of);
    let all = stored.iter().map(|(_, bytes)| bytes).sum();
    items.extend(stored.map(|(purpose, bytes)| item("Database storage", purpose, "dynamodb-storage", bytes)));
    let restorable = if setup.point_in_time { all } else { Decimal::ZERO };
    items.push(item("Point-in-time recovery", "tables", "dynamodb-point-in-time", restorable));
    items
}

fn writes(setup: &Setup, load: &Load, of: &Measurement) -> Vec<Item> {
    let item = |purpose, price, quantity| Item { service: "Database writes", purpose, price, quantity };
    let (raw, pulse) = (measured(of.tables.raw_units), measured(of.tables.pulse_units));
    let raw = if setup.store == Store::Tables { raw } else { Decimal::ZERO };
    match setup.database {
        Database::OnDemand => vec![item("items", "dynamodb-write-request", load.month() * (raw + pulse))],
        Database::Provisioned => {
            // One parameter sets the capacity of all tables, so the larger item determines it.
            let each = write_capacity(load.second(), setup.store, of, setup.utilisation);
            let tables = Decimal::from(setup.store.tables());
            vec![
                item("write capacity", "dynamodb-write-capacity-hour", tables * each * HOURS),
                item("read capacity", "dynamodb-read-capacity-hour", tables * READ_CAPACITY * HOURS),
            ]
        }
    }
}

/// Write units a second that each table needs for `uplinks` a second.
pub fn write_capacity(uplinks: Decimal, store: Store, of: &Measurement, utilisation: Decimal) -> Decimal {
    whole(uplinks * units(store, of) / utilisation).max(Decimal::ONE)
}

/// Write units of the largest item of an uplink.
pub fn units(store: Store, of: &Measurement) -> Decimal {
    let (raw, pulse) = (measured(of.tables.raw_units), measured(of.tables.pulse_units));
    if store == Store::Tables { raw.max(pulse) } else { pulse }
}

/// Stored bytes at the end of the fleet's age.
fn stored(setup: &Setup, load: &Load, of: &Measurement) -> [(&'static str, Decimal); 2] {
    let kept = |days: Option<Decimal>| days.map_or(setup.months, |days| (days / MONTH_DAYS).min(setup.months));
    let raw_months = if setup.store == Store::Tables { kept(Some(setup.raw_days)) } else { Decimal::ZERO };
    let raw = measured(of.tables.raw_bytes) + ITEM_OVERHEAD;
    let pulses = measured(of.tables.pulse_bytes) + ITEM_OVERHEAD;
    [("raw uplinks", load.month() * raw_months * raw), ("pulses", load.month() * kept(setup.pulse_days) * pulses)]
}
