//! The time window of a pass, and the watermark after each page. Times are in milliseconds since 1970, as in the API.

use std::time::Duration;

use pulsegate_pipeline::ports::{Unfinished, Watermark};

/// Overlap of a pass with the end of the last one. A callback is listed under its message's time; one that was listed
/// only after the settling time would otherwise be missed behind the watermark. Writing a callback again is idempotent.
const OVERLAP: Duration = Duration::from_mins(15);

/// The limits of the time window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The minimum age of fetched callbacks: Sigfox itself still repeats younger ones.
    pub settle: Duration,
    /// How far the very first pass looks back.
    pub first_look_back: Duration,
}

impl Reach {
    /// Returns the watermark of the very first pass.
    pub fn first(&self, now: u64) -> Watermark {
        Watermark { since: now.saturating_sub(millis(self.first_look_back)), unfinished: None }
    }

    /// Returns the pass to run: the unfinished one, or a new one. `None` if the window would be empty.
    pub fn pass(&self, watermark: &Watermark, now: u64) -> Option<Unfinished> {
        let new = || Unfinished { before: now.saturating_sub(millis(self.settle)), offset: 0 };
        let pass = watermark.unfinished.unwrap_or_else(new);
        (watermark.since < pass.before).then_some(pass)
    }
}

/// Returns the watermark after `found` more items are durable. Both ends of a pass stay fixed until it is finished,
/// because offsets count from the newest entry of the list: if `before` moved, entries would change their offsets.
pub fn after(watermark: &Watermark, pass: Unfinished, found: u64, more: bool) -> Watermark {
    if more {
        let further = Unfinished { offset: pass.offset.saturating_add(found), ..pass };
        Watermark { unfinished: Some(further), ..*watermark }
    } else {
        // Never move backwards, however short the pass was.
        let since = pass.before.saturating_sub(millis(OVERLAP)).max(watermark.since);
        Watermark { since, unfinished: None }
    }
}

/// Converts a duration to milliseconds.
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REACH: Reach = Reach { settle: Duration::from_mins(15), first_look_back: Duration::from_hours(72) };
    const NOW: u64 = 1_795_262_400_000;
    const MINUTE: u64 = 60_000;

    #[test]
    fn the_first_pass_looks_back_and_leaves_out_what_is_not_settled() {
        let first = REACH.first(NOW);
        assert_eq!(first.since, NOW - 72 * 60 * MINUTE);
        assert_eq!(REACH.pass(&first, NOW), Some(Unfinished { before: NOW - 15 * MINUTE, offset: 0 }));
    }

    #[test]
    fn an_unfinished_pass_goes_on_where_it_was_however_much_later() {
        let pass = Unfinished { before: NOW - 90 * MINUTE, offset: 300 };
        let watermark = Watermark { since: NOW - 200 * MINUTE, unfinished: Some(pass) };
        assert_eq!(REACH.pass(&watermark, NOW), Some(pass));
        let further = after(&watermark, pass, 100, true);
        assert_eq!(further.since, watermark.since);
        assert_eq!(further.unfinished, Some(Unfinished { offset: 400, ..pass }));
    }

    #[test]
    fn the_next_pass_begins_a_little_before_the_end_of_the_last() {
        let watermark = Watermark { since: NOW - 200 * MINUTE, unfinished: None };
        let pass = REACH.pass(&watermark, NOW).unwrap();
        assert_eq!(after(&watermark, pass, 7, false), Watermark { since: NOW - 30 * MINUTE, unfinished: None });
    }

    #[test]
    fn a_window_that_is_empty_or_backwards_is_none() {
        for since in [NOW - 15 * MINUTE, NOW, NOW + MINUTE, u64::MAX] {
            assert_eq!(REACH.pass(&Watermark { since, unfinished: None }, NOW), None);
        }
        assert_eq!(REACH.pass(&REACH.first(0), 0), None);
    }

    proptest! {
        #[test]
        fn nothing_that_has_settled_is_ever_left_out(gaps in proptest::collection::vec(0..40 * MINUTE, 1..50)) {
            let mut watermark = REACH.first(NOW);
            let (mut now, mut covered) = (NOW, watermark.since);
            for gap in gaps {
                now += gap;
                let Some(pass) = REACH.pass(&watermark, now) else { continue };
                prop_assert!(watermark.since <= covered);
                covered = covered.max(pass.before);
                let next = after(&watermark, pass, 0, false);
                prop_assert!(next.since >= watermark.since);
                watermark = next;
            }
        }
    }
}
