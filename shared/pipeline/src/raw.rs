//! The stage of both `raw-*` functions: stores each uplink under its natural key, and only then publishes it.

use pulsegate_model::envelope;
use pulsegate_model::event::DeviceEvent;
use pulsegate_model::uplink::Uplink;
use tokio::time::Instant;

use crate::batch::{self, BatchOutcome, BatchRecord};
use crate::ports::{Arrived, EventStore, Queue, RawStore, Refused};
use crate::telemetry::{self, OutcomeCounts};
use crate::{deadline, quarantine};

/// The ports of the stage.
#[derive(Debug)]
pub struct RawStage<R, E, Q> {
    /// Uplinks as they arrived.
    pub raw: R,
    /// Device events; `None` if the network sends none.
    pub events: Option<E>,
    /// The queue of the next stage.
    pub pulse: Q,
    /// Records that cannot be parsed.
    pub quarantine: Q,
}

impl<R: RawStore, E: EventStore, Q: Queue> RawStage<R, E, Q> {
    /// Stores and publishes a batch. A record fails unless all of its uplinks are stored and published, its events
    /// stored and its unreadable pieces quarantined. Repeating the whole record is idempotent.
    pub async fn run(&self, stage: &'static str, records: &[BatchRecord], deadline: Instant) -> BatchOutcome {
        let mut opened = batch::open(records, stage);
        if self.events.is_none() {
            opened.quarantine_events(stage);
        }
        let batch::OpenedBatch { uplinks, events, unreadable } = opened;
        let (given_back, unstored, unquarantined) = tokio::join!(
            self.store_and_publish(&uplinks.values, deadline),
            self.store_events(&events.values, deadline),
            quarantine::send(&self.quarantine, &unreadable.values, deadline),
        );

        let mut failed = uplinks.records_of(&given_back);
        failed.extend(events.records_of(&unstored));
        failed.extend(unreadable.records_of(&unquarantined));
        let counts = OutcomeCounts {
            received: uplinks.len() + events.len() + unreadable.len(),
            stored: uplinks.len() + events.len() - given_back.len() - unstored.len(),
            quarantined: unreadable.len() - unquarantined.len(),
            given_back: given_back.len() + unstored.len() + unquarantined.len(),
            refused: 0,
        };
        BatchOutcome { failed, counts }
    }

    /// Stores events, which are not published. Returns the positions of those not stored.
    async fn store_events(&self, events: &[Arrived<DeviceEvent>], deadline: Instant) -> Refused {
        let Some(store) = self.events.as_ref().filter(|_| !events.is_empty()) else { return Refused::new() };
        let unstored = store.put(events, deadline).await;
        telemetry::emit_events(&events.iter().map(|event| &event.value).collect::<Vec<_>>());
        unstored
    }

