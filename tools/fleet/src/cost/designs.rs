//! All designs by name, each reckoned for any fleet.

use super::aws::Rates;
use super::bill::Bill;
use super::load::Load;
use super::measurement::Measurement;
use super::options::Options;
use super::ours::{self, Callbacks, Database, Setup};
use super::prices::{FreeTiers, Prices};
use super::study::{self, Accounting};
use super::today;
use crate::Problem;

/// A design.
#[derive(Debug, Clone, PartialEq)]
pub enum Design {
    /// Ours.
    Ours(String, Box<Setup>),
    /// One of the study.
    Study(String, study::Design, Accounting),
    /// One of [`today::NAMES`].
    Model(&'static str),
}

/// What bills are reckoned from.
#[derive(Debug)]
pub struct Inputs {
    /// Today's prices, or those of a file.
    pub prices: Prices,
    /// The study's.
    pub study: Prices,
    /// What was measured.
    pub measured: Measurement,
    /// Free tiers that are taken off from ours.
    pub free: FreeTiers,
}

impl Inputs {
    /// Reads them.
    ///
    /// # Errors
    /// [`Problem`], naming the file.
    pub fn read(options: &Options) -> Result<Self, Problem> {
        let prices = Prices::read(options.prices.as_deref())?;
        let free = options.free_tiers(&prices)?;
        let measured = Measurement::read(options.measured.as_deref())?;
        Ok(Self { prices, study: Prices::study()?, measured, free })
    }
}

impl Design {
    /// What it is called.
    pub fn name(&self) -> &str {
        match self {
            Self::Ours(name, _) | Self::Study(name, ..) => name,
            Self::Model(name) => name,
        }
    }

    /// What a month of it costs.
    ///
    /// # Errors
    /// [`Problem::Wrong`] if a price is missing.
    pub fn bill(&self, load: &Load, inputs: &Inputs) -> Result<Bill, Problem> {
        match self {
            Self::Ours(name, setup) => {
                let aws = Rates { prices: &inputs.prices, free: inputs.free.clone() };
                ours::bill(name, setup, load, &inputs.measured, &aws)
            }
            Self::Study(_, design, Accounting::Printed) => design.bill(Accounting::Printed, load, &inputs.study),
            Self::Study(_, design, accounting) => design.bill(*accounting, load, &inputs.prices),
            Self::Model(name) => Ok(today::bill(name, load, &inputs.prices)?
                .unwrap_or_else(|| Bill::new(*name, &inputs.prices.currency, load.devices))),
        }
    }
}

/// The designs that the options name, each once.
///
/// # Errors
/// [`Problem::Wrong`] for a name that there is not.
pub fn chosen(options: &Options) -> Result<Vec<Design>, Problem> {
    let all = all(options);
    let mut chosen: Vec<Design> = Vec::new();
    for asked in &options.design {
        let found: Vec<_> = all.iter().filter(|(group, design)| *group == asked || design.name() == asked).collect();
        if found.is_empty() {
            let names: Vec<_> = all.iter().map(|(_, design)| design.name()).collect();
            let groups = "ours, study, corrected, model";
            return Err(Problem::Wrong(format!("no design \"{asked}\"; there are {groups}, and {}", names.join(", "))));
        }
        for (_, design) in found {
            if wanted(design, options.database) && !chosen.contains(design) {
                chosen.push(design.clone());
            }
        }
    }
    if chosen.is_empty() {
        return Err(Problem::Wrong(
            "no design is left; --database leaves only those of ours that are paid so".to_owned(),
        ));
    }
    Ok(chosen)
}

fn wanted(design: &Design, database: Option<Database>) -> bool {
    match design {
        Design::Ours(_, setup) => database.is_none_or(|database| setup.database == database),
        Design::Study(..) | Design::Model(_) => true,
    }
}

/// Every design, with the group that it is in.
pub fn all(options: &Options) -> Vec<(&'static str, Design)> {
    let mut all = Vec::new();
    for (callbacks, way) in [(Callbacks::Batch, "batch"), (Callbacks::Single, "single")] {
        for (database, paid) in [(Database::OnDemand, "on-demand"), (Database::Provisioned, "provisioned")] {
            let setup = Box::new(options.setup(callbacks, database));
            all.push(("ours", Design::Ours(format!("ours-{way}-{paid}"), setup)));
        }
    }
    for (name, design, accounting) in today::of_the_study() {
        let group = if accounting == Accounting::Printed { "study" } else { "corrected" };
        all.push((group, Design::Study(name, design, accounting)));
    }
    all.extend(today::NAMES.map(|name| ("model", Design::Model(name))));
    all
}
