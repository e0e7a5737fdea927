//! Stop flag, set by Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// True if the run should stop. Clones share the flag.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

/// Exit code after Ctrl-C.
const INTERRUPTED: i32 = 130;

impl Stop {
    /// Requests the stop.
    pub(super) fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True if a stop was requested.
    pub(super) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Requests a stop at the first Ctrl-C. The second one calls `left_to_do` and ends the process; `--resume`
    /// continues from the files on disk.
    pub(super) async fn at_ctrl_c(self, left_to_do: impl FnOnce()) {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("fleet: stopping, waiting for acknowledgements; press Ctrl-C again to end at once");
            self.ask();
            if tokio::signal::ctrl_c().await.is_ok() {
                left_to_do();
                std::process::exit(INTERRUPTED);
            }
        }
    }
}
