//! `cost bill`: the monthly bill, by design and fleet size.
//!
//! # Layout
//!
//! - [`options`]: the command line.
//! - [`monthly`]: a bill, line by line.
//! - [`study`]: the designs of the study of 2020; [`study_tables`]: its tables beside ours; [`packed`]: a model of packed
//!   designs, made before any measurement.
//! - [`pulsegate`]: this project's own design, from measurements.
//! - [`designs`]: all designs by name; [`savings`]: changes that would reduce our bill.
//! - [`show`]: the bills as tables; [`picture`]: cost by fleet size as a chart.

pub mod designs;
pub mod monthly;
pub mod options;
pub mod packed;
pub mod picture;
pub mod pulsegate;
pub mod savings;
pub mod show;
pub mod study;
pub mod study_tables;

pub use self::options::Options;
use crate::{Error, print};

/// Prints the bills, and writes the chart if `--compare` names a file.
///
/// # Errors
/// [`Error`] if an input cannot be read, a design is unknown, or a price is missing.
pub fn run(options: &Options) -> Result<(), Error> {
    print!("{}", text(options)?);
    Ok(())
}

/// Returns the text to print. Writes the chart if `--compare` names a file.
///
/// # Errors
/// As [`run`].
pub fn text(options: &Options) -> Result<String, Error> {
    if options.study {
        return study_text(options);
    }
    let inputs = designs::Inputs::read(options)?;
    let designs = designs::chosen(options)?;
    let loads: Vec<_> = options.devices.iter().map(|devices| options.load(*devices)).collect();
    let bills = |load| designs.iter().map(|design| design.bill(load, &inputs)).collect::<Result<Vec<_>, _>>();
    let bills = loads.iter().map(bills).collect::<Result<Vec<_>, _>>()?;
    // Comes after the bills, which record the prices that they use, and before anything else that uses prices.
    let mut tables = vec![show::inputs(options, &inputs, &designs)];
    if options.totals {
        tables.push(show::totals(&bills, &inputs.prices.currency));
    }
    for (load, bills) in loads.iter().zip(&bills).filter(|_| !options.totals) {
        tables.push(show::bills(load, bills, &inputs.prices.currency));
        if options.items {
            for bill in bills {
                tables.extend(show::items(bill, &inputs.prices)?);
            }
        }
        tables.extend(show::changes(load, &designs, &inputs)?);
    }
    if let Some(file) = &options.compare {
        let usual = options.design == ["ours"] && options.database.is_none();
        let drawn = if usual { picture::usual(designs::all(options)) } else { designs };
        picture::chart(options, &drawn, &inputs)?.write(file)?;
    }
    Ok(print::several(&tables, options.format))
}

fn study_text(options: &Options) -> Result<String, Error> {
    let (mut tables, same, all) = study_tables::tables()?;
    let mut table = print::Table::new("Reproduced", &["cells", "equal to the printed digit", "errors of the study"]);
    table.row([all, same, all - same].map(|number| number.to_string()));
    tables.push(table);
    Ok(print::several(&tables, options.format))
}
