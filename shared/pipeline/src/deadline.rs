//! How long an invocation may go on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Left for what comes after the last write: the answer, and the counters.
const MARGIN: Duration = Duration::from_millis(500);

/// The longest that Lambda lets an invocation take. A "moment" this early is none, but the time that is left: so tells
/// `cargo lambda watch`, which always says 600,000.
const LONGEST: Duration = Duration::from_mins(15);

/// The moment, a little before Lambda stops the invocation, by which every port has to have answered. Lambda tells its
/// own in milliseconds since 1970.
pub fn before(lambda_deadline: u64) -> Instant {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant::now() + left(Duration::from_millis(lambda_deadline), now).saturating_sub(MARGIN)
}

fn left(told: Duration, now: Duration) -> Duration {
    if told <= LONGEST { told } else { told.saturating_sub(now) }
}

/// The moment by which a step has to be over, so that the ones that need it done still have a third of the time. A step
/// that used all of it would fail them as well, and with them everything that it had achieved.
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
        assert_eq!(left(NOW + HALF_A_MINUTE, NOW), HALF_A_MINUTE);
        assert_eq!(left(Duration::from_mins(10), NOW), Duration::from_mins(10));
    }

    #[test]
    fn a_moment_that_has_passed_leaves_nothing() {
        assert_eq!(left(NOW, NOW + HALF_A_MINUTE), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_leaves_a_third_of_the_time_to_the_ones_after_it() {
        let start = Instant::now();
        assert_eq!(leaving_time(start + Duration::from_secs(30)), start + Duration::from_secs(20));
        assert_eq!(leaving_time(start), start);
    }
}
