//! A price file: each price with its source and date.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rust_decimal::{Decimal, dec};
use serde::Deserialize;

use super::money::{Tier, rounded, tiered};
use crate::Error;

const TODAY: &str = include_str!("../prices/eu-west-1.json");
const STUDY: &str = include_str!("../prices/study-2020.json");
const RENTED: &str = include_str!("../prices/study-2020-rented.json");

/// Maximum price of a unit.
const MAX_PRICE: Decimal = dec!(1_000_000);

/// Maximum cost of a line of a bill. Lines within it can be added and compared without an overflow.
const MAX_COST: Decimal = dec!(1_000_000_000_000_000_000);

/// A price file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Region of the prices that name no other.
    pub region: String,
    /// Currency of the prices.
    pub currency: String,
    /// Date of the file.
    pub compiled: String,
    /// Prices by ID.
    pub prices: BTreeMap<String, Price>,
    /// Name of the file, for error messages.
    #[serde(skip)]
    pub name: String,
    /// IDs of the prices that bills have used.
    #[serde(skip)]
    used: RefCell<BTreeSet<String>>,
}

/// The price of a unit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Service on the bill.
    pub service: String,
    /// Billed item.
    pub item: String,
    /// Unit of the quantity.
    pub unit: String,
    /// Tiers, in order.
    pub tiers: Vec<Tier>,
    /// Free tier.
    pub free: Option<Free>,
    /// Region, if it is not the file's.
    pub region: Option<String>,
    /// Source.
    pub source: String,
    /// Date of the source.
    pub date: String,
    /// Origin of a price that is not from AWS's price list: `secondary` (a source that quotes it) or `memory`.
    pub confidence: Option<String>,
    /// Remark.
    pub note: Option<String>,
}

/// A free tier.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Free {
    /// Units a month.
    #[serde(with = "rust_decimal::serde::str")]
    pub quantity: Decimal,
    /// Duration.
    pub lasts: Lasts,
    /// True if free units count towards the tiers.
    #[serde(default)]
    pub within_tiers: bool,
}

/// Duration of a free tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Lasts {
    /// Without end.
    #[serde(rename = "ever")]
    Ever,
    /// From the opening of the account.
    #[serde(rename = "12 months")]
    TwelveMonths,
}

/// The free tiers to deduct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FreeTiers {
    /// Those without end.
    Ever,
    /// Also those of an account's first year.
    FirstYear,
    /// Those of these services; none if it is empty.
    Of(BTreeSet<String>),
}

impl FreeTiers {
    /// The free tiers of these services.
    pub fn of(services: &[&str]) -> Self {
        Self::Of(services.iter().map(ToString::to_string).collect())
    }

    fn has(&self, price: &Price, free: &Free) -> bool {
        match self {
            Self::Ever => free.lasts == Lasts::Ever,
            Self::FirstYear => true,
            Self::Of(services) => services.contains(&price.service),
        }
    }
}

impl Prices {
    /// The built-in prices of today, of eu-west-1.
    ///
    /// # Errors
    /// [`Error::Invalid`]; a test shows that it does not occur.
    pub fn today() -> Result<Self, Error> {
        Self::parse(TODAY, "the built-in prices")
    }

    /// The study's prices of AWS.
    ///
    /// # Errors
    /// As [`Prices::today`].
    pub fn study() -> Result<Self, Error> {
        Self::parse(STUDY, "the study's prices")
    }

    /// The study's prices of rented machines, in EUR.
    ///
    /// # Errors
    /// As [`Prices::today`].
    pub fn rented() -> Result<Self, Error> {
        Self::parse(RENTED, "the study's prices of machines")
    }

