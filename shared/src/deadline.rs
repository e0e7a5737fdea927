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
