//! The time limits of an invocation and its steps.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Reserved for the work after the last write: the response and the counters.
const MARGIN: Duration = Duration::from_millis(500);

/// The longest invocation that Lambda allows. A deadline below this is a duration, not a timestamp: `cargo lambda
/// watch` always sends 600,000 here, the time that is left.
const MAX_INVOCATION: Duration = Duration::from_mins(15);

/// Returns the time by which every port must return, `MARGIN` before Lambda stops the invocation. `lambda_deadline` is
/// in milliseconds since 1970.
pub fn before(lambda_deadline: u64) -> Instant {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant::now() + remaining(Duration::from_millis(lambda_deadline), now).saturating_sub(MARGIN)
}

fn remaining(deadline: Duration, now: Duration) -> Duration {
    if deadline <= MAX_INVOCATION { deadline } else { deadline.saturating_sub(now) }
}

/// Returns the deadline of a step that leaves a third of the time to the steps that depend on it. If a step used all of
/// the time, the later steps would fail too, and its own results would be lost with them.
pub fn leaving_time(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) * 2 / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_hours(500_000);
    const HALF_A_MINUTE: Duration = Duration::from_secs(30);

    #[test]
    fn lambda_tells_a_moment_and_the_local_tools_a_span() {
        assert_eq!(remaining(NOW + HALF_A_MINUTE, NOW), HALF_A_MINUTE);
        assert_eq!(remaining(Duration::from_mins(10), NOW), Duration::from_mins(10));
    }

    #[test]
    fn a_moment_that_has_passed_leaves_nothing() {
        assert_eq!(remaining(NOW, NOW + HALF_A_MINUTE), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_leaves_a_third_of_the_time_to_the_ones_after_it() {
        let start = Instant::now();
        assert_eq!(leaving_time(start + Duration::from_secs(30)), start + Duration::from_secs(20));
        assert_eq!(leaving_time(start), start);
    }
}
