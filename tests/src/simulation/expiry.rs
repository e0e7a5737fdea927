//! Checks when stored items expire: a fixed time after an arrival of their message, whatever time the message has.

use std::collections::{BTreeMap, BTreeSet};

use pulsegate_aws::items::Item;
use pulsegate_model::at::At;
use pulsegate_pipeline::batch::{self, BatchRecord};
use pulsegate_pipeline::ports::Arrived;
use serde_dynamo::AttributeValue;
use tokio::time::Instant;

use super::pipeline::{Pipeline, RETENTION_DAYS};
use super::table::{Items, Key};

/// Name of the attribute.
pub(super) const EXPIRES_AT: &str = "expires_at";

/// For each key of an item, the times at which the queue or the stream received its message.
type Arrivals = BTreeMap<Key, BTreeSet<At>>;

/// Returns whether two items are equal, apart from their expiry.
pub fn differ_at_most_in_it(one: &Item, other: &Item) -> bool {
    let (one, other) = (one.inner(), other.inner());
    let same = |(name, value)| name == EXPIRES_AT && other.contains_key(name) || other.get(name) == Some(value);
    one.len() == other.len() && one.iter().all(same)
}

/// Returns the raw uplinks and device events that do not expire so many days after an arrival of their message.
pub fn wrong(pipeline: &Pipeline) -> Vec<String> {
    let [uplinks, events] = arrivals(pipeline);
    let tables = [(pipeline.raw_table.items(), uplinks), (pipeline.event_table.items(), events)];
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

/// Returns the arrivals of uplinks and of device events in front of the raw stages.
fn arrivals(pipeline: &Pipeline) -> [Arrivals; 2] {
    let at = |instant: Instant| {
        let seconds = pipeline.world.time_of(instant).as_secs();
        At::from_unix(seconds.cast_signed()).unwrap_or_else(|e| panic!("{e}"))
    };
    let sent = pipeline.raw.sent().into_iter().map(|(body, sent)| BatchRecord::new("", at(sent), body.as_bytes()));
    let put = pipeline.stream.records().into_iter();
    let put = put.map(|stored| BatchRecord::of_stream("", at(stored.arrived), stored.record.data.clone()));
    let opened = batch::open(&sent.chain(put).collect::<Vec<_>>(), "arrivals");

    let mut arrivals = [Arrivals::new(), Arrivals::new()];
    let [uplinks, events] = &mut arrivals;
    for Arrived { value, arrived } in opened.uplinks.values {
        let key = (value.device.to_string(), format!("{}#{}", value.key(), value.kind));
        uplinks.entry(key).or_default().insert(arrived);
    }
    for Arrived { value, arrived } in opened.events.values {
        events.entry((value.source.to_string(), value.key())).or_default().insert(arrived);
    }
    arrivals
}
