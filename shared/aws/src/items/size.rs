//! The size of an item.

use serde_dynamo::AttributeValue;

use super::Item;

/// Returns the size of an item in bytes as DynamoDB counts it, or slightly more: AWS gives the size of numbers only
/// "approximately".
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>)
pub fn item_size(item: &Item) -> usize {
    item.inner().iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &AttributeValue) -> usize {
    /// Bytes of a list or a map, and 1 for each of its members.
    const OVERHEAD: usize = 3;
    const MEMBER: usize = 1;
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => number_size(digits),
        AttributeValue::B(bytes) => bytes.len(),
        AttributeValue::Ss(all) => all.iter().map(String::len).sum(),
        AttributeValue::Ns(all) => all.iter().map(|digits| number_size(digits)).sum(),
        AttributeValue::Bs(all) => all.iter().map(Vec::len).sum(),
        AttributeValue::L(all) => OVERHEAD + all.iter().map(|value| MEMBER + value_size(value)).sum::<usize>(),
        AttributeValue::M(all) => {
            OVERHEAD + all.iter().map(|(name, value)| MEMBER + name.len() + value_size(value)).sum::<usize>()
        }
        AttributeValue::Bool(_) | AttributeValue::Null(_) => 1,
    }
}

/// One byte per two significant digits, plus one; one more because AWS's figure is approximate.
fn number_size(digits: &str) -> usize {
    digits.len().div_ceil(2) + 2
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_count_and_so_does_what_lists_and_maps_add() {
        for (value, size) in [
            (json!({}), 0),
            (json!({"name": "text"}), 4 + 4),
            (json!({"n": 123}), 1 + 4),
            (json!({"yes": true}), 3 + 1),
            (json!({"l": ["ab", "c"]}), 1 + 3 + (1 + 2) + (1 + 1)),
            (json!({"m": {"ab": "c"}}), 1 + 3 + (1 + 2 + 1)),
        ] {
            assert_eq!(item_size(&serde_dynamo::to_item(&value).unwrap()), size, "{value}");
        }
    }
}
