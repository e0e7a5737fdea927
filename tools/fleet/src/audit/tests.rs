//! Tests of the audit: a small fleet that has finished its run, and stacks with one or more errors.

use std::time::Duration;

use pulsegate_aws::Table as _;
use pulsegate_aws::fakes::FakeTable;
use pulsegate_aws::items::Item;
use pulsegate_model::at::At;
use pulsegate_model::device::Network;
use pulsegate_model::pulse::PulseItem;
use pulsegate_model::quarantine::Quarantined;
use pulsegate_model::uplink::{Payload, Uplink};
use pulsegate_model::{envelope, pulse};
use pulsegate_pipeline::fakes::FakeReceiveQueue;
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

mod clocks;
mod runs;
mod single_run;

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

fn run_of(spec: Spec) -> (ExpectedRun, Vec<Sent>) {
    let fleet = Fleet::new(spec).unwrap();
    let mut sessions = Sessions::new(DEVICES, HOURS);
    let mut sent = Vec::new();
    for (meter, hour) in (0..DEVICES).flat_map(|meter| (0..HOURS).map(move |hour| (meter, hour))) {
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
struct Sent {
    meter: u32,
    hour: u32,
    uplink: Uplink,
}

impl Sent {
    fn key(&self) -> String {
        self.uplink.key().to_string()
    }

    fn raw(&self) -> Item {
        // Retention counts from the arrival, whatever the meter's clock shows.
        pulsegate_aws::items::raw_item(&self.uplink, at(BEGAN), 30)
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

/// Contents of the stack's tables and queues.
struct World {
    raw: Vec<Item>,
    pulses: Vec<Item>,
    quarantine: Vec<String>,
    dead_letters: Vec<String>,
    queued: Vec<String>,
}

impl World {
    fn of<'a>(sent: impl IntoIterator<Item = &'a Sent>) -> Self {
        let (raw, pulses) = sent.into_iter().map(|sent| (sent.raw(), sent.pulses())).unzip();
        Self { raw, pulses, quarantine: vec![], dead_letters: vec![], queued: vec![] }
    }

    fn lose_raw(&mut self, sent: &Sent) {
        let before = self.raw.len();
        self.raw.retain(|item| *item != sent.raw());
        assert_eq!(self.raw.len(), before - 1);
    }

    fn lose_pulses(&mut self, sent: &Sent) {
        let before = self.pulses.len();
        self.pulses.retain(|item| *item != sent.pulses());
        assert_eq!(self.pulses.len(), before - 1);
    }

    async fn stores(&self) -> Stores<FakeTable, FakeTable, FakeReceiveQueue> {
        let places = [
            ("pulses", QueueKind::Work, &self.queued),
            ("dead letters", QueueKind::DeadLetters, &self.dead_letters),
            ("quarantine", QueueKind::Quarantine, &self.quarantine),
        ];
        let mut stores = Stores {
            raw: FakeTable::of(self.raw.iter().cloned()),
            pulses: FakeTable::of(self.pulses.iter().cloned()),
            places: vec![],
        };
        for (name, kind, bodies) in places {
            let inbox = FakeReceiveQueue::new();
            assert!(inbox.send(bodies, Instant::now()).await.is_empty());
            stores.places.push(WatchedQueue { name, kind, inbox });
        }
        stores
    }

    /// Audits by key and by scan. Both results are equal, except for items that no session has sent: only the scan
    /// finds these.
    async fn audit(&self, accounts: Vec<ExpectedRun>) -> AuditResult {
        let mut accounts = Accounts::new(accounts);
        let stores = self.stores().await;
        let by_key = check(&mut accounts, &stores, &Options { by_key: true, ..options() }).await.unwrap();
        let found = check(&mut accounts, &stores, &options()).await.unwrap();
        assert_eq!(by_key.audit.networks, found.audit.networks);
        assert_eq!((&by_key.audit.meters, by_key.audit.strange.items), (&found.audit.meters, 0));
        assert_eq!(by_key.missing, found.missing);
        for place in &stores.places {
            assert_eq!(place.inbox.held(), 0, "{}: nothing is held any longer than it is looked at", place.name);
        }
        found
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
        segments: 3,
    }
}

/// The missing uplinks, each with its key and the last stage that it reached.
fn stages(found: &AuditResult) -> Vec<(String, Stage)> {
    found.missing.iter().map(|missing| (missing.uplink.clone(), missing.stage)).collect()
}
