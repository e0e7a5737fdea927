//! The meters of a fleet: a function of the [`Spec`], without state.
//!
//! A meter has a **session** each hour, in which it sends one uplink or a short series, and a few more once a day. Everything
//! follows from the seed, the meter's number and the hour, so a fleet of any size needs no more memory than its spec.
//!
//! # Layout
//!
//! - [`chance`]: random values that are the same in every run.
//! - `check`, `parse`: the limits of a spec, and a mix on a command line.
//! - `mix`, `kinds`: the profile of each meter; `identity`: its device ID; `order`: when it is due.
//! - `home`: the consumption; `input`, `counter`: what the counters show of it; `clock`: the meter's clock.
//! - `session`, `daily`, `frames`: the uplinks, to the byte.
//! - `faults`: lost uplinks, wrong indexes, status messages; `truth`: what the meters have counted.
//! - `assigned`: their assignments.
//! - `account`: the points and totals that must result.

use std::collections::BTreeMap;

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::TimeSource;

use crate::spec::{InvalidSpec, Spec};

mod account;
mod assigned;
pub mod chance;
mod check;
mod clock;
mod counter;
mod daily;
mod faults;
mod frames;
mod home;
mod identity;
mod input;
mod kinds;
mod mix;
mod order;
mod parse;
mod session;
mod setting;
#[cfg(test)]
mod tests;
mod truth;

pub use account::consumption;
pub use frames::adeunis::nbiot_head as adeunis_nbiot_head;
pub use truth::{Change, Numbered, TrueCount, TrueReading};

/// The meters of a spec.
#[derive(Debug)]
pub struct Fleet {
    spec: Spec,
    order: order::Order,
    mix: mix::Mix,
    identities: identity::Identities,
}

/// How a meter sends its uplinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Over Sigfox: the cloud sends a callback.
    Sigfox,
    /// Datagrams of the sealed envelope, to the sealed listener.
    Sealed,
    /// The sealed envelope in a confirmable CoAP POST to the path of the profile.
    SealedCoap,
    /// A confirmable CoAP POST to the path `m`, in the clear, to a listener of the profile among the bridge's
    /// `TRUSTED_LISTENERS`; answered 2.01 once durable. An Efento logger has no other mode.
    Efento,
}

/// A meter of the fleet, by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// The number, from 0.
    pub number: u32,
    /// Its device ID.
    pub device: DeviceId,
    /// Its profile, as in `shared/model/profiles.toml`.
    pub profile: &'static str,
    /// How it sends.
    pub transport: Transport,
}

/// The uplinks of a meter in one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// When it sends the first uplink: virtual milliseconds since the fleet's start.
    pub due_ms: u64,
    /// In the order of sending; over Sigfox 10 s apart. Without those that are lost on the air.
    pub uplinks: Vec<Uplink>,
}

/// An uplink as its meter sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// The time: of Sigfox the network's, of NB-IoT the meter's own, with the drift of its clock. It is the one of the
    /// natural key, but for [`Dating::Arrival`].
    pub at: At,
    /// The clock that dates it.
    pub dating: Dating,
    /// True if its pulse item must have the flag `clock-not-set`: a time in it is of a wrong clock.
    pub clock_not_set: bool,
    /// The sequence of its natural key: Sigfox's number, the sealed envelope's counter, or an Efento message's checksum.
    pub sequence: u32,
    /// True for a Sigfox status message, which has no payload.
    pub is_status: bool,
    /// The payload; of NB-IoT the content of the sealed envelope, or the CoAP payload of an Efento logger.
    pub payload: Vec<u8>,
}

/// The clock that dates an uplink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dating {
    /// The Sigfox network's.
    Network,
    /// The meter's own.
    Device,
    /// None: the meter's own is wrong. In a sealed envelope its time stays in the key.
    Unset,
    /// The bridge's, at the first arrival: the meter's own is wrong, and the uplink is in the clear.
    Arrival,
}

/// The index of a channel at a time, or its pulses since the last uplink, as the meter's points in the pulse table must have it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    /// The channel.
    pub channel: String,
    /// The time; `None` if the meter's clock is wrong.
    pub at: Option<At>,
    /// The index, modulo the counter's width; the pulses of a period if `per_period`.
    pub index: u64,
    /// True for a count per period instead of an index.
    pub per_period: bool,
}

