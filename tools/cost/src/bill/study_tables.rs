//! The study's tables, each cell beside the recalculated value.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Deserialize;

use super::monthly::Bill;
use super::study::{Accounting, Design};
use crate::Error;
use crate::load::Load;
use crate::money::rounded;
use crate::prices::Prices;
use crate::print::Table;

const TABLES: &str = include_str!("../../tests/data/study.json");

#[derive(Deserialize)]
struct Printed {
    devices: Vec<u64>,
    rows: BTreeMap<String, Vec<Cell>>,
}

#[derive(Deserialize)]
struct Cell {
    printed: String,
}

/// Rows of the study's tables, in order.
const ROWS: [&str; 8] = ["SQS", "Kinesis", "NLB", "Lambda", "API Gateway", "EC2", "Total", "PerDevice"];

/// Returns the tables, the number of cells that are equal to the printed digit, and the number of all cells.
///
/// # Errors
/// [`Error::Invalid`] if the built-in tables cannot be parsed; a test shows that they can.
pub fn tables() -> Result<(Vec<Table>, usize, usize), Error> {
    let printed: BTreeMap<String, Printed> =
        serde_json::from_str(TABLES).map_err(|e| Error::Invalid(format!("the study's tables: {e}")))?;
    let prices = Prices::study()?;
    let (mut tables, mut same, mut all) = (Vec::new(), 0, 0);
    for design in Design::ALL {
        let Some(printed) = printed.get(design.table()) else { continue };
        let bill = |devices: &u64| design.bill(Accounting::Printed, &Load::hourly(*devices), &prices);
        let bills = printed.devices.iter().map(bill).collect::<Result<Vec<_>, _>>()?;
        let currency = bills.first().map_or("", |bill| bill.currency.as_str());
        let title = format!("Table {} of the study: {}, {currency} a month", design.table(), design.title());
        let head = std::iter::once("devices".to_owned()).chain(printed.devices.iter().map(u64::to_string)).collect();
        let mut table = Table { title, head, rows: Vec::new() };
        for (row, cells) in ROWS.iter().filter_map(|row| Some((row, printed.rows.get(*row)?))) {
            let marked: Vec<_> = cells.iter().zip(&bills).map(|(cell, bill)| marked(cell, value(bill, row))).collect();
            same += marked.iter().filter(|(_, same)| *same).count();
            all += marked.len();
            table.row(std::iter::once((*row).to_owned()).chain(marked.into_iter().map(|(text, _)| text)));
        }
        tables.push(table);
    }
    Ok((tables, same, all))
}

fn value(bill: &Bill, row: &str) -> Decimal {
    match row {
        "Total" => bill.total(),
        "PerDevice" => bill.per_device(bill.total()),
        _ => bill.of(row),
    }
}

/// Returns the recalculated value with the digits of the printed one, and whether the two are equal.
fn marked(cell: &Cell, value: Decimal) -> (String, bool) {
    let digits = cell.printed.split_once('.').map_or(0, |(_, after)| after.len());
    let ours = rounded(value, u32::try_from(digits).unwrap_or_default()).to_string();
    let same = ours == cell.printed;
    (if same { format!("{ours} ✓") } else { format!("{ours} (the study: {})", cell.printed) }, same)
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_cells_are_marked_but_for_the_two_slips() {
        let (tables, same, all) = super::tables().unwrap();
        assert_eq!((tables.len(), same, all), (6, 143, 145));
        let cells: Vec<_> = tables.iter().flat_map(|table| table.rows.iter().flatten()).collect();
        let slips: Vec<_> = cells.iter().filter(|cell| cell.contains("the study")).collect();
        assert_eq!(slips, [&"0.0002 (the study: 0.0021)", &"0.0007 (the study: 0.0071)"]);
    }
}
