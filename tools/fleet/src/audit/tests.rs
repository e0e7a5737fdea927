//! Tests of the audit: a small fleet that has finished its run, and stacks with one or more errors.

use std::collections::BTreeSet;
use std::time::Duration;

use pulsegate_aws::fakes::FakeTable;
use pulsegate_aws::items::Item;
use pulsegate_model::at::At;
use pulsegate_model::device::Network;
use pulsegate_model::pulse::PulseItem;
use pulsegate_model::quarantine::Quarantined;
use pulsegate_model::uplink::{Kind, Payload, Uplink};
use pulsegate_model::{envelope, pulse};
use pulsegate_pipeline::archive::object;
use pulsegate_pipeline::archive::settle::Settle;
use pulsegate_pipeline::archive::store::{Condition, ObjectStore as _};
use pulsegate_pipeline::fakes::{FakeObjects, FakeReceiveQueue};
use pulsegate_pipeline::ports::Queue as _;
use tokio::time::Instant;

use super::accounts::Accounts;
use super::check::{AuditResult, check};
use super::expected_run::{ExpectedRun, as_sent};
use super::missing::Stage;
use super::waiting::{QueueKind, WatchedQueue};
use super::*;
use crate::meters::{Dating, Fleet};
use crate::run::{Measured, Run, Sessions};
use crate::spec::Spec;

mod archive_only;
mod clocks;
mod consumption;
mod runs;
mod single_run;

pub(super) use consumption::faulty;

const DEVICES: u32 = 24;
const HOURS: u32 = 3;

fn at(text: &str) -> At {
    text.parse().unwrap()
}

/// A fleet of every profile, with counters that roll over or are reset.
fn spec(start: &str) -> Spec {
    let mut spec =
        Spec { hours: f64::from(HOURS), rollover_share: 0.2, reset_share: 0.2, ..Spec::new(at(start), DEVICES) };
    spec.mix.iter_mut().for_each(|profile| profile.weight = 1);
    spec
}

/// When the runs began in real time: earlier than any clock on which the tests run.
const BEGAN: &str = "2024-01-01T00:00:00Z";

/// A run in which everything was acknowledged, and the uplinks that it sent.
fn run(start: &str) -> (ExpectedRun, Vec<Sent>) {
    run_of(spec(start))
}

pub(super) fn run_of(spec: Spec) -> (ExpectedRun, Vec<Sent>) {
    let fleet = Fleet::new(spec).unwrap();
    let (devices, hours) = (fleet.spec().devices, fleet.hours());
    let mut sessions = Sessions::new(devices, hours);
    let mut sent = Vec::new();
    for (meter, hour) in (0..devices).flat_map(|meter| (0..hours).map(move |hour| (meter, hour))) {
        if fleet.session(meter, hour, 0).uplinks.is_empty() {
            continue; // lost on the air
        }
        sessions.send(meter, hour);
        sessions.acknowledge(meter, hour);
        let session = fleet.session(meter, hour, fleet.counted(meter, hour));
        for each in session.uplinks {
            let mut uplink = as_sent(&fleet.meter(meter), &each).unwrap();
            if each.dating == Dating::Arrival {
                uplink.at = at(BEGAN).checked_add(u64::from(hour) * 5).unwrap();
            }
            sent.push(Sent { meter, hour, uplink });
        }
    }
    let measured = Measured { complete: true, sent: sent.len() as u64, ..Measured::default() };
    (ExpectedRun::new("run".to_owned(), fleet, sessions, at(BEGAN), &measured), sent)
}

/// An uplink of the fleet.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) meter: u32,
    hour: u32,
    pub(super) uplink: Uplink,
}

impl Sent {
    fn key(&self) -> String {
        self.uplink.key().to_string()
    }

    fn pulses(&self) -> Item {
        pulsegate_aws::items::pulse_item(&pulse::decode(&self.uplink).unwrap())
    }

    /// The same uplink with another last byte.
    fn altered(&self) -> Self {
        let mut bytes = self.uplink.payload.bytes().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        Self { uplink: Uplink { payload: Payload::from_bytes(&bytes).unwrap(), ..self.uplink.clone() }, ..self.clone() }
    }
}

/// Contents of the stack's archive, pulses table and queues.
#[derive(Clone)]
struct World {
    raw: Vec<Uplink>,
    /// `None` for a stack without the table.
    pulses: Option<Vec<Item>>,
    quarantine: Vec<String>,
    dead_letters: Vec<String>,
    queued: Vec<String>,
}

