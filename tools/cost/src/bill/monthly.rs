//! A monthly bill, line by line.

use rust_decimal::Decimal;

/// The bill of a design for a month.
#[derive(Debug, Clone, PartialEq)]
pub struct Bill {
    /// Name of the design.
    pub design: String,
    /// Currency.
    pub currency: String,
    /// Number of meters.
    pub devices: u64,
    /// Lines by service; empty if the cost is unknown, because the design was not tried at this size.
    pub lines: Vec<Line>,
    /// The quantities bought, for our own designs; the lines are the costs of these.
    pub items: Vec<Item>,
}

/// A quantity that AWS bills.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Line of the bill.
    pub service: &'static str,
    /// Its purpose.
    pub purpose: &'static str,
    /// ID of the price.
    pub price: &'static str,
    /// Quantity, in the unit of the price.
    pub quantity: Decimal,
}

/// A line of a bill.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Billed service.
    pub service: &'static str,
    /// True if the line is for the database, which comparisons with the study leave out.
    pub database: bool,
    /// Exact amount.
    pub amount: Decimal,
}

impl Bill {
    /// Creates a bill without lines.
    pub fn new(design: impl Into<String>, currency: &str, devices: u64) -> Self {
        Self { design: design.into(), currency: currency.to_owned(), devices, lines: Vec::new(), items: Vec::new() }
    }

    /// True if the cost is known.
    pub fn is_known(&self) -> bool {
        !self.lines.is_empty()
    }

    /// Adds an amount to the line of a service, or a new line.
    #[must_use]
    pub fn with(self, service: &'static str, amount: Decimal) -> Self {
        self.add(service, false, amount)
    }

    /// As [`Bill::with`], for the database.
    #[must_use]
    pub fn with_database(self, service: &'static str, amount: Decimal) -> Self {
        self.add(service, true, amount)
    }

    fn add(mut self, service: &'static str, database: bool, amount: Decimal) -> Self {
        match self.lines.iter_mut().find(|line| line.service == service) {
            Some(line) => line.amount += amount,
            None => self.lines.push(Line { service, database, amount }),
        }
        self
    }

    /// Cost of a service; 0 if it is not on the bill.
    pub fn of(&self, service: &str) -> Decimal {
        self.lines.iter().filter(|line| line.service == service).map(|line| line.amount).sum()
    }

    /// Cost without the database.
    pub fn without_database(&self) -> Decimal {
        self.lines.iter().filter(|line| !line.database).map(|line| line.amount).sum()
    }

    /// Cost of the database.
    pub fn database(&self) -> Decimal {
        self.total() - self.without_database()
    }

    /// Total cost.
    pub fn total(&self) -> Decimal {
        self.lines.iter().map(|line| line.amount).sum()
    }

    /// An amount for each device; 0 if there are no devices.
    pub fn per_device(&self, amount: Decimal) -> Decimal {
        amount.checked_div(Decimal::from(self.devices)).unwrap_or_default()
    }

    /// The most expensive service, and its part of the total, from 0 to 1. `None` if the total is 0.
    pub fn dominant(&self) -> Option<(&'static str, Decimal)> {
        let most = self.lines.iter().max_by_key(|line| line.amount)?;
        Some((most.service, most.amount.checked_div(self.total())?))
    }

    /// As [`Bill::dominant`], without the database.
    pub fn dominant_without_database(&self) -> Option<(&'static str, Decimal)> {
        let most = self.lines.iter().filter(|line| !line.database).max_by_key(|line| line.amount)?;
        Some((most.service, most.amount.checked_div(self.without_database())?))
    }
}
