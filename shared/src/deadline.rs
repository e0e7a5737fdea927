//! How long an invocation may go on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Left for what comes after the last write: the answer, and the counters.
const MARGIN: Duration = Duration::from_millis(500);

/// The moment, a little before Lambda stops the invocation, by which every port has to have answered. Lambda tells its
/// own in milliseconds since 1970.
pub fn before(lambda_deadline: u64) -> Instant {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant::now() + Duration::from_millis(lambda_deadline).saturating_sub(now).saturating_sub(MARGIN)
}

/// The moment by which a step has to be over, so that the ones that need it done still have a third of the time. A step
/// that used all of it would fail them as well, and with them everything that it had achieved.
pub fn leaving_time(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) * 2 / 3
}
