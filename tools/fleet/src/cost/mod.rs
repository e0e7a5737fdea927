//! What a month costs.
//!
//! # Layout
//!
//! - [`money`]: exact decimals; [`prices`]: a price file; [`aws`]: what AWS bills, service by service; [`limits`]: by what.
//! - [`load`]: how much a fleet sends; [`bill`]: what one would pay for it.
//! - [`study`]: the designs of the study; [`reproduced`]: its tables beside ours; [`today`]: a model of a packed design, from
//!   before there was one.
//! - [`measurement`]: what was measured; [`deployed`]: what the template says; [`ours`]: our design, from both.
//! - [`options`]: the command line; [`designs`]: all of them by name; [`savings`]: what would change ours; [`show`] and
//!   [`compare`]: tables and picture.

pub mod aws;
pub mod bill;
pub mod compare;
pub mod deployed;
pub mod designs;
pub mod limits;
pub mod load;
pub mod measurement;
pub mod money;
pub mod options;
pub mod ours;
pub mod prices;
pub mod reproduced;
pub mod savings;
pub mod show;
pub mod study;
pub mod today;

pub use self::options::Options;
use crate::{Problem, print};

/// Prints what is asked for, and draws it.
///
/// # Errors
/// [`Problem`] if an input cannot be read, a design is not known, or a price is missing.
pub fn run(options: &Options) -> Result<(), Problem> {
    print!("{}", text(options)?);
    Ok(())
}

/// What is printed. A picture is written on the way.
///
/// # Errors
/// As [`run`].
pub fn text(options: &Options) -> Result<String, Problem> {
    if options.study {
        return study_text(options);
    }
    let inputs = designs::Inputs::read(options)?;
    let designs = designs::chosen(options)?;
    let loads: Vec<_> = options.devices.iter().map(|devices| options.load(*devices)).collect();
    let bills = |load| designs.iter().map(|design| design.bill(load, &inputs)).collect::<Result<Vec<_>, _>>();
    let bills = loads.iter().map(bills).collect::<Result<Vec<_>, _>>()?;
    // Now that the bills are made, and nothing else is yet, it is known which prices they rest on.
    let mut tables = vec![show::inputs(options, &inputs, &designs)];
    for (load, bills) in loads.iter().zip(&bills) {
        tables.push(show::bills(load, bills, &inputs.prices.currency));
        tables.extend(show::changes(load, &designs, &inputs)?);
    }
    if let Some(file) = &options.compare {
        let usual = options.design == ["ours"] && options.database.is_none();
        let drawn = if usual { compare::usual(designs::all(options)) } else { designs };
        compare::chart(options, &drawn, &inputs)?.write(file)?;
    }
    Ok(print::several(&tables, options.format))
}

fn study_text(options: &Options) -> Result<String, Problem> {
    let (mut tables, same, all) = reproduced::tables()?;
    let mut table = print::Table::new("Reproduced", &["cells", "the same to the printed digit", "slips of the study"]);
    table.row([all, same, all - same].map(|number| number.to_string()));
    tables.push(table);
    Ok(print::several(&tables, options.format))
}