impl Dating {
    /// The time source that an uplink must be stored with.
    pub fn time_source(self) -> TimeSource {
        match self {
            Self::Network | Self::Arrival => TimeSource::Network,
            Self::Device => TimeSource::Device,
            Self::Unset => TimeSource::Unset,
        }
    }
}

impl Fleet {
    /// The fleet of a spec.
    ///
    /// # Errors
    /// [`InvalidSpec`], naming what is wrong with the spec.
    pub fn new(spec: Spec) -> Result<Self, InvalidSpec> {
        check::check(&spec)?;
        let (order, mix) = (order::Order::new(&spec), mix::Mix::new(&spec));
        Ok(Self { identities: identity::Identities::new(spec.seed), order, mix, spec })
    }

    /// The spec of the fleet.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The number of hours, of which the last may be incomplete.
    pub fn hours(&self) -> u32 {
        self.order.hours()
    }

    /// Computes a meter by its number, below the count of devices. Nothing is stored.
    pub fn meter(&self, number: u32) -> Meter {
        let kind = self.mix.kind(number);
        let device = self.identities.device(kind, number);
        Meter { number, device, profile: kind.profile, transport: kind.transport }
    }

    /// The number of the meter with this device ID; `None` if the fleet has none.
    pub fn number(&self, device: &DeviceId) -> Option<u32> {
        let number = self.identities.number(device).filter(|&number| number < self.spec.devices)?;
        (self.meter(number).device == *device).then_some(number)
    }

    /// The number of meters that are due in an hour: all, or fewer in an incomplete last hour.
    pub fn sessions(&self, hour: u32) -> u32 {
        self.order.sessions(hour)
    }

    /// True if a meter is due in an hour.
    pub fn is_due(&self, number: u32, hour: u32) -> bool {
        number < self.spec.devices && self.order.is_due(number, hour)
    }

    /// The nth meter that is due in an hour, and when: its number and virtual milliseconds since the fleet's start. Times grow
    /// with n, except with jitter, where they go back by up to five minutes. `None` after the last meter of the hour, and
    /// after the fleet's end.
    pub fn due(&self, hour: u32, n: u32) -> Option<(u32, u64)> {
        self.order.due(hour, n)
    }

    /// Pulses that a meter's channel A has counted up to its session in an hour since the fleet's start, without roll-over
    /// or reset. Adds up all hours: a caller that goes hour by hour adds up [`Fleet::pulses`] itself.
    pub fn counted(&self, number: u32, hour: u32) -> u64 {
        (0..=hour).map(|hour| u64::from(self.pulses(number, hour))).sum()
    }

    /// Pulses of the hour up to the meter's session: a household's consumption by time of day, day of the week and chance. One
    /// pulse is a litre.
    pub fn pulses(&self, number: u32, hour: u32) -> u32 {
        self.pulses_of(number, hour.into())
    }

    /// The same, also for hours before the start.
    fn pulses_of(&self, number: u32, hour: i64) -> u32 {
        self.slots(number, hour).iter().sum()
    }

    /// The session of a meter in an hour, with its count until then ([`Fleet::counted`]). The same bytes every time.
    pub fn session(&self, number: u32, hour: u32, counted: u64) -> Session {
        self.session_of(&self.meter(number), self.mix.kind(number), hour, counted)
    }

    /// The clock that dates the uplinks of a session.
    pub fn dating_of(&self, number: u32, hour: u32) -> Dating {
        self.dating(self.mix.kind(number), number, hour)
    }

    /// The points that must result from the sessions of these hours, in the order of channels and times: each dated one
    /// once, and the undated ones of each session. Hours in which the meter is not due have none. A session of
    /// [`Dating::Arrival`] has all of its points undated here; the pipeline dates the newest by the arrival.
    pub fn expected(&self, number: u32, hours: &[u32]) -> Vec<Expected> {
        self.expected_of(self.mix.kind(number), number, hours)
    }

    /// The pulses of each channel between the first and the last dated point of these sessions. Excludes pulses before a reset that
    /// no session has, because no point has them. [`consumption`] must give the same.
    pub fn total(&self, number: u32, hours: &[u32]) -> BTreeMap<String, u64> {
        self.total_of(self.mix.kind(number), number, hours)
    }

    /// The hour and the position in its session of the uplink with this natural key; `None` if the meter sends none.
    pub fn hour_of(&self, number: u32, at: At, sequence: Option<u32>) -> Option<(u32, usize)> {
        self.hour_of_key(self.mix.kind(number), number, at, sequence?)
    }
}
