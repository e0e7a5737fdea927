//! Metrics that are added up instead of printed: who runs a function ten thousand times wants their sums.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;

/// Sums, by the part that measured and the metric's name.
pub type Tally = BTreeMap<(String, String), u64>;

thread_local!(static TALLY: RefCell<Option<Tally>> = const { RefCell::new(None) });

/// From now on, what is measured on this thread is added up.
pub fn start() {
    TALLY.set(Some(Tally::new()));
}

/// The sums since then. What is measured from now on is printed again.
pub fn end() -> Tally {
    TALLY.take().unwrap_or_default()
}

/// Adds metrics up; `false` if nobody asked for that. Only whole numbers have a sum.
pub(crate) fn takes(part: &str, metrics: &[(&str, &Value)]) -> bool {
    TALLY.with_borrow_mut(|tally| {
        let Some(tally) = tally else { return false };
        for (name, value) in metrics.iter().flat_map(|(_, values)| values.as_object().into_iter().flatten()) {
            *tally.entry((part.to_owned(), name.clone())).or_default() += value.as_u64().unwrap_or_default();
        }
        true
    })
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::telemetry::Counts;

    #[test]
    fn what_is_measured_between_start_and_end_is_added_up() {
        start();
        for stored in [2, 3] {
            Counts { received: 4, stored, ..Counts::default() }.emit("test", 1, Instant::now());
        }
        let tally = end();
        let sum = |name: &str| tally[&("test".to_owned(), name.to_owned())];
        assert_eq!((sum("received"), sum("stored"), sum("refused")), (8, 5, 0));
        assert_eq!(end(), Tally::new());
    }
}
