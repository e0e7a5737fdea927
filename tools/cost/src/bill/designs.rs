//! All designs by name, and the bill of each.

use super::monthly::Bill;
use super::options::Options;
use super::pulsegate::setup::{Callbacks, Database, Setup, Store};
use super::study::{self, Accounting};
use super::{packed, pulsegate};
use crate::Error;
use crate::aws::Rates;
use crate::load::Load;
use crate::measurement::Measurement;
use crate::prices::{FreeTiers, Prices};

/// A design.
#[derive(Debug, Clone, PartialEq)]
pub enum Design {
    /// A variant of this project's design.
    Ours(String, Box<Setup>),
    /// A design of the study.
    Study(String, study::Design, Accounting),
    /// One of [`packed::NAMES`].
    Model(&'static str),
}

/// The inputs of bills.
#[derive(Debug)]
pub struct Inputs {
    /// Built-in prices, or those of a file.
    pub prices: Prices,
    /// The study's prices.
    pub study: Prices,
    /// Measurements.
    pub measured: Measurement,
    /// Free tiers to deduct from our bills.
    pub free: FreeTiers,
}

impl Inputs {
    /// Reads the inputs that the options name.
    ///
    /// # Errors
    /// [`Error`], naming the file.
    pub fn read(options: &Options) -> Result<Self, Error> {
        let prices = Prices::read(options.prices.as_deref())?;
        let free = options.free_tiers(&prices)?;
        let measured = Measurement::read(options.measured.as_deref())?;
        Ok(Self { prices, study: Prices::study()?, measured, free })
    }
}

impl Design {
    /// The name of the design.
    pub fn name(&self) -> &str {
        match self {
            Self::Ours(name, _) | Self::Study(name, ..) => name,
            Self::Model(name) => name,
        }
    }

    /// Calculates the monthly bill.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a price is missing.
    pub fn bill(&self, load: &Load, inputs: &Inputs) -> Result<Bill, Error> {
        match self {
            Self::Ours(name, setup) => {
                let aws = Rates { prices: &inputs.prices, free: inputs.free.clone() };
                pulsegate::bill(name, setup, load, &inputs.measured, &aws)
            }
            Self::Study(_, design, Accounting::Printed) => design.bill(Accounting::Printed, load, &inputs.study),
            Self::Study(_, design, accounting) => design.bill(*accounting, load, &inputs.prices),
            Self::Model(name) => Ok(packed::bill(name, load, &inputs.prices)?
                .unwrap_or_else(|| Bill::new(*name, &inputs.prices.currency, load.devices))),
        }
    }
}

/// Returns the designs that the options name, each once.
///
/// # Errors
/// [`Error::Invalid`] for an unknown name.
pub fn chosen(options: &Options) -> Result<Vec<Design>, Error> {
    let all = all(options);
    let mut chosen: Vec<Design> = Vec::new();
    for asked in &options.design {
        let found: Vec<_> = all.iter().filter(|(group, design)| *group == asked || design.name() == asked).collect();
        if found.is_empty() {
            let names: Vec<_> = all.iter().map(|(_, design)| design.name()).collect();
            let groups = "ours, single, tables, study, corrected, model";
            return Err(Error::Invalid(format!("no design \"{asked}\"; use {groups}, or {}", names.join(", "))));
        }
        for (_, design) in found {
            if wanted(design, options.database) && !chosen.contains(design) {
                chosen.push(design.clone());
            }
        }
    }
    if chosen.is_empty() {
        return Err(Error::Invalid(
            "no design is left; --database selects only our designs with that payment".to_owned(),
        ));
    }
    Ok(chosen)
}

fn wanted(design: &Design, database: Option<Database>) -> bool {
    match design {
        Design::Ours(_, setup) => {
            setup.store == Store::Archive || database.is_none_or(|database| setup.database == database)
        }
        Design::Study(..) | Design::Model(_) => true,
    }
}

/// Returns every design with its group.
pub fn all(options: &Options) -> Vec<(&'static str, Design)> {
    let mut all = Vec::new();
    let ours = |group, name: String, store, callbacks, database| {
        (group, Design::Ours(name, Box::new(options.setup(store, callbacks, database))))
    };
    let payments = [(Database::OnDemand, "on-demand"), (Database::Provisioned, "provisioned")];
    for (callbacks, way, group) in [(Callbacks::Batch, "batch", "ours"), (Callbacks::Single, "single", "single")] {
        all.push(ours(group, format!("archive-{way}"), Store::Archive, callbacks, Database::OnDemand));
        for (database, paid) in payments {
            all.push(ours(group, format!("pulses-{way}-{paid}"), Store::Pulses, callbacks, database));
        }
        for (database, paid) in payments {
            all.push(ours("tables", format!("tables-{way}-{paid}"), Store::Tables, callbacks, database));
        }
    }
    for (name, design, accounting) in packed::of_the_study() {
        let group = if accounting == Accounting::Printed { "study" } else { "corrected" };
        all.push((group, Design::Study(name, design, accounting)));
    }
    all.extend(packed::NAMES.map(|name| ("model", Design::Model(name))));
    all
}
