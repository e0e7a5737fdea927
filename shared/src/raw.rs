//! The stage both `raw-*` functions run: store each uplink under its natural key, and only then publish it.

use tokio::time::Instant;

use crate::batch::{self, Opened, Outcome, Piece, Record};
use crate::event::{self, DeviceEvent};
use crate::ports::{Queue, Refused, Table};
use crate::telemetry::Counts;
use crate::uplink::Uplink;
use crate::{deadline, envelope};

/// What the stage writes to.
#[derive(Debug)]
pub struct RawStage<T, Q> {
    /// Uplinks as they came.
    pub table: T,
    /// How long the table keeps them, in days after the uplink's own time.
    pub retention_days: u32,
    /// Where device events go; none where no network brings any.
    pub events: Option<T>,
    /// The next stage.
    pub pulse: Q,
    /// What nobody can read.
    pub quarantine: Q,
}

impl<T: Table, Q: Queue> RawStage<T, Q> {
    /// Stores and publishes a batch. A record is failed if any of its uplinks is not stored AND published, or an
    /// unreadable piece of it not quarantined; when it comes back, everything it did before is done again, to the same
    /// effect.
    pub async fn run(&self, stage: &'static str, records: &[Record], deadline: Instant) -> Outcome {
        let Opened { uplinks, mut events, mut unreadable } = batch::open(records, stage);
        if self.events.is_none() {
            unreadable.extend(batch::misplaced(std::mem::take(&mut events), stage));
        }
        let (given_back, unstored, unquarantined) = tokio::join!(
            self.store_and_publish(&uplinks, deadline),
            self.store_events(&events, deadline),
            batch::quarantine(&self.quarantine, &unreadable, deadline),
        );

        let mut failed = batch::records_of(&uplinks, &given_back);
        failed.extend(batch::records_of(&events, &unstored));
        failed.extend(batch::records_of(&unreadable, &unquarantined));
        let counts = Counts {
            received: uplinks.len() + events.len() + unreadable.len(),
            stored: uplinks.len() + events.len() - given_back.len() - unstored.len(),
            quarantined: unreadable.len() - unquarantined.len(),
            given_back: given_back.len() + unstored.len() + unquarantined.len(),
            refused: 0,
        };
        Outcome { failed, counts }
    }

    /// The answer tells positions among `events`. Nobody waits for them: stored is all they are to be.
    async fn store_events(&self, events: &[Piece<DeviceEvent>], deadline: Instant) -> Refused {
        let Some(table) = self.events.as_ref().filter(|_| !events.is_empty()) else { return Refused::new() };
        let items: Vec<_> = events.iter().map(|event| event.piece.item(self.retention_days)).collect();
        let unstored = table.put(&items, deadline).await;
        event::emit(events.iter().map(|event| &event.piece));
        unstored
    }

    /// The answer tells positions among `uplinks`. Only what is stored is published: nobody is to see an uplink that the
    /// raw table could yet lose.
    async fn store_and_publish(&self, uplinks: &[Piece<Uplink>], deadline: Instant) -> Refused {
        let items: Vec<_> = uplinks.iter().map(|uplink| uplink.piece.raw_item(self.retention_days)).collect();
        let unstored = self.table.put(&items, deadline::leaving_time(deadline)).await;

        let stored: Vec<usize> = (0..uplinks.len()).filter(|position| !unstored.contains(position)).collect();
        let messages = envelope::pack(stored.iter().map(|&position| &uplinks[position].piece));
        let (bodies, members): (Vec<_>, Vec<_>) = messages.into_iter().map(|m| (m.body, m.members)).unzip();
        let unsent = self.pulse.send(&bodies, deadline).await;
        let unpublished = unsent.iter().flat_map(|&message| stored[members[message].clone()].iter().copied());
        unstored.iter().copied().chain(unpublished).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::batch::Failed;
    use crate::fakes::{FakeQueue, FakeTable};
    use crate::uplink::tests::any_uplink;

    const BAD: usize = 3;

    fn record(position: usize) -> Record {
        let body = if position == BAD {
            "noise".to_owned()
        } else {
            format!(
                r#"{{"v":1,"uplinks":[{{"device":"sigfox:{position:X}","kind":"data","at":"2026-11-20T12:00:00Z",
                "time_source":"network","sequence":1,"profile":"adeunis-pulse-v4","payload":"46"}}]}}"#
            )
        };
        Record::new(format!("id-{position}"), body)
    }

    fn ten() -> Vec<Record> {
        (0..10).map(record).collect()
    }

    fn stage() -> RawStage<FakeTable, FakeQueue> {
        RawStage {
            table: FakeTable::default(),
            retention_days: 30,
            events: Some(FakeTable::default()),
            pulse: FakeQueue::default(),
            quarantine: FakeQueue::default(),
        }
    }

    async fn run(stage: &RawStage<FakeTable, FakeQueue>, records: &[Record]) -> Outcome {
        stage.run("raw-test", records, Instant::now() + Duration::from_secs(1)).await
    }

    #[tokio::test(start_paused = true)]
    async fn of_ten_with_one_unreadable_nine_are_stored_and_one_is_quarantined_and_none_comes_back() {
        let stage = stage();
        let outcome = run(&stage, &ten()).await;
        assert_eq!(outcome.failed, Failed::new());
        assert_eq!(outcome.counts, Counts { received: 10, stored: 9, quarantined: 1, ..Counts::default() });
        assert_eq!(stage.table.len(), 9);
        assert_eq!(stage.pulse.sent().len(), 1);
        assert!(stage.quarantine.sent()[0].contains(r#""record":{"text":"noise"}"#));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_table_refuses_comes_back_and_is_not_published() {
        let stage = RawStage { table: FakeTable::refusing(["sigfox:2", "sigfox:7"]), ..stage() };
        let outcome = run(&stage, &ten()).await;
        assert_eq!(outcome.failed, Failed::from([2, 7]));
        assert_eq!(outcome.counts, Counts { received: 10, stored: 7, quarantined: 1, given_back: 2, refused: 0 });
        assert_eq!(envelope::unpack(stage.pulse.sent()[0].as_bytes()).unwrap().uplinks.len(), 7);
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
            RawStage { table: FakeTable::down(), pulse: FakeQueue::down(), quarantine: FakeQueue::down(), ..stage() };
        assert_eq!(run(&stage, &[]).await, Outcome { failed: Failed::new(), counts: Counts::default() });
    }

    proptest! {
        #[test]
        fn any_order_repetition_and_split_into_batches_ends_in_the_same_table(
            uplinks in proptest::collection::vec(any_uplink(), 1..20),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
            batch in 1..10_usize,
        ) {
            let once: Vec<&Uplink> = uplinks.iter().collect();
            // Every uplink at least once, and then some again, shuffled by where the indexes fall.
            let mut again: Vec<&Uplink> = order.iter().map(|index| index.get(&uplinks)).collect();
            again.extend(&once);
            again.reverse();
            prop_assert_eq!(table_after(&once, 1), table_after(&again, batch));
        }
    }

    fn table_after(uplinks: &[&Uplink], batch: usize) -> Vec<crate::ports::Item> {
        let stage = stage();
        let records: Vec<Record> = uplinks.iter().map(|uplink| Record::new("id", envelope::of_one(uplink))).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for batch in records.chunks(batch) {
            runtime.block_on(run(&stage, batch));
        }
        stage.table.items()
    }
}
