//! Checks when stored items expire: a fixed time after an arrival of their message, whatever time the message has.

use std::collections::{BTreeMap, BTreeSet};

use pulsegate_aws::items::Item;
use pulsegate_model::at::At;
use pulsegate_pipeline::batch::{self, BatchRecord, OpenedBatch};
use pulsegate_pipeline::ports::Arrived;
use serde_dynamo::AttributeValue;
use tokio::time::Instant;

use super::pipeline::{Pipeline, RETENTION_DAYS};
use super::queue::QueueModel;
use super::table::{Items, Key};

/// Name of the attribute.
pub(super) const EXPIRES_AT: &str = "expires_at";

/// For each key of an item, the times at which its queue received its message.
type Arrivals = BTreeMap<Key, BTreeSet<At>>;

/// Returns whether two items are equal, apart from their expiry.
pub fn differ_at_most_in_it(one: &Item, other: &Item) -> bool {
    let (one, other) = (one.inner(), other.inner());
    let same = |(name, value)| name == EXPIRES_AT && other.contains_key(name) || other.get(name) == Some(value);
    one.len() == other.len() && one.iter().all(same)
}

/// Returns the pulse items and device events that do not expire so many days after an arrival of their message.
pub fn wrong(pipeline: &Pipeline) -> Vec<String> {
    let pulses = opened(pipeline, [&pipeline.pulse_sigfox, &pipeline.pulse_nbiot]).uplinks.values;
    let pulses = pulses
        .into_iter()
        .map(|Arrived { value, arrived }| ((value.device.to_string(), value.key().to_string()), arrived));
    let events = opened(pipeline, [&pipeline.raw]).events.values;
    let events =
        events.into_iter().map(|Arrived { value, arrived }| ((value.source.to_string(), value.key()), arrived));
    let tables = [(pipeline.pulse_table.items(), by_key(pulses)), (pipeline.event_table.items(), by_key(events))];
    tables.iter().flat_map(|(items, arrivals)| wrong_in(items, arrivals)).collect()
}

fn wrong_in(items: &Items, arrivals: &Arrivals) -> Vec<String> {
    let is_right = |key: &Key, item: &Item| {
        let expiry = |arrived: &At| AttributeValue::N(arrived.expires_at(RETENTION_DAYS).to_string());
        let expires_at = item.inner().get(EXPIRES_AT);
        arrivals.get(key).is_some_and(|arrivals| arrivals.iter().any(|at| expires_at == Some(&expiry(at))))
    };
    let wrong = items.iter().filter(|(key, item)| !is_right(key, item));
    wrong.map(|(key, _)| format!("{key:?} is not retained from its arrival")).collect()
}

/// Returns the content of all messages that these queues have received.
fn opened<'a>(pipeline: &Pipeline, queues: impl IntoIterator<Item = &'a QueueModel>) -> OpenedBatch {
    let at = |instant: Instant| {
        let seconds = pipeline.world.time_of(instant).as_secs();
        At::from_unix(seconds.cast_signed()).unwrap_or_else(|e| panic!("{e}"))
    };
    let sent = queues.into_iter().flat_map(QueueModel::sent);
    let sent = sent.map(|(body, sent)| BatchRecord::new("", at(sent), body.as_bytes()));
    batch::open(&sent.collect::<Vec<_>>(), "arrivals")
}

fn by_key(arrived: impl Iterator<Item = (Key, At)>) -> Arrivals {
    let mut arrivals = Arrivals::new();
    for (key, at) in arrived {
        arrivals.entry(key).or_default().insert(at);
    }
    arrivals
}
