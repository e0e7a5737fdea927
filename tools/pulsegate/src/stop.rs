//! What takes long can be stopped: what is in hand is still done, and what is held is given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody wants it to end. Clones share that.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

/// The exit code of a program that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

impl Stop {
    /// Asks for the end.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody did.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks for it at the first Ctrl-C. The second ends the process at once, which does no harm either.
    pub async fn at_ctrl_c(self) {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("pulsegate: stopping; Ctrl-C once more ends it at once");
            self.ask();
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(INTERRUPTED);
            }
        }
    }
}
