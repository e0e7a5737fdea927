//! Cost by fleet size, as a chart.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::designs::{Design, Inputs};
use super::monthly::Bill;
use super::options::Options;
use super::pulsegate::setup::Store;
use super::study::Accounting;
use crate::Error;
use crate::chart::{Axis, Chart, Line};

/// Fleet sizes of the chart, from 1,000 to 36 million meters, with those of the study among them.
const SIZES: [u64; 12] =
    [1_000, 3_000, 10_000, 30_000, 100_000, 180_000, 360_000, 1_000_000, 3_600_000, 10_000_000, 20_000_000, 36_000_000];

/// Our designs in the chart by default.
const USUAL: [&str; 4] = ["archive-batch", "archive-single", "pulses-batch-provisioned", "tables-batch-provisioned"];

/// Draws each design: ours in all, the others without a database. The version with tables has both lines.
///
/// # Errors
/// [`Error::Invalid`] if a price is missing.
pub fn chart(options: &Options, designs: &[Design], inputs: &Inputs) -> Result<Chart, Error> {
    let mut lines: Vec<Line> = Vec::new();
    for design in designs {
        let bills = SIZES.iter().map(|n| design.bill(&options.load(*n), inputs)).collect::<Result<Vec<_>, _>>()?;
        let rate = options.euro.filter(|_| is_rented(design)).unwrap_or(Decimal::ONE);
        if let Design::Ours(name, setup) = design {
            let name = format!("{name}: {}", setup.store.title());
            lines.push(Line { name, points: points(&bills, rate, Bill::total) });
        }
        if is_bare(design) {
            let bare = points(&bills, rate, Bill::without_database);
            // Two designs that differ only in the payment for tables have the same line without tables.
            if !lines.iter().any(|line| line.points == bare) {
                lines.push(Line { name: name(design, options), points: bare });
            }
        }
    }
    let y = y(options, &inputs.prices.currency);
    Ok(Chart { title: "Monthly cost by fleet size".to_owned(), x: Axis::log("devices"), y, lines })
}

fn y(options: &Options, currency: &str) -> Axis {
    let rented = options.euro.map_or_else(
        || "machines in EUR".to_owned(),
        |rate| format!("machines at {} {currency} for a EUR", rate.normalize()),
    );
    Axis::log(format!("{currency} a month ({rented})"))
}

/// The study gives the cost of rented machines in EUR.
fn is_rented(design: &Design) -> bool {
    matches!(design, Design::Study(_, design, _) if design.is_rented())
}

/// True for designs of which the study leaves out the database.
fn is_bare(design: &Design) -> bool {
    match design {
        Design::Ours(_, setup) => setup.store == Store::Tables,
        Design::Study(..) | Design::Model(_) => true,
    }
}

fn name(of: &Design, options: &Options) -> String {
    match of {
        Design::Ours(name, _) => {
            let bare = name.trim_end_matches("-on-demand").trim_end_matches("-provisioned");
            format!("{bare}, without tables")
        }
        Design::Study(name, design, _) => {
            let unit = if is_rented(of) && options.euro.is_none() { ", EUR" } else { "" };
            format!("{name}: {}{unit}", design.title())
        }
        Design::Model(name) => format!("model {name}, without tables"),
    }
}

fn points(bills: &[Bill], rate: Decimal, amount: fn(&Bill) -> Decimal) -> Vec<(f64, f64)> {
    let point = |bill: &Bill| Some((bill.devices.to_f64()?, (amount(bill) * rate).to_f64()?));
    bills.iter().filter(|bill| bill.is_known()).filter_map(point).collect()
}

/// The designs of the chart by default: ours with batch callbacks, the one with provisioned tables, the study's as printed,
/// and its last AWS design corrected.
pub fn usual(all: Vec<(&'static str, Design)>) -> Vec<Design> {
    let drawn = |design: &Design| match design {
        Design::Ours(name, _) => USUAL.contains(&name.as_str()),
        Design::Study(name, _, Accounting::Printed) => name != "study-5.3",
        Design::Study(name, ..) => name == "study-4.5-corrected",
        Design::Model(_) => false,
    };
    all.into_iter().map(|(_, design)| design).filter(drawn).collect()
}
