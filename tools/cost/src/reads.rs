//! `cost reads`: the price of reading the archive: a meter, all meters, and everything once more.
//!
//! Transfer from S3 to a function or to Athena in the same region costs nothing.

use std::path::PathBuf;

use rust_decimal::{Decimal, dec};

use crate::Error;
use crate::bill::pulsegate::archive::Work;
use crate::bill::pulsegate::flow::Flow;
use crate::bill::pulsegate::setup::{Setup, Store};
use crate::limits::{QUERY_BYTES, ROW_GROUP};
use crate::measurement::Measurement;
use crate::money::{rounded, whole};
use crate::options::{Sending, devices};
use crate::prices::{FreeTiers, Prices};
use crate::print::{self, Format, Table};

const EXAMPLES: &str = "\
Examples:
  cost reads --devices 3.6M";

/// Bytes of a TB in Athena's price.
const TB: Decimal = dec!(1_000_000_000_000);

/// Days of the periods in the table.
const MONTH: Decimal = dec!(30);
/// See [`MONTH`].
const YEAR: Decimal = dec!(365);

/// GETs of a day's file: its footer, and the row group that may hold the device.
const GETS: Decimal = dec!(2);

/// The command line of `cost reads`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Number of meters; k and M stand for thousands and millions
    #[arg(long, value_parser = devices, help_heading = "Fleet")]
    pub devices: u64,
    /// The fleet's way of sending.
    #[command(flatten)]
    pub sending: Sending,
    /// Price file [default: built in, eu-west-1]
    #[arg(long, value_name = "FILE", help_heading = "Inputs")]
    pub prices: Option<PathBuf>,
    /// Measurement file [default: built in]
    #[arg(long, value_name = "FILE", help_heading = "Inputs")]
    pub measured: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value = "table", help_heading = "Output")]
    pub format: Format,
}

/// Cost below which a read may be made a million times.
const FREQUENT: Decimal = dec!(0.002);

/// A way to read.
struct Read {
    what: &'static str,
    formula: &'static str,
    /// Quantities by the IDs of their prices.
    bought: Vec<(&'static str, Decimal)>,
}

/// Prints the table.
///
/// # Errors
/// [`Error`] if an input cannot be read, or a price is missing.
pub fn run(options: &Options) -> Result<(), Error> {
    print!("{}", text(options)?);
    Ok(())
}

/// Returns the text to print.
///
/// # Errors
/// As [`run`].
pub fn text(options: &Options) -> Result<String, Error> {
    let prices = Prices::read(options.prices.as_deref())?;
    let of = Measurement::read(options.measured.as_deref())?.with_archive();
    let load = options.sending.load(options.devices);
    let setup = Setup { arrival: options.sending.arrival, ..Setup::usual(Store::Archive) };
    let work = Work::of(&setup, &load, &Flow::of(&setup, &load, &of), &of.archive);
    let title = format!("Reading the archive of {} devices, a year old, in {}", options.devices, prices.currency);
    let mut table = Table::new(title, &["read", "quantities", "formula", "once", "a million times"]);
    for read in reads(&work, &load.devices.into(), &of) {
        let mut cost = Decimal::ZERO;
        let mut quantities = Vec::new();
        for (id, quantity) in &read.bought {
            cost += prices.cost(id, *quantity, &FreeTiers::of(&[]))?;
            let price = prices.price(id)?;
            let digits = if *quantity < dec!(10) { 6 } else { 0 };
            quantities.push(format!("{} {} ({})", rounded(*quantity, digits).normalize(), price.unit, price.item));
        }
        // Reads of one meter are frequent, the others are not.
        let million = if cost < FREQUENT { rounded(cost * dec!(1_000_000), 2).to_string() } else { "-".to_owned() };
        let once = rounded(cost, 6).to_string();
        table.row([read.what.to_owned(), quantities.join("; "), read.formula.to_owned(), once, million]);
    }
    let unsure = prices.unsure();
    let mut inputs = Table::new("Inputs", &["input", "source"]);
    inputs.row(["prices".to_owned(), format!("{}, {}, of {}", prices.region, prices.currency, prices.compiled)]);
    inputs.row([format!("not from the price list of {}", prices.region), unsure.join("; ")]);
    inputs.row(["free tiers", "none"]);
    Ok(print::several(&[inputs, table], options.format))
}

fn reads(work: &Work, devices: &Decimal, of: &Measurement) -> Vec<Read> {
    // On average half of the objects between two runs are there.
    let waiting = work.objects / work.settle.runs / dec!(2);
    let meter = |days: Decimal| {
        // The file of uplinks without a date is read as well.
        vec![("s3-put", Decimal::ONE), ("s3-get", waiting + GETS * (days + Decimal::ONE))]
    };
    let partitions = Decimal::from(1_u64 << work.bits);
    let groups = whole(work.day_rows / partitions / ROW_GROUP);
    let points = of.archive.points_row_bytes.decimal();
    let athena = |days: Decimal| {
        let scanned = (work.day_rows * days * points).max(QUERY_BYTES);
        vec![("athena-tb", scanned / TB), ("s3-put", days), ("s3-get", GETS * partitions * days)]
    };
    let all_months = meter(MONTH).into_iter().map(|(id, quantity)| (id, quantity * devices)).collect();
    let anew = |row_us: Decimal, gets: Decimal| {
        let request_ms = of.archive.request_ms.decimal();
        let waiting = (gets + Decimal::ONE) * work.files * request_ms / dec!(1000);
        let seconds = work.rows * row_us / dec!(1_000_000) + waiting;
        let gb = of.archive.memory_mb.decimal() / dec!(1024);
        vec![("lambda-gb-second-x86", seconds * gb), ("s3-get", work.files * gets), ("s3-put", work.files)]
    };
    let one_file = work.files / partitions;
    let read = |what, formula, bought| Read { what, formula, bought };
    vec![
        read("a meter's day", "LIST + waiting objects + 2 GET * (1 day + odd)", meter(Decimal::ONE)),
        read("a meter's month", "LIST + waiting objects + 2 GET * (30 days + odd)", meter(MONTH)),
        read("a meter's year", "LIST + waiting objects + 2 GET * (365 days + odd)", meter(YEAR)),
        read("each meter's month, meter by meter", "a meter's month * devices", all_months),
        read("a day of all points, Athena", "rows of a day * points_row_bytes, at least 10 MB", athena(Decimal::ONE)),
        read("a month of all points, Athena", "30 * a day", athena(MONTH)),
        read(
            "all points made anew (derive)",
            "rows * derive_row_us + request_ms * (footer, row groups and PUT of each file), in GB-seconds",
            anew(of.archive.derive_row_us.decimal(), Decimal::ONE + groups),
        ),
        read(
            "all uplinks read and written again (a new number of partitions)",
            "rows * settle_row_us + request_ms * (GET and PUT of each file), in GB-seconds",
            anew(of.archive.settle_row_us.decimal(), Decimal::ONE),
        ),
        read("a meter erased", "GET and PUT of its file of each day, in day/ and points/", {
            vec![("s3-get", dec!(2) * one_file), ("s3-put", dec!(2) * one_file)]
        }),
    ]
}
