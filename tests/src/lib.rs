//! What the whole-path tests share.
//!
//! # Layout
//!
//! - [`template`]: `template.yaml`, as data.
//! - [`yaml`]: YAML files, as data.
//! - [`events`]: the files of `events/`, by name.
//! - [`seeds`]: what fuzzing starts from.
//! - [`contracts`]: what every port promises, held against the fakes and against the real adapters.
//! - [`stack`]: the real template in a local cloud of its own.
//! - [`door`]: the callback function in the test's own process, over fakes.
//! - [`bridge`]: the bridge in the test's own process, in front of a fake stream.
//! - [`clients`]: what speaks to it: the reference client in C, and clients of others.
//! - [`relay`]: the network between the two.
//! - [`sigfox`]: a simulated Sigfox cloud.
//! - [`simulation`]: the whole pipeline in virtual time, while everything around it fails.
//! - [`document`]: the worked examples of `docs/nbiot-protocol.md`.
//!
//! The tests themselves are in `tests/`: `e2e` runs with a local cloud, `image` with a Docker engine, all others without.

pub mod bridge;
pub mod clients;
pub mod contracts;
pub mod document;
pub mod door;
pub mod events;
pub mod relay;
pub mod seeds;
pub mod simulation;
pub mod stack;
pub mod template;
pub mod yaml;

pub use frames::{read, repository};
pub use test_kit::sigfox;
