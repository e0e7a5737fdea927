//! Shared code of the whole-path tests.
//!
//! # Layout
//!
//! - [`template`]: `template.yaml`, as data.
//! - [`yaml`]: YAML files, as data.
//! - [`events`]: the files of `events/`, by name.
//! - [`seeds`]: seed inputs of the fuzz targets.
//! - [`contracts`]: the contract of every port, tested with the fakes and with the real adapters.
//! - [`stack`]: the real template in a local cloud of its own.
//! - [`callback`]: the callback function in the test's process, over fakes.
//! - [`bridge`]: the bridge in the test's process, in front of a fake stream.
//! - [`clients`]: device clients: the reference client in C, and CoAP clients of other projects.
//! - [`relay`]: a lossy network between client and bridge.
//! - [`sigfox`]: a simulated Sigfox cloud.
//! - [`simulation`]: the whole pipeline in virtual time, with faults in everything around it.
//! - [`document`]: the worked examples of `docs/nbiot-protocol.md`.
//!
//! The tests are in `tests/`: `e2e` needs a local cloud, `image` a Docker engine, the others neither.

pub mod bridge;
pub mod callback;
pub mod clients;
pub mod contracts;
pub mod document;
pub mod events;
pub mod relay;
pub mod seeds;
pub mod simulation;
pub mod stack;
pub mod template;
pub mod yaml;

use std::collections::BTreeSet;

use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::archive::object;
use pulsegate_pipeline::archive::row::Row;
use pulsegate_pipeline::fakes::FakeObjects;

pub use frames::{read, repository};
pub use test_kit::sigfox;

/// The uplinks of an archive's new objects, each once, in the order of their rows.
pub fn archived(store: &FakeObjects) -> Vec<Uplink> {
    let decoded = store.all().into_iter().flat_map(|(key, content)| object::decode(&key, &content).unwrap_or_default());
    let rows: BTreeSet<Row> = decoded.map(|uplink| Row::from(&uplink)).collect();
    rows.iter().filter_map(|row| row.uplink().ok()).collect()
}
