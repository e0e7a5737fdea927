//! Parser for the bridge's counters, from the text of `/metrics`.

use std::collections::BTreeMap;

/// Counters by name, labels included. Gauges are left out, since their differences mean nothing.
pub(super) fn counters(text: &str) -> BTreeMap<String, f64> {
    let mut counted = Vec::new();
    let mut counters = BTreeMap::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            counted.extend(
                kind.split_once(' ').filter(|(_, kind)| matches!(*kind, "counter" | "histogram")).map(|(n, _)| n),
            );
        } else if !line.starts_with('#')
            && let Some((name, value)) = line.rsplit_once(' ')
            && let Ok(value) = value.parse::<f64>()
            && counted.iter().any(|family| is_of(name, family))
        {
            counters.insert(name.to_owned(), value);
        }
    }
    counters
}

/// A counter `x` has `x_total`, a histogram `x_sum` and `x_count`. Buckets are left out, because of their number.
fn is_of(name: &str, family: &str) -> bool {
    let rest = name.split('{').next().and_then(|name| name.strip_prefix(family));
    matches!(rest, Some("" | "_total" | "_sum" | "_count"))
}

/// Adds the increases since the last sample. A counter that has decreased is of a restarted bridge.
pub(super) fn add(sum: &mut BTreeMap<String, f64>, before: &BTreeMap<String, f64>, now: &BTreeMap<String, f64>) {
    for (name, &value) in now {
        let before = before.get(name).copied().unwrap_or_default();
        *sum.entry(name.clone()).or_default() += if value < before { value } else { value - before };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP pulsegate_bridge_received datagrams that have come in.
# TYPE pulsegate_bridge_received counter
pulsegate_bridge_received_total 12
# TYPE pulsegate_bridge_refused counter
pulsegate_bridge_refused_total{reason=\"a tag\"} 3
# TYPE pulsegate_bridge_in_flight gauge
pulsegate_bridge_in_flight 5
# TYPE pulsegate_bridge_put_seconds histogram
pulsegate_bridge_put_seconds_sum 1.5
pulsegate_bridge_put_seconds_count 4
pulsegate_bridge_put_seconds_bucket{le=\"0.002\"} 1
# EOF
";

    #[test]
    fn counters_and_histograms_are_read_and_gauges_are_not() {
        let counters = counters(TEXT);
        assert!((counters["pulsegate_bridge_received_total"] - (12.0)).abs() < 1e-9);
        assert!((counters["pulsegate_bridge_refused_total{reason=\"a tag\"}"] - (3.0)).abs() < 1e-9);
        assert!((counters["pulsegate_bridge_put_seconds_sum"] - (1.5)).abs() < 1e-9);
        assert_eq!(counters.len(), 4);
    }

    #[test]
    fn what_a_bridge_counts_after_it_was_started_anew_is_added_too() {
        let of = |value: f64| BTreeMap::from([("received".to_owned(), value)]);
        let mut sum = BTreeMap::new();
        for (before, now) in [(10.0, 15.0), (15.0, 15.0), (15.0, 4.0), (4.0, 6.0)] {
            add(&mut sum, &of(before), &of(now));
        }
        assert!((sum["received"] - (5.0 + 4.0 + 2.0)).abs() < 1e-9);
    }
}
