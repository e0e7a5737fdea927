//! Runs in which quarantine or a destination rejects requests.

use std::sync::atomic::{AtomicUsize, Ordering};

use pulsegate_pipeline::ports::{Queue, ReadError, Received, Refused};

use super::*;

/// A quarantine queue with failures.
struct Sick<'a> {
    inbox: &'a FakeReceiveQueue,
    /// Number of receive requests that succeed.
    reads: AtomicUsize,
    /// True if deletions succeed.
    deletes: bool,
    /// Time to release a message.
    each: Duration,
}

impl<'a> Sick<'a> {
    fn of(inbox: &'a FakeReceiveQueue) -> Self {
        Self { inbox, reads: AtomicUsize::new(usize::MAX), deletes: true, each: Duration::ZERO }
    }
}

impl ReceiveQueue for Sick<'_> {
    async fn receive(&self, hold: Duration, deadline: Instant) -> Result<Vec<Received>, ReadError> {
        match self.reads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => self.inbox.receive(hold, deadline).await,
            Err(_) => Err(ReadError { what: "the queue".to_owned(), source: "down on purpose".into() }),
        }
    }

    async fn give_back(&self, handles: &[String], deadline: Instant) -> Refused {
        let mut refused = Refused::new();
        for (position, handle) in handles.iter().enumerate() {
            if Instant::now() + self.each > deadline {
                refused.insert(position);
                continue;
            }
            sleep(self.each).await;
            assert!(self.inbox.give_back(std::slice::from_ref(handle), deadline).await.is_empty());
        }
        refused
    }

    async fn delete(&self, handles: &[String], deadline: Instant) -> Refused {
        if self.deletes { self.inbox.delete(handles, deadline).await } else { (0..handles.len()).collect() }
    }
}

/// A queue that accepts messages that contain this text.
struct Picky(&'static str, FakeQueue);

impl Queue for Picky {
    async fn send(&self, bodies: &[String], deadline: Instant) -> Refused {
        let (good, bad): (Vec<usize>, Vec<usize>) = (0..bodies.len()).partition(|&n| bodies[n].contains(self.0));
        let good: Vec<String> = good.into_iter().map(|n| bodies[n].clone()).collect();
        assert!(self.1.send(&good, deadline).await.is_empty());
        bad.into_iter().collect()
    }
}

/// Sends all records to a queue that accepts messages with this text. Returns the report, the problem and the accepted
/// messages.
async fn sent(quarantine: Sick<'_>, takes: &'static str) -> (Value, String, Vec<String>) {
    let order = order("--all", quarantine.inbox.now()).unwrap();
    let picky = || Picky(takes, FakeQueue::default());
    let (raw_sigfox, pulse_sigfox, pulse_nbiot) = (picky(), picky(), picky());
    let (again, raw_nbiot) = (FakeQueue::default(), Arc::<FakeStream>::default());
    let endpoints = Endpoints { quarantine, again, raw_sigfox, pulse_sigfox, pulse_nbiot, raw_nbiot };
    let CommandOutput { text, problem } =
        timeout(Duration::from_hours(24), send(&endpoints, &order, &Stop::default())).await.unwrap();
    let why = problem.map(|problem| problem.in_full()).unwrap_or_default();
    (serde_json::from_str(&text).unwrap(), why, endpoints.raw_sigfox.1.sent())
}

async fn holding(count: usize) -> World {
    World::holding(&(0..count).map(|n| quarantined("raw-sigfox", &format!("good {n}"))).collect::<Vec<_>>()).await
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_deleted_is_met_once_however_often_it_comes_back() {
    let world = holding(250).await;
    let sick = Sick { deletes: false, ..Sick::of(&world.quarantine) };
    let mut walk = Walk::new(&sick, world.quarantine.now());
    let mut met: Vec<String> = Vec::new();
    while let Some(some) = walk.next().await.unwrap() {
        let ids: Vec<&str> = some.iter().map(|message| message.id.as_str()).collect();
        assert_eq!(walk.delete(&ids).await, ids.len());
        met.extend(ids.into_iter().map(str::to_owned));
        assert!(met.len() <= 250, "one is met again");
        sleep(VISIBILITY_TIMEOUT * 2).await;
    }
    assert_eq!(met.iter().collect::<BTreeSet<_>>().len(), 250);
    walk.end().await;
    assert_eq!(world.quarantine.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_can_delete_nothing_ends_soon_and_says_so() {
    let world = holding(1_000).await;
    let (report, why, taken) = sent(Sick { deletes: false, ..Sick::of(&world.quarantine) }, "good").await;
    assert!(why.contains("nothing can be deleted from quarantine"), "{why}");
    assert_eq!((taken.len(), &report["not_deleted"], world.quarantine.held()), (300, &json!(300), 0));
}

#[tokio::test(start_paused = true)]
async fn what_was_done_before_quarantine_could_not_be_read_is_told() {
    let world = holding(1_000).await;
    let sick = || Sick { reads: AtomicUsize::new(2), ..Sick::of(&world.quarantine) };
    let (nothing, stop) = (Selection::default(), Stop::default());
    let done = list(&sick(), &nothing, Format::Json, world.quarantine.now(), &stop).await;
    let groups: Value = serde_json::from_str(&done.text).unwrap();
    assert_eq!((&groups[0]["count"], world.quarantine.held()), (&json!(200), 0));
    assert_eq!(done.problem.unwrap().in_full(), "the queue cannot be read: down on purpose");

    let (report, why, taken) = sent(sick(), "good").await;
    assert_eq!(why, "the queue cannot be read: down on purpose");
    assert_eq!((&report["sent"], taken.len(), world.quarantine.bodies().len()), (&json!(200), 200, 800));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_never_taken_ends_no_run() {
    let mut messages = vec![quarantined("raw-sigfox", "bad")];
    messages.extend((0..150).map(|n| quarantined("raw-sigfox", &format!("good {n}"))));
    // On any page, also alone on the last one.
    for count in [1, 2, 101, 151] {
        let world = World::holding(&messages[..count]).await;
        let (report, why, taken) = sent(Sick::of(&world.quarantine), "good").await;
        assert_eq!((taken.len(), &report["refused"]), (count - 1, &json!(1)));
        assert_eq!(why, format!("{} of {count} selected records have been sent", count - 1));
        assert_eq!(world.quarantine.bodies().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn two_pages_in_vain_end_no_run_and_three_do() {
    for (good, bad, ends, refused) in [
        (0, 200, "0 of 200 selected records have been sent", 200),
        (0, 1_000, "the reasons are above", 300),
        // Some of every page are accepted.
        (500, 500, "500 of 1000 selected records have been sent", 500),
    ] {
        let bodies = (0..good + bad).map(|n| format!("{} {n}", if n < good { "good" } else { "bad" }));
        let world = World::holding(&bodies.map(|body| quarantined("raw-sigfox", &body)).collect::<Vec<_>>()).await;
        let (report, why, taken) = sent(Sick::of(&world.quarantine), "good").await;
        assert!(why.ends_with(ends), "{why}");
        assert_eq!((&report["refused"], taken.len(), world.quarantine.held()), (&json!(refused), good, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn all_is_given_back_however_long_that_takes() {
    let world = holding(5_000).await;
    let sick = Sick { each: Duration::from_millis(10), ..Sick::of(&world.quarantine) };
    let done = list(&sick, &Selection::default(), Format::Table, world.quarantine.now(), &Stop::default()).await;
    assert!(done.problem.is_none());
    assert_eq!(world.quarantine.held(), 0);
}