impl World {
    fn of<'a>(sent: impl IntoIterator<Item = &'a Sent>) -> Self {
        let sent: Vec<&Sent> = sent.into_iter().collect();
        let raw = sent.iter().map(|sent| sent.uplink.clone()).collect();
        let pulses = sent.iter().filter(|sent| sent.uplink.kind != Kind::Event).map(|sent| sent.pulses()).collect();
        Self { raw, pulses: Some(pulses), quarantine: vec![], dead_letters: vec![], queued: vec![] }
    }

    fn lose_raw(&mut self, sent: &Sent) {
        let before = self.raw.len();
        self.raw.retain(|uplink| *uplink != sent.uplink);
        assert_eq!(self.raw.len(), before - 1);
    }

    fn lose_pulses(&mut self, sent: &Sent) {
        let pulses = self.pulses.as_mut().unwrap();
        let before = pulses.len();
        pulses.retain(|item| *item != sent.pulses());
        assert_eq!(pulses.len(), before - 1);
    }

    async fn stores(&self, layout: Layout) -> FakeStores {
        let places = [
            ("pulses", QueueKind::Work, &self.queued),
            ("dead letters", QueueKind::DeadLetters, &self.dead_letters),
            ("quarantine", QueueKind::Quarantine, &self.quarantine),
        ];
        let mut stores = Stores {
            archive: layout.archive(&self.raw).await,
            pulses: self.pulses.as_ref().map(|pulses| FakeTable::of(pulses.iter().cloned())),
            places: vec![],
        };
        for (name, kind, bodies) in places {
            let inbox = FakeReceiveQueue::new();
            assert!(inbox.send(bodies, Instant::now()).await.is_empty());
            stores.places.push(WatchedQueue { name, kind, inbox });
        }
        stores
    }

    /// Audits the archive settled and not, of all days and of the runs' days. All results are equal, except for pulse items
    /// that no session has sent: only a scan of the table finds these.
    async fn audit(&self, accounts: Vec<ExpectedRun>) -> AuditResult {
        let mut accounts = Accounts::new(accounts);
        let mut results = Vec::new();
        for layout in [Layout::New, Layout::Half, Layout::Settled] {
            let stores = self.stores(layout).await;
            let by_key = check(&mut accounts, &stores, &Options { by_key: true, ..options() }).await.unwrap();
            let found = check(&mut accounts, &stores, &options()).await.unwrap();
            for place in &stores.places {
                assert_eq!(place.inbox.held(), 0, "{}: nothing is held any longer than it is looked at", place.name);
            }
            let Sources { objects, files, rows, .. } = found.audit.sources;
            assert_eq!((objects > 0, files > 0), (layout != Layout::Settled, layout != Layout::New), "{layout:?}");
            assert_eq!(rows, self.raw.iter().map(|uplink| format!("{uplink:?}")).collect::<BTreeSet<_>>().len() as u64);
            results.extend([by_key, found]);
        }
        let found = results.pop().unwrap();
        for other in &results {
            assert_eq!(other.audit.networks, found.audit.networks);
            assert_eq!((&other.audit.meters, &other.missing), (&found.audit.meters, &found.missing));
            let raw = |result: &AuditResult| {
                let raw = result.audit.strange.examples.iter().filter(|example| example.starts_with("raw: "));
                raw.cloned().collect::<Vec<_>>()
            };
            assert_eq!(raw(other), raw(&found));
        }
        found
    }
}

type FakeStores = Stores<FakeObjects, FakeTable, FakeReceiveQueue>;

/// The settled share of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    New,
    /// Half of the rows; some of these are in `new/` as well.
    Half,
    Settled,
}

impl Layout {
    async fn archive(self, rows: &[Uplink]) -> Archive<FakeObjects> {
        let (store, bits) = (FakeObjects::of_pages(3), "2026-01-01=2".parse().unwrap());
        let (settled, left) = match self {
            Self::New => (0, 0),
            Self::Half => (rows.len() / 2, rows.len() / 3),
            Self::Settled => (rows.len(), rows.len()),
        };
        let soon = Instant::now() + Duration::from_mins(1);
        put(&store, &rows[..settled]).await;
        while !store.keys("new/").is_empty() {
            Settle { store: &store, bits: &bits, stop: soon, deadline: soon }.run().await.unwrap();
        }
        put(&store, &rows[left..]).await;
        Archive { store, bits }
    }
}

/// Puts rows into `new/`, some into each object.
async fn put(store: &FakeObjects, rows: &[Uplink]) {
    for batch in rows.chunks(20) {
        let object = object::encode(batch).unwrap();
        store.put(&object.key, object.content, Condition::Always, Instant::now()).await.unwrap();
    }
}

fn options() -> Options {
    Options {
        runs: vec![],
        env: None,
        wait: Duration::from_mins(1),
        format: Format::Table,
        list: 20,
        missing: None,
        by_key: false,
        consumption: false,
        segments: 3,
    }
}

/// The missing uplinks, each with its key and the last stage that it reached.
fn stages(found: &AuditResult) -> Vec<(String, Stage)> {
    found.missing.iter().map(|missing| (missing.uplink.clone(), missing.stage)).collect()
}
