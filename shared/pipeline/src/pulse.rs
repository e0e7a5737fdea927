//! The stage that decodes uplinks and stores their pulses.
//!
//! The message contains the bytes of each uplink, so the stage reads no table. The profile chooses the codec; all
//! points of an uplink become one item under its natural key.

use pulsegate_model::codec::Flag;
use pulsegate_model::envelope;
use pulsegate_model::pulse::{self, PulseError};
use pulsegate_model::quarantine::Quarantined;
use pulsegate_model::uplink::Uplink;
use tokio::time::Instant;

use crate::archive::store::ObjectStore;
use crate::archive::tombstones;
use crate::batch::{self, BatchOutcome, BatchRecord, Pieces};
use crate::ports::{Arrived, PulseStore, Queue};
use crate::quarantine;
use crate::telemetry::{self, OutcomeCounts};

/// The stage name in quarantine records.
const STAGE: &str = "pulse";

/// The ports of the stage.
#[derive(Debug)]
pub struct PulseStage<P, Q, S> {
    /// Pulse items.
    pub pulses: P,
    /// Uplinks that cannot be decoded.
    pub quarantine: Q,
    /// The archive, for the erased devices.
    pub archive: S,
}

impl<P: PulseStore, Q: Queue, S: ObjectStore> PulseStage<P, Q, S> {
    /// Decodes and stores a batch. A record fails if any of its uplinks is neither stored nor quarantined.
    pub async fn run(&self, records: &[BatchRecord], deadline: Instant) -> BatchOutcome {
        let mut opened = batch::open(records, STAGE);
        if opened.is_empty() {
            return opened.given_back(&[]);
        }
        let tombstones = match tombstones::load(&self.archive, deadline).await {
            Ok(tombstones) => tombstones,
            Err(error) => {
                tracing::warn!(reason = %error, cause = %error.source, "the erased devices are not known");
                return opened.given_back(records);
            }
        };
        let erased = opened.erase(&tombstones);
        opened.quarantine_events(STAGE);
        let batch::OpenedBatch { uplinks, mut unreadable, .. } = opened;
        let received = uplinks.len() + unreadable.len() + erased;

        let mut items = Pieces::default();
        for (record, Arrived { value: uplink, arrived }) in uplinks {
            match pulse::decode(&uplink) {
                Ok(value) => items.push(record, Arrived { value, arrived }),
                Err(reason) => unreadable.push(record, undecodable(STAGE, &uplink, &reason)),
            }
        }
        let (unstored, unquarantined) = tokio::join!(
            self.pulses.put(&items.values, deadline),
            quarantine::send(&self.quarantine, &unreadable.values, deadline),
        );

        telemetry::emit_unset_clocks(
            items.values.iter().filter(|item| item.value.flags.contains(&Flag::ClockNotSet.into())).count(),
        );
        let mut failed = items.records_of(&unstored);
        failed.extend(unreadable.records_of(&unquarantined));
        let counts = OutcomeCounts {
            received,
            stored: items.len() - unstored.len(),
            quarantined: unreadable.len() - unquarantined.len(),
            given_back: unstored.len() + unquarantined.len(),
            refused: 0,
            erased,
        };
        BatchOutcome { failed, counts }
    }
}

/// Builds the quarantine record of one uplink. Its content can be sent to this stage again unchanged.
pub(crate) fn undecodable(stage: &'static str, uplink: &Uplink, reason: &PulseError) -> Quarantined {
    Quarantined::new(stage, reason, envelope::of_one(uplink).as_bytes()).of(uplink).by(reason.codec())
}
