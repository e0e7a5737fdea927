//! Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody wants it to end. Clones share that.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

/// The exit code of a program that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

impl Stop {
    /// Asks for the end.
    pub(super) fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody did.
    pub(super) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks for it at the first Ctrl-C. The second ends the process at once, after what is left to do: what is written already is gone
    /// on with.
    pub(super) async fn at_ctrl_c(self, left_to_do: impl FnOnce()) {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("fleet: stopping, waiting for what is on its way; Ctrl-C once more ends it at once");
            self.ask();
            if tokio::signal::ctrl_c().await.is_ok() {
                left_to_do();
                std::process::exit(INTERRUPTED);
            }
        }
    }
}
