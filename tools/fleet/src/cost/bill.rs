//! A month's bill.

use rust_decimal::Decimal;

/// What one would pay for a month.
#[derive(Debug, Clone, PartialEq)]
pub struct Bill {
    /// Of which design.
    pub design: String,
    /// What it is in.
    pub currency: String,
    /// Of how many meters.
    pub devices: u64,
    /// By service; none where nobody has tried what it takes.
    pub lines: Vec<Line>,
}

/// A line of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// For what.
    pub service: &'static str,
    /// Whether it is for the database, which is left out of comparisons with the study.
    pub database: bool,
    /// Exact.
    pub amount: Decimal,
}

impl Bill {
    /// Nothing on it yet.
    pub fn new(design: impl Into<String>, currency: &str, devices: u64) -> Self {
        Self { design: design.into(), currency: currency.to_owned(), devices, lines: Vec::new() }
    }

    /// Whether anybody knows what it comes to.
    pub fn is_known(&self) -> bool {
        !self.lines.is_empty()
    }

    /// One more line, or more on one that is there.
    #[must_use]
    pub fn with(self, service: &'static str, amount: Decimal) -> Self {
        self.add(service, false, amount)
    }

    /// The same for the database.
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

    /// What is paid for a service; 0 if it is not on the bill.
    pub fn of(&self, service: &str) -> Decimal {
        self.lines.iter().filter(|line| line.service == service).map(|line| line.amount).sum()
    }

    /// All but the database.
    pub fn without_database(&self) -> Decimal {
        self.lines.iter().filter(|line| !line.database).map(|line| line.amount).sum()
    }

    /// The database alone.
    pub fn database(&self) -> Decimal {
        self.total() - self.without_database()
    }

    /// All of it.
    pub fn total(&self) -> Decimal {
        self.lines.iter().map(|line| line.amount).sum()
    }

    /// An amount by device; 0 of none.
    pub fn per_device(&self, amount: Decimal) -> Decimal {
        amount.checked_div(Decimal::from(self.devices)).unwrap_or_default()
    }

    /// The service that most is paid for, and its part of the whole, from 0 to 1. `None` where all is free.
    pub fn dominant(&self) -> Option<(&'static str, Decimal)> {
        let most = self.lines.iter().max_by_key(|line| line.amount)?;
        Some((most.service, most.amount.checked_div(self.total())?))
    }

    /// The same of all but the database.
    pub fn dominant_without_database(&self) -> Option<(&'static str, Decimal)> {
        let most = self.lines.iter().filter(|line| !line.database).max_by_key(|line| line.amount)?;
        Some((most.service, most.amount.checked_div(self.without_database())?))
    }
}