    /// Reads a file; without one, returns the built-in prices.
    ///
    /// # Errors
    /// [`Error`], naming the file and what is wrong with it.
    pub fn read(file: Option<&Path>) -> Result<Self, Error> {
        let Some(file) = file else { return Self::today() };
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|e| Error::File(name.clone(), e))?;
        Self::parse(&text, &name)
    }

    /// Parses a price file; error messages call it `name`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not a price file.
    pub fn parse(text: &str, name: &str) -> Result<Self, Error> {
        let wrong = |what: String| Error::Invalid(format!("{name}: {what}"));
        let mut prices: Self = serde_json::from_str(text).map_err(|e| wrong(format!("not a price file: {e}")))?;
        name.clone_into(&mut prices.name);
        for (id, price) in &prices.prices {
            let first = price.tiers.first().is_some_and(|tier| tier.from.is_zero());
            if !first || !price.tiers.is_sorted_by(|a, b| a.from < b.from) {
                return Err(wrong(format!("the tiers of {id} do not start at 0 and increase")));
            }
            let free = price.free.as_ref().is_some_and(|free| free.quantity < Decimal::ZERO);
            if free || price.tiers.iter().any(|tier| tier.price < Decimal::ZERO || tier.price > MAX_PRICE) {
                return Err(wrong(format!("{id} has a number below zero, or a price above {MAX_PRICE}")));
            }
        }
        Ok(prices)
    }

    /// Returns the price with this ID.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the file lacks it.
    pub fn price(&self, id: &str) -> Result<&Price, Error> {
        self.prices.get(id).ok_or_else(|| {
            Error::Invalid(format!("{} has no price {id}; add it as in prices/eu-west-1.json", self.name))
        })
    }

    /// Parses a comma-separated list of services, whose free tiers to deduct.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a service without a free tier.
    pub fn free_of(&self, services: &str) -> Result<FreeTiers, Error> {
        let there: BTreeSet<_> = self.prices.values().filter(|p| p.free.is_some()).map(|p| &p.service).collect();
        let known = |name: &str| {
            let found = there.iter().find(|service| service.eq_ignore_ascii_case(name.trim()));
            found.map(ToString::to_string).ok_or_else(|| {
                let there: Vec<_> = there.iter().map(|service| service.as_str()).collect();
                let list = there.join(", ");
                Error::Invalid(format!("no free tier of \"{name}\"; use ever, first-year, none, or some of: {list}"))
            })
        };
        Ok(FreeTiers::Of(services.split(',').map(known).collect::<Result<_, _>>()?))
    }

    /// Returns the cost of a quantity.
    ///
    /// # Errors
    /// As [`Prices::price`]; and if the cost is above a limit that prevents overflows.
    pub fn cost(&self, id: &str, quantity: Decimal, free_tiers: &FreeTiers) -> Result<Decimal, Error> {
        let price = self.price(id)?;
        if !quantity.is_zero() {
            self.used.borrow_mut().insert(id.to_owned());
        }
        price.cost(quantity, free_tiers).filter(|cost| *cost <= MAX_COST).ok_or_else(|| {
            Error::Invalid(format!(
                "{id}: the cost of {} {} is too large to calculate",
                rounded(quantity, 0),
                price.unit
            ))
        })
    }

    /// Lists the prices used so far that are not from the price list of the file's own region, with their origin.
    pub fn unsure(&self) -> Vec<String> {
        let used = self.used.borrow();
        let used = self.prices.iter().filter(|(id, _)| used.contains(*id));
        used.filter_map(|(_, p)| Some(format!("{} {} ({})", p.service, p.item, p.why_unsure(&self.region)?))).collect()
    }

    /// Services that have one of these free tiers.
    pub fn freed(&self, free_tiers: &FreeTiers) -> BTreeSet<&str> {
        let freed = |p: &&Price| p.free.as_ref().is_some_and(|free| free_tiers.has(p, free));
        self.prices.values().filter(freed).map(|p| p.service.as_str()).collect()
    }
}

impl Price {
    fn cost(&self, quantity: Decimal, free_tiers: &FreeTiers) -> Option<Decimal> {
        let Some(free) = self.free.as_ref().filter(|free| free_tiers.has(self, free)) else {
            return tiered(&self.tiers, quantity);
        };
        let free_units = free.quantity.min(quantity);
        if free.within_tiers {
            return Some(tiered(&self.tiers, quantity)? - tiered(&self.tiers, free_units)?);
        }
        tiered(&self.tiers, quantity - free_units)
    }

