//! Stop flag of long commands: after Ctrl-C they complete the work in progress and release the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Stop flag. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

/// The exit code of a program that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

impl Stop {
    /// Requests the stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True if a stop was requested.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Requests the stop at the first Ctrl-C. The second Ctrl-C ends the process at once, which loses nothing either.
    pub async fn at_ctrl_c(self) {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("pulsegate: stopping; press Ctrl-C again to end at once");
            self.request();
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(INTERRUPTED);
            }
        }
    }
}
