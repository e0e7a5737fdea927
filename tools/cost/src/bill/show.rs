//! Bills as tables.

use rust_decimal::{Decimal, dec};

use super::designs::{Design, Inputs};
use super::monthly::Bill;
use super::options::Options;
use super::savings::{self, Saving};
use super::study::{self, Accounting};
use crate::Error;
use crate::load::Load;
use crate::money::rounded;
use crate::prices::Prices;
use crate::print::Table;

/// The sources of the numbers.
pub fn inputs(options: &Options, inputs: &Inputs, designs: &[Design]) -> Table {
    let mut table = Table::new("Inputs", &["input", "source"]);
    let prices = &inputs.prices;
    let name = options.prices.as_ref().map_or_else(|| "built in".to_owned(), |file| file.display().to_string());
    table
        .row(["prices".to_owned(), format!("{}, {}, of {} ({name})", prices.region, prices.currency, prices.compiled)]);
    let unsure = prices.unsure();
    if !unsure.is_empty() {
        table.row([format!("not from the price list of {}", prices.region), unsure.join("; ")]);
    }
    if designs.iter().any(|design| matches!(design, Design::Ours(..))) {
        measured(options, inputs, &mut table);
    }
    for note in designs.iter().filter_map(note) {
        table.row(["note".to_owned(), note]);
    }
    table
}

fn measured(options: &Options, inputs: &Inputs, table: &mut Table) {
    let file = options.measured.as_ref().map_or_else(|| "built in".to_owned(), |file| file.display().to_string());
    let measured = &inputs.measured;
    table.row(["measurements".to_owned(), format!("{} ({file})", measured.source)]);
    for run in &measured.runs {
        let rate = format!("{} meters, {:.0} uplinks a second", run.devices, run.uplinks_per_second);
        table.row(["measured".to_owned(), format!("{}: `{}`, {rate}; {}", run.date, run.command, run.machine)]);
    }
    if measured.provisional {
        table.row(["provisional", "some of the measurements are estimates: see above"]);
    }
    let assumed = measured.archive.by_name();
    let assumed: Vec<_> = assumed.iter().filter(|(_, value, _)| value.assumed).map(|(name, ..)| *name).collect();
    if !assumed.is_empty() {
        table.row(["assumed, not measured".to_owned(), format!("archive: {}", assumed.join(", "))]);
    }
    table.row(["stores".to_owned(), stores(options)]);
    let freed = Vec::from_iter(inputs.prices.freed(&inputs.free)).join(", ");
    let freed = if freed.is_empty() { "none".to_owned() } else { format!("{}: {freed}", options.free_tier) };
    table.row(["free tiers".to_owned(), freed]);
    if !options.repeats.is_zero() {
        table.row(["repeated".to_owned(), format!("{} % of the uplinks arrive twice", percent(options.repeats))]);
    }
}

fn stores(options: &Options) -> String {
    let kept = |days: u32| if days == 0 { "for ever".to_owned() } else { format!("for {days} days") };
    format!(
        "after {} months; archive kept {}, settled every {} minutes{}; pulses in a table kept {}; raw uplinks in a table kept {}; \
         used part of the tables' capacity {}",
        options.months,
        kept(options.archive_days),
        options.settle_minutes,
        if options.kms { ", with a key of KMS" } else { "" },
        kept(options.pulse_days),
        kept(options.raw_days),
        options.utilisation
    )
}

fn note(design: &Design) -> Option<String> {
    let Design::Study(name, design, accounting) = design else { return None };
    let slip = match design {
        study::Design::Rented => Some(("0.0021", "0.00021")),
        study::Design::Monitored => Some(("0.0071", "0.00071")),
        _ => None,
    };
    match (slip, accounting) {
        (Some((printed, right)), _) => Some(format!(
            "{name}: machines as the study tested them: small ones up to 360,000 messages an hour, larger ones up to 3.6 million, none \
             above; for 180,000 devices the study prints {printed} a device, with the decimal point misplaced: {right} is right"
        )),
        (None, Accounting::Printed) => Some(format!(
            "{name}: prices of 2020; without the hours of the load balancer, receiving and deleting, logs, addresses, and the \
             database (docs/cost.md)"
        )),
        (None, _) => None,
    }
}

