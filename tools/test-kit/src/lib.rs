//! Meters, the Sigfox cloud and Kinesis as the tests and the load tools simulate them.
//!
//! Everything here is written from the documents of the network, the maker or AWS and not with the product's code, so that
//! the two can disagree. It depends on the model alone, and on no AWS SDK.
//!
//! # Layout
//!
//! - [`spec`]: the description of a fleet: everything that decides what its meters send, and when.
//! - [`meters`]: the meters of a spec: their IDs, their counts, and the bytes that they send.
//! - [`sealed`]: the sealed envelope from the meter's side: seals uplinks and checks acknowledgements.
//! - [`sigfox`]: the Sigfox cloud: callbacks, the retry rule, and the API that lists undelivered callbacks.
//! - [`kinesis`]: the rules of `PutRecords`, and an HTTP server that follows them and fails on request.
//!
//! The loops that send stay with their users. `bridge-load` sends millions of datagrams from one thread, `fleet` follows the
//! real clock, and the simulation in `tests` runs in virtual time. The fakes of `pulsegate_pipeline` stay there too: they are
//! fakes of its ports, not of Kinesis.

pub mod kinesis;
pub mod meters;
pub mod sealed;
pub mod sigfox;
pub mod spec;
