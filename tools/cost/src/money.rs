//! Exact decimal arithmetic: tiered prices, and rounding, which only printing uses.

use rust_decimal::{Decimal, RoundingStrategy};
use serde::Deserialize;

/// The price of each unit from a quantity on, up to the start of the next tier.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Quantity at which the tier starts; the first unit has number 0.
    #[serde(with = "rust_decimal::serde::str")]
    pub from: Decimal,
    /// Price of a unit.
    #[serde(with = "rust_decimal::serde::str")]
    pub price: Decimal,
}

/// Returns the cost of a quantity, each unit at the price of its tier. The tiers are in order, and the first starts at 0.
/// Returns `None` on an overflow.
pub fn tiered(tiers: &[Tier], quantity: Decimal) -> Option<Decimal> {
    let ends = tiers.iter().skip(1).map(|tier| Some(tier.from)).chain([None]);
    tiers.iter().zip(ends).try_fold(Decimal::ZERO, |sum, (tier, end)| {
        let upto = end.map_or(quantity, |end| end.min(quantity));
        sum.checked_add((upto - tier.from).max(Decimal::ZERO).checked_mul(tier.price)?)
    })
}

/// Rounds to `digits` digits after the point, halves up.
pub fn rounded(amount: Decimal, digits: u32) -> Decimal {
    let mut amount = amount.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero);
    amount.rescale(digits);
    amount
}

/// Converts a measured number to a decimal of 15 digits, the precision of a float.
///
/// The bounds of measured numbers were checked when they were read.
pub fn measured(value: f64) -> Decimal {
    Decimal::try_from(value).unwrap_or_default()
}

/// Rounds up to a whole number.
pub fn whole(value: Decimal) -> Decimal {
    value.ceil()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::dec;

    use super::*;

    fn tiers() -> [Tier; 3] {
        [
            Tier { from: dec!(0), price: dec!(0.0000004) },
            Tier { from: dec!(100_000_000_000), price: dec!(0.0000003) },
            Tier { from: dec!(200_000_000_000), price: dec!(0.00000024) },
        ]
    }

    #[test]
    fn each_unit_costs_what_its_tier_does() {
        let cases = [
            (dec!(0), dec!(0)),
            (dec!(1), dec!(0.0000004)),
            (dec!(100_000_000_000), dec!(40000)),
            (dec!(150_000_000_000), dec!(55000)),
            (dec!(300_000_000_000), dec!(94000)),
        ];
        for (quantity, cost) in cases {
            assert_eq!(tiered(&tiers(), quantity), Some(cost), "{quantity}");
        }
        assert_eq!(tiered(&[Tier { from: dec!(0), price: dec!(10) }], Decimal::MAX), None);
    }

    #[test]
    fn halves_go_up_and_digits_are_kept() {
        assert_eq!(rounded(dec!(0.165), 2).to_string(), "0.17");
        assert_eq!(rounded(dec!(2102.4), 2).to_string(), "2102.40");
        assert_eq!(rounded(dec!(0.00003222), 5).to_string(), "0.00003");
    }

    proptest! {
        #[test]
        fn two_parts_of_a_quantity_never_cost_less_than_the_whole(a in 0_u64..400_000_000_000, b in 0_u64..400_000_000_000) {
            let cost = |quantity: u64| tiered(&tiers(), quantity.into()).unwrap();
            prop_assert!(cost(a) + cost(b) >= cost(a + b));
            prop_assert!(cost(a + b) >= cost(a), "prices are not below zero");
        }

        #[test]
        fn what_was_measured_keeps_its_digits(value in 0.0_f64..1e9) {
            let decimal = measured(value);
            let back: f64 = decimal.to_string().parse().unwrap();
            prop_assert!((back - value).abs() <= value * 1e-12 + 1e-12, "{value} became {decimal}");
        }
    }
}