    /// Returns the positions of uplinks not stored or not published. Publishes only stored uplinks: the next stage must
    /// not see an uplink that could still be lost.
    async fn store_and_publish(&self, uplinks: &[Arrived<Uplink>], deadline: Instant) -> Refused {
        let mut given_back = self.raw.put(uplinks, deadline::leaving_time(deadline)).await;
        let stored: Vec<usize> = (0..uplinks.len()).filter(|position| !given_back.contains(position)).collect();

        let messages = envelope::pack(stored.iter().map(|&position| &uplinks[position].value));
        let (bodies, members): (Vec<_>, Vec<_>) = messages.into_iter().map(|m| (m.body, m.members)).unzip();
        for unsent in self.pulse.send(&bodies, deadline).await {
            // `members` are positions in `stored`.
            given_back.extend(&stored[members[unsent].clone()]);
        }
        given_back
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use pulsegate_model::at::At;
    use pulsegate_model::uplink::testing::any_uplink;

    use super::*;
    use crate::batch::Failed;
    use crate::fakes::{FakeQueue, FakeStore};

    type Stage = RawStage<FakeStore<Arrived<Uplink>>, FakeStore<Arrived<DeviceEvent>>, FakeQueue>;

    const BAD: usize = 3;

    /// The time so many hours after the uplinks' own.
    fn at(hours: usize) -> At {
        At::from_unix(1_795_176_000 + 3_600 * i64::try_from(hours).unwrap()).unwrap()
    }

    fn record(position: usize) -> BatchRecord {
        let body = if position == BAD {
            "noise".to_owned()
        } else {
            format!(
                r#"{{"v":1,"uplinks":[{{"device":"sigfox:{position:X}","kind":"data","at":"2026-11-20T12:00:00Z",
                "time_source":"network","sequence":1,"profile":"adeunis-pulse-v4","payload":"46"}}]}}"#
            )
        };
        BatchRecord::new(format!("id-{position}"), at(position), body)
    }

    fn ten() -> Vec<BatchRecord> {
        (0..10).map(record).collect()
    }

    fn stage() -> Stage {
        RawStage {
            raw: FakeStore::default(),
            events: Some(FakeStore::default()),
            pulse: FakeQueue::default(),
            quarantine: FakeQueue::default(),
        }
    }

    async fn run(stage: &Stage, records: &[BatchRecord]) -> BatchOutcome {
        stage.run("raw-test", records, Instant::now() + Duration::from_secs(1)).await
    }

    #[tokio::test(start_paused = true)]
    async fn of_ten_with_one_unreadable_nine_are_stored_and_one_is_quarantined_and_none_comes_back() {
        let stage = stage();
        let outcome = run(&stage, &ten()).await;
        assert_eq!(outcome.failed, Failed::new());
        assert_eq!(
            outcome.counts,
            OutcomeCounts { received: 10, stored: 9, quarantined: 1, ..OutcomeCounts::default() }
        );
        assert_eq!(stage.raw.len(), 9);
        assert_eq!(stage.pulse.sent().len(), 1);
        assert!(stage.quarantine.sent()[0].contains(r#""record":{"text":"noise"}"#));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_table_refuses_comes_back_and_is_not_published() {
        let stage = RawStage { raw: FakeStore::refusing(["sigfox:2", "sigfox:7"]), ..stage() };
        let outcome = run(&stage, &ten()).await;
        assert_eq!(outcome.failed, Failed::from([2, 7]));
        assert_eq!(
            outcome.counts,
            OutcomeCounts { received: 10, stored: 7, quarantined: 1, given_back: 2, refused: 0 }
        );
        assert_eq!(envelope::unpack(stage.pulse.sent()[0].as_bytes()).unwrap().uplinks.len(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn every_uplink_is_stored_with_the_arrival_of_its_record() {
        let stage = stage();
        run(&stage, &ten()).await;
        let stored = stage.raw.values().into_iter().map(|stored| (stored.value.device.to_string(), stored.arrived));
        let records = (0..10).filter(|&record| record != BAD);
        assert!(stored.eq(records.map(|record| (format!("sigfox:{record:X}"), at(record)))));
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_published_comes_back() {
        let stage = RawStage { pulse: FakeQueue::down(), ..stage() };
        let outcome = run(&stage, &ten()).await;
        assert_eq!(outcome.failed, (0..10).filter(|&record| record != BAD).collect());
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_quarantined_comes_back() {
        let stage = RawStage { quarantine: FakeQueue::down(), ..stage() };
        assert_eq!(run(&stage, &ten()).await.failed, Failed::from([BAD]));
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_batch_asks_nothing_of_anybody() {
        let stage =
            RawStage { raw: FakeStore::down(), pulse: FakeQueue::down(), quarantine: FakeQueue::down(), ..stage() };
        assert_eq!(run(&stage, &[]).await, BatchOutcome { failed: Failed::new(), counts: OutcomeCounts::default() });
    }

    proptest! {
        #[test]
        fn any_order_repetition_and_split_into_batches_ends_in_the_same_table(
            uplinks in proptest::collection::vec(any_uplink(), 1..20),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
            batch in 1..10_usize,
        ) {
            let once: Vec<&Uplink> = uplinks.iter().collect();
            // Every uplink at least once, and some again in random order.
            let mut again: Vec<&Uplink> = order.iter().map(|index| index.get(&uplinks)).collect();
            again.extend(&once);
            again.reverse();
            prop_assert_eq!(table_after(&once, 1), table_after(&again, batch));
        }
    }

    fn table_after(uplinks: &[&Uplink], batch: usize) -> Vec<Uplink> {
        let stage = stage();
        let records: Vec<BatchRecord> =
            uplinks.iter().map(|uplink| BatchRecord::new("id", At::EPOCH, envelope::of_one(uplink))).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for batch in records.chunks(batch) {
            runtime.block_on(run(&stage, batch));
        }
        stage.raw.values().into_iter().map(|stored| stored.value).collect()
    }
}