/// The bills of a fleet, side by side. A bill in another currency has the currency in its column name.
pub fn bills(load: &Load, bills: &[Bill], currency: &str) -> Table {
    let heads = bills.iter().map(|bill| match bill.currency.as_str() {
        same if same == currency => bill.design.clone(),
        other => format!("{} ({other})", bill.design),
    });
    let head = std::iter::once("a month".to_owned()).chain(heads).collect();
    let title = format!(
        "{} devices, uplinks per device and hour: {}, {} % on Sigfox: {currency} a month",
        load.devices,
        load.per_hour.normalize(),
        percent(load.sigfox_share)
    );
    let mut table = Table { title, head, rows: Vec::new() };
    let line = |name: &'static str| move |bill: &Bill| amount(bill, name);
    for name in services(bills, false) {
        row(&mut table, name, bills, line(name));
    }
    row(&mut table, "of these, counted by the study", bills, |bill| cents(counted(bill)));
    row(&mut table, "the same with public addresses", bills, |bill| cents(counted(bill) + bill.of("Public IPv4")));
    row(&mut table, "without the database", bills, |bill| cents(bill.without_database()));
    row(&mut table, "per device", bills, |bill| small(bill.per_device(bill.without_database())));
    for name in services(bills, true) {
        row(&mut table, name, bills, line(name));
    }
    row(&mut table, "total", bills, |bill| cents(bill.total()));
    row(&mut table, "total per device", bills, |bill| small(bill.per_device(bill.total())));
    row(&mut table, "largest part", bills, |bill| dominant(bill.dominant()));
    row(&mut table, "largest part without the database", bills, |bill| dominant(bill.dominant_without_database()));
    table
}

/// The billed items of a design of ours; `None` for another one. Amounts are without free tiers and at the first tier's
/// price; a row for each line of the bill has the difference.
///
/// # Errors
/// [`Error::Invalid`] if a price is missing.
pub fn items(bill: &Bill, prices: &Prices) -> Result<Option<Table>, Error> {
    if bill.items.is_empty() {
        return Ok(None);
    }
    let title = format!("{} devices, {}: items, {} a month", bill.devices, bill.design, bill.currency);
    let mut table = Table::new(title, &["service", "item", "for", "quantity", "unit", "price", "amount"]);
    for line in &bill.lines {
        let mut sum = Decimal::ZERO;
        for item in bill.items.iter().filter(|item| item.service == line.service && !item.quantity.is_zero()) {
            let price = prices.price(item.price)?;
            let each = price.tiers.first().map_or(Decimal::ZERO, |tier| tier.price);
            let amount = each.checked_mul(item.quantity).unwrap_or(Decimal::MAX);
            sum = sum.checked_add(amount).unwrap_or(Decimal::MAX);
            table.row([
                line.service.to_owned(),
                price.item.clone(),
                item.purpose.to_owned(),
                quantity(item.quantity),
                price.unit.clone(),
                each.normalize().to_string(),
                cents(amount),
            ]);
        }
        let less = line.amount - sum;
        if !rounded(less, 2).is_zero() {
            let texts = [line.service, "free tiers and tiers", "", "", "", "", &cents(less)].map(str::to_owned);
            table.row(texts);
        }
    }
    table.row(["total", "", "", "", "", "", &cents(bill.total())].map(str::to_owned));
    Ok(Some(table))
}

/// Formats a quantity: a small one with digits after the point.
fn quantity(quantity: Decimal) -> String {
    let digits = if quantity < dec!(100) { 2 } else { 0 };
    rounded(quantity, digits).to_string()
}

/// The totals of each design, a column for each fleet.
pub fn totals(fleets: &[Vec<Bill>], currency: &str) -> Table {
    let sizes = fleets.iter().filter_map(|bills| bills.first()).map(|bill| format!("{} devices", bill.devices));
    let head = std::iter::once("total".to_owned()).chain(sizes).collect();
    let mut table = Table { title: format!("Totals, {currency} a month"), head, rows: Vec::new() };
    for (index, design) in fleets.first().into_iter().flatten().enumerate() {
        let of_design: Vec<_> = fleets.iter().map(|bills| bills[index].clone()).collect();
        row(&mut table, &design.design, &of_design, |bill| cents(bill.total()));
    }
    table
}

