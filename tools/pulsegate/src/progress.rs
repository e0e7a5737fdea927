//! How far it is, on standard error, when it takes long.

use std::time::Duration;

use tokio::time::Instant;

const EVERY: Duration = Duration::from_secs(5);

/// When something was last said.
#[derive(Debug)]
pub struct Progress {
    began: Instant,
    last: Instant,
}

impl Progress {
    /// Nothing yet.
    #[expect(clippy::new_without_default, reason = "it reads a clock")]
    pub fn new() -> Self {
        let now = Instant::now();
        Self { began: now, last: now }
    }

    /// EventDetails what `line` makes of the seconds since the beginning, if it is time to.
    pub fn say(&mut self, line: impl FnOnce(f64) -> String) {
        let now = Instant::now();
        if now - self.last >= EVERY {
            self.last = now;
            eprintln!("pulsegate: {}", line((now - self.began).as_secs_f64()));
        }
    }
}
