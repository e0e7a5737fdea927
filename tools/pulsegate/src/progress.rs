//! Progress reports on standard error, for commands that take long.

use std::time::Duration;

use tokio::time::Instant;

const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Start of the command, and time of the last report.
#[derive(Debug)]
pub struct Progress {
    began: Instant,
    last: Instant,
}

impl Progress {
    /// Starts now.
    #[expect(clippy::new_without_default, reason = "it reads a clock")]
    pub fn new() -> Self {
        let now = Instant::now();
        Self { began: now, last: now }
    }

    /// Prints `line`, which gets the seconds since the start, if the last report is old enough.
    pub fn report(&mut self, line: impl FnOnce(f64) -> String) {
        let now = Instant::now();
        if now - self.last >= REPORT_INTERVAL {
            self.last = now;
            eprintln!("pulsegate: {}", line((now - self.began).as_secs_f64()));
        }
    }
}
