//! Progress bars of the audit, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(200);

/// A progress bar or a spinner.
#[derive(Debug)]
pub(super) struct AuditProgress(ProgressBar);

impl AuditProgress {
    /// A spinner, for work of unknown length.
    pub(super) fn waiting() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// A bar for about `count` items. There may be more.
    pub(super) fn of(count: u64, what: &str) -> Self {
        let bar = ProgressBar::new(count.max(1));
        let template = "{msg} {wide_bar} {human_pos} of about {human_len}, {per_sec}";
        // Falls back to the default style if the template is invalid.
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