fn percent(part: Decimal) -> Decimal {
    (part * dec!(100)).normalize()
}

fn dominant(most: Option<(&'static str, Decimal)>) -> String {
    most.map_or_else(|| "-".to_owned(), |(name, part)| format!("{name}: {} %", rounded(part * dec!(100), 0)))
}

/// Rows of the study's tables: bus, load balancer, functions, API, and containers or machines. Public addresses are not among
/// them, because AWS bills them only since 2024.
const COUNTED: [&str; 10] =
    ["SQS", "Kinesis", "NLB", "Lambda", "API Gateway", "EC2", "Fargate", "Machines", "Everything else", "Monitoring"];

fn counted(bill: &Bill) -> Decimal {
    COUNTED.iter().map(|service| bill.of(service)).sum()
}

fn row(table: &mut Table, name: &str, bills: &[Bill], cell: impl Fn(&Bill) -> String) {
    let cell = |bill: &Bill| if bill.is_known() { cell(bill) } else { "-".to_owned() };
    table.row(std::iter::once(name.to_owned()).chain(bills.iter().map(cell)));
}

/// Services on any of the bills, in order of appearance.
fn services(bills: &[Bill], database: bool) -> Vec<&'static str> {
    let mut services = Vec::new();
    for line in bills.iter().flat_map(|bill| &bill.lines).filter(|line| line.database == database) {
        if !services.contains(&line.service) {
            services.push(line.service);
        }
    }
    services
}

fn amount(bill: &Bill, service: &str) -> String {
    let there = bill.lines.iter().any(|line| line.service == service);
    if there { cents(bill.of(service)) } else { "-".to_owned() }
}

fn cents(amount: Decimal) -> String {
    rounded(amount, 2).to_string()
}

/// Formats an amount per device.
fn small(amount: Decimal) -> String {
    rounded(amount, 6).to_string()
}

/// Changes that would reduce the bills of our designs; `None` if none of the designs is ours.
///
/// # Errors
/// [`Error::Invalid`] if a price is missing.
pub fn changes(load: &Load, designs: &[Design], inputs: &Inputs) -> Result<Option<Table>, Error> {
    let ours = designs.iter().filter(|design| matches!(design, Design::Ours(..)));
    let columns: Vec<(&str, Vec<Saving>)> =
        ours.map(|d| Ok((d.name(), savings::of(d, load, inputs)?))).collect::<Result<_, Error>>()?;
    if columns.is_empty() {
        return Ok(None);
    }
    let head = std::iter::once("change").chain(columns.iter().map(|(name, _)| *name)).map(str::to_owned).collect();
    let title = format!(
        "{} devices: savings by change, {} a month (negative: additional cost)",
        load.devices, inputs.prices.currency
    );
    let mut table = Table { title, head, rows: Vec::new() };
    for change in in_order(&columns) {
        let cell = |savings: &Vec<Saving>| {
            let saving = savings.iter().find(|saving| saving.change == change);
            saving.map_or_else(|| "-".to_owned(), |saving| cents(saving.amount))
        };
        table.row(std::iter::once(change.to_owned()).chain(columns.iter().map(|(_, savings)| cell(savings))));
    }
    let most = |savings: &Vec<Saving>| savings.first().map_or("-", |saving| saving.change).to_owned();
    table.row(std::iter::once("largest saving".to_owned()).chain(columns.iter().map(|(_, savings)| most(savings))));
    Ok(Some(table))
}

/// Every change once, ordered by its largest saving in any column.
fn in_order(columns: &[(&str, Vec<Saving>)]) -> Vec<&'static str> {
    let mut all: Vec<&Saving> = columns.iter().flat_map(|(_, savings)| savings).collect();
    all.sort_by_key(|saving| std::cmp::Reverse(saving.amount));
    let mut changes = Vec::new();
    for saving in all {
        if !changes.contains(&saving.change) {
            changes.push(saving.change);
        }
    }
    changes
}
