//! How far it is, on a terminal; elsewhere nothing is shown.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(200);

/// A bar, or a line that changes.
#[derive(Debug)]
pub(super) struct AuditProgress(ProgressBar);

impl AuditProgress {
    /// Of nobody knows how many.
    pub(super) fn waiting() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// Of about so many. There may be more.
    pub(super) fn of(count: u64, what: &str) -> Self {
        let bar = ProgressBar::new(count.max(1));
        let template = "{msg} {wide_bar} {human_pos} of about {human_len}, {per_sec}";
        // Its own style if that template should be none.
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what.to_owned());
        Self(bar)
    }

    pub(super) fn say(&self, text: String) {
        self.0.set_message(text);
    }

    pub(super) fn add(&self, count: usize) {
        self.0.inc(count as u64);
        if self.0.length().is_some_and(|length| self.0.position() > length) {
            self.0.set_length(self.0.position());
        }
    }
}

impl Drop for AuditProgress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