    fn why_unsure(&self, region: &str) -> Option<String> {
        self.confidence.clone().or_else(|| self.region.clone().filter(|own| own != region))
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::dec;

    use super::*;

    #[test]
    fn all_that_are_built_in_say_where_they_are_from() {
        for prices in [Prices::today(), Prices::study(), Prices::rented()] {
            for (id, price) in &prices.unwrap().prices {
                assert!(price.source.len() > 10 && price.date.len() >= 4, "{id}");
                let confidence = price.confidence.as_deref();
                assert!(matches!(confidence, None | Some("secondary" | "memory")), "{id}: {confidence:?}");
            }
        }
    }

    #[test]
    fn a_free_tier_is_taken_off_only_where_it_is_meant() {
        let prices = Prices::today().unwrap();
        let cost = |id, free| prices.cost(id, dec!(3_000_000), &free).unwrap();
        assert_eq!(cost("sqs-request", FreeTiers::Ever), dec!(0.8));
        assert_eq!(cost("sqs-request", FreeTiers::of(&["Lambda"])), dec!(1.2));
        assert_eq!(cost("api-request", FreeTiers::Ever), dec!(3.33));
        assert_eq!(cost("api-request", FreeTiers::FirstYear), dec!(2.22));
        assert_eq!(prices.cost("sqs-request", dec!(5), &FreeTiers::Ever).unwrap(), dec!(0));
    }

    #[test]
    fn free_calls_of_the_api_are_its_dearest_ones() {
        let prices = Prices::today().unwrap();
        let cost = prices.cost("api-request", dec!(301_000_000), &FreeTiers::FirstYear).unwrap();
        assert_eq!(cost, dec!(299) * dec!(1.11) + dec!(1));
    }

    #[test]
    fn only_prices_that_a_bill_rests_on_are_unsure() {
        let prices = Prices::today().unwrap();
        for (id, quantity) in [("sqs-request", dec!(1)), ("ebs-gb-month", dec!(0)), ("kinesis-shard-hour", dec!(5))] {
            prices.cost(id, quantity, &FreeTiers::Ever).unwrap();
        }
        assert_eq!(prices.unsure(), ["Kinesis provisioned shard-hour (secondary)"]);
        prices.cost("kinesis-long-retention-shard-hour", dec!(5), &FreeTiers::Ever).unwrap();
        assert_eq!(prices.unsure()[0], "Kinesis shard-hour of extended retention (us-east-1)");
    }

    #[test]
    fn the_first_year_takes_off_what_lasts_and_the_api_s_calls() {
        let prices = Prices::today().unwrap();
        let (ever, year) = (prices.freed(&FreeTiers::Ever), prices.freed(&FreeTiers::FirstYear));
        assert_eq!(year.difference(&ever).collect::<Vec<_>>(), [&"API Gateway"]);
        assert!(ever.contains("Lambda") && prices.freed(&FreeTiers::of(&[])).is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        let tier = |from: &str| format!(r#"{{"from":"{from}","price":"1"}}"#);
        let file = |tiers: &str| {
            format!(
                r#"{{"region":"x","currency":"USD","compiled":"2026","prices":{{"a":{{"service":"A","item":"a",
                "unit":"a","tiers":[{tiers}],"source":"s","date":"2026"}}}}}}"#
            )
        };
        let problem = |text: &str| Prices::parse(text, "p.json").unwrap_err().in_full();
        assert!(problem("{}").starts_with("p.json: not a price file: missing field `region`"));
        let order = "p.json: the tiers of a do not start at 0 and increase";
        assert_eq!(problem(&file("")), order);
        assert_eq!(problem(&file(&tier("5"))), order);
        assert_eq!(problem(&file(&format!("{},{}", tier("0"), tier("0")))), order);
        let dear = tier("0").replace(r#""1""#, r#""1000001""#);
        assert_eq!(problem(&file(&dear)), "p.json: a has a number below zero, or a price above 1000000");
        let prices = Prices::parse(&file(&tier("0")), "p.json").unwrap();
        let much = prices.cost("a", Decimal::MAX, &FreeTiers::Ever).unwrap_err().in_full();
        assert!(much.starts_with("a: the cost of 79228162514264337593543950335 a is too large to calculate"), "{much}");
        let problem = prices.cost("b", dec!(1), &FreeTiers::Ever).unwrap_err().in_full();
        assert_eq!(problem, "p.json has no price b; add it as in prices/eu-west-1.json");
    }
}
