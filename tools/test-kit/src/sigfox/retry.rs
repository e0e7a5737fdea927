//! The retry rule of Sigfox: a callback that is not answered 2xx within ten seconds is sent again after one, two and four
//! minutes, and never after that.
//!
//! Sources: <https://support.sigfox.com/docs/callbacks>, <https://support.sigfox.com/docs/callback-integration>. They do not
//! say whether the minutes count from the first failure or from the one before. Here it is the one before, which is the longer
//! of the two.

use std::time::Duration;

/// How long Sigfox waits for an answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause before each repetition, from the failure before.
pub const RETRY_DELAYS: [Duration; 3] = [Duration::from_mins(1), Duration::from_mins(2), Duration::from_mins(4)];

/// True if an answer with this status ends the repetitions.
pub fn is_delivered(status: u16) -> bool {
    matches!(status, 200..300)
}
