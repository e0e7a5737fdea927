//! The cost model reproduces every cell of the study's tables, and every line of the model of packed designs.

use std::collections::BTreeMap;

use cost::bill::monthly::Bill;
use cost::bill::packed;
use cost::bill::study::{Accounting, Design};
use cost::load::Load;
use cost::money::rounded;
use cost::prices::Prices;
use rust_decimal::Decimal;
use serde::Deserialize;

#[derive(Deserialize)]
struct Table {
    devices: Vec<u64>,
    rows: BTreeMap<String, Vec<Cell>>,
}

#[derive(Deserialize)]
struct Cell {
    printed: String,
    exact: String,
    #[serde(default)]
    slip: bool,
}

fn cell(bill: &Bill, row: &str) -> Decimal {
    match row {
        "Total" => bill.total(),
        "PerDevice" => bill.per_device(bill.total()),
        _ => bill.of(row),
    }
}

#[test]
fn the_study_s_tables_are_reproduced_to_the_printed_digit_but_for_its_two_slips() {
    let tables: BTreeMap<String, Table> = serde_json::from_str(include_str!("data/study.json")).unwrap();
    let prices = Prices::study().unwrap();
    let (mut right, mut slips) = (0, Vec::new());
    for (number, table) in &tables {
        let design = Design::ALL.into_iter().find(|design| design.table() == number).unwrap();
        for (row, cells) in &table.rows {
            assert_eq!(cells.len(), table.devices.len());
            for (cell_of, devices) in cells.iter().zip(&table.devices) {
                let bill = design.bill(Accounting::Printed, &Load::hourly(*devices), &prices).unwrap();
                let (value, exact) = (cell(&bill, row), cell_of.exact.parse::<Decimal>().unwrap());
                let what = format!("{number}, {row}, {devices} devices");
                assert_eq!(value.round_dp(12).normalize(), exact.normalize(), "{what}: exact");
                let digits = cell_of.printed.split_once('.').map_or(0, |(_, after)| after.len());
                let printed = rounded(value, u32::try_from(digits).unwrap()).to_string();
                if printed == cell_of.printed {
                    right += 1;
                    assert!(!cell_of.slip, "{what} is no slip");
                } else {
                    slips.push(format!("{what}: {} for {printed}", cell_of.printed));
                }
            }
        }
    }
    let expected =
        ["5.2, PerDevice, 180000 devices: 0.0021 for 0.0002", "5.3, PerDevice, 180000 devices: 0.0071 for 0.0007"];
    assert_eq!((right, slips), (143, expected.map(str::to_owned).to_vec()));
}

#[test]
fn every_line_of_the_packed_designs_is_reproduced() {
    type Lines = BTreeMap<String, Vec<serde_json::Value>>;
    let designs: BTreeMap<String, Lines> = serde_json::from_str(include_str!("data/packed.json")).unwrap();
    let prices = Prices::today().unwrap();
    let mut held = 0;
    for (design, lines) in &designs {
        for (index, devices) in lines["devices"].iter().enumerate() {
            let load = Load::hourly(devices.as_u64().unwrap());
            let bill = packed::bill(design, &load, &prices).unwrap().unwrap();
            let mut sum = Decimal::ZERO;
            for (line, values) in lines.iter().filter(|(line, _)| *line != "devices") {
                let expected: Decimal = values[index].as_str().unwrap().parse().unwrap();
                let value = bill.of(ours(line, design));
                let off = (value - expected).abs();
                assert!(off <= "0.000001".parse().unwrap(), "{design}, {line}, {devices}: {value} for {expected}");
                sum += expected;
                held += 1;
            }
            assert!((bill.total() - sum).abs() <= "0.00001".parse().unwrap(), "{design} has a line too many");
        }
    }
    assert_eq!(held, 588);
}

/// The name of a line on our bills.
fn ours(line: &str, design: &str) -> &'static str {
    match (line, design) {
        ("SQS", _) => "SQS",
        ("NLB", _) => "NLB",
        ("Lambda", _) => "Lambda",
        ("API GW", _) => "API Gateway",
        ("EC2", _) => "EC2",
        ("IPv4", _) => "Public IPv4",
        ("CW logs", _) => "CloudWatch Logs",
        ("DB writes", _) => "Database writes",
        ("DB store 30d", _) => "Database storage",
        ("Kinesis", _) => "Kinesis",
        ("Fargate", _) => "Fargate",
        ("CW", _) => "CloudWatch",
        ("S3", _) => "S3",
        other => panic!("{other:?} is not known"),
    }
}
