//! Least-squares line of invocation time by number of uplinks.

use serde::{Deserialize, Serialize};

/// Sums that determine the line. Sums of several runs can be added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// Invocations.
    pub count: f64,
    /// Uplinks.
    pub x: f64,
    /// Milliseconds.
    pub y: f64,
    /// Squares of uplinks.
    pub xx: f64,
    /// Uplinks times milliseconds.
    pub xy: f64,
}

/// A line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Milliseconds without uplinks; never below zero.
    pub fixed: f64,
    /// Milliseconds for each uplink; never below zero.
    pub each: f64,
}

impl Sums {
    /// Adds an invocation.
    pub fn take(&mut self, uplinks: f64, ms: f64) {
        self.add(&Self { count: 1.0, x: uplinks, y: ms, xx: uplinks * uplinks, xy: uplinks * ms });
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.x += other.x;
        self.y += other.y;
        self.xx += other.xx;
        self.xy += other.xy;
    }

    /// The line; `None` without invocations. If all had the same number of uplinks, the time per uplink is
    /// undetermined, and all time is fixed. Fixed and per-uplink time are constrained to be non-negative.
    pub fn line(&self) -> Option<Line> {
        if self.count <= 0.0 {
            return None;
        }
        let mean = self.y / self.count;
        let spread = self.count * self.xx - self.x * self.x;
        // Smaller than a single different invocation could cause, so it is rounding.
        if spread <= 1e-9 * self.count * self.xx {
            return Some(Line { fixed: mean, each: 0.0 });
        }
        let each = (self.count * self.xy - self.x * self.y) / spread;
        let fixed = (self.y - each * self.x) / self.count;
        Some(match (fixed < 0.0, each < 0.0) {
            (_, true) => Line { fixed: mean, each: 0.0 },
            (true, false) => Line { fixed: 0.0, each: self.xy / self.xx },
            (false, false) => Line { fixed, each },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sums(points: &[(f64, f64)]) -> Sums {
        let mut sums = Sums::default();
        for &(uplinks, ms) in points {
            sums.take(uplinks, ms);
        }
        sums
    }

    proptest! {
        #[test]
        fn points_of_a_line_give_that_line(
            fixed in 0.0..50.0_f64, each in 0.0..2.0_f64, uplinks in prop::collection::btree_set(0_u16..2_000, 2..40),
        ) {
            let points: Vec<(f64, f64)> = uplinks.iter().map(|&x| (f64::from(x), fixed + each * f64::from(x))).collect();
            let line = sums(&points).line().unwrap();
            prop_assert!((line.fixed - fixed).abs() < 1e-3 && (line.each - each).abs() < 1e-5, "{line:?}");
        }

        #[test]
        fn no_line_goes_below_zero(points in prop::collection::vec((0.0..1e4_f64, 0.0..1e4_f64), 1..40)) {
            let line = sums(&points).line().unwrap();
            prop_assert!(line.fixed >= 0.0 && line.each >= 0.0, "{line:?}");
        }
    }

    #[test]
    fn of_invocations_with_equally_many_uplinks_all_is_fixed() {
        assert_eq!(sums(&[(7.0, 3.0), (7.0, 5.0)]).line(), Some(Line { fixed: 4.0, each: 0.0 }));
        assert_eq!(Sums::default().line(), None);
    }
}
