//! The erasure of a device: in the storm, in a process that may be killed, and at last as an operator makes it.

use std::cell::Cell;
use std::rc::Rc;

use pulsegate_model::at::At;
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::archive::erase::{Erase, EraseError, MAX_INVOCATION};
use pulsegate_pipeline::archive::tombstones;
use tokio::time::{Instant, sleep};

use super::{Activity, Bug, Fault, LONG, Role};

/// Maximum number of awaits before an erasure is killed.
const AWAITS_OF_ERASE: u32 = 150;

/// The progress of the erasure of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Erasure {
    None,
    /// The tombstone may be there.
    Begun,
    /// The tombstone is there.
    Buried,
}

impl Activity {
    /// Erases the device in a process that may be killed, and whose requests may fail.
    pub(super) async fn erase(&self) {
        match self.mortal(Fault::EraseKilled, AWAITS_OF_ERASE, self.bury_and_search()).await {
            None | Some(Ok(())) => {}
            Some(Err(EraseError::Store(_))) => self.world.faults.happened(Fault::EraseFailed, 1),
            Some(Err(error)) => self.report(format!("erase: {error}")),
        }
    }

    async fn bury_and_search(&self) -> Result<(), EraseError> {
        if self.bug != Some(Bug::TombstoneLast) {
            self.bury().await?;
        }
        self.search().await
    }

    async fn bury(&self) -> Result<(), EraseError> {
        let Some(device) = self.erasing else { return Ok(()) };
        if self.erasure.get() == Erasure::None {
            self.erasure.set(Erasure::Begun);
        }
        tombstones::bury(&self.client(Role::Erase), device, At::EPOCH, Instant::now() + LONG).await?;
        self.erasure.set(Erasure::Buried);
        Ok(())
    }

    async fn search(&self) -> Result<(), EraseError> {
        let Some(device) = self.erasing else { return Ok(()) };
        if self.erasure.get() == Erasure::None {
            self.erasure.set(Erasure::Begun);
        }
        let store = self.client(Role::Erase);
        let erase = Erase { store: &store, device, write: true, timeout: LONG, stop: &|| false };
        let sources = erase.objects().await? + erase.files().await?;
        let derived = erase.points().await? + erase.reports().await? + erase.days().await?;
        let assigned = erase.assignments().await?;
        for step in [sources, derived, assigned, erase.older_versions().await?] {
            if step.unreadable > 0 {
                self.report("erase cannot read an object or a file".to_owned());
            }
        }
        Ok(())
    }

    /// Erases the device as an operator does, while its messages are replayed: searches again when no invocation can
    /// run any more that began before the tombstone.
    pub(super) async fn erase_at_last(self: &Rc<Self>) {
        let is_erased = Cell::new(false);
        let replay = async {
            let all: Vec<&Uplink> = self.messages.uplinks.iter().collect();
            while !is_erased.get() {
                self.put(&all).await;
                if self.derives && self.world.coin() {
                    self.derive().await;
                }
                if self.daily.is_some() && self.world.coin() {
                    self.plan().await;
                    self.make_days().await;
                }
                sleep(self.world.span(2_000..=20_000)).await;
            }
            self.put(&all).await;
        };
        let erase = async {
            let ended = async {
                self.bury_and_search().await?;
                sleep(MAX_INVOCATION).await;
                self.search().await?;
                if self.bug == Some(Bug::TombstoneLast) {
                    sleep(self.world.span(1_000..=20_000)).await;
                }
                self.bury().await
            };
            if let Err(error) = ended.await {
                self.report(format!("erase: {error}"));
            }
            is_erased.set(true);
        };
        tokio::join!(replay, erase);
    }
}
