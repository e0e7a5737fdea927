//! The meters: a function of the [`Spec`], with no memory of their own.
//!
//! A meter has a **session** each hour, in which it sends one uplink, or the few that make up a series, and once a day some
//! more. Everything follows from the seed, the meter's number and the hour, so a fleet of any size is no larger than its spec.
//!
//! # Layout
//!
//! - `chance`: what is left to chance, the same every time.
//! - `mix`, `kinds`: which meter is what; `identity`: what it is called; `order`: when it is due.
//! - `home`: what is consumed; `counter`: what the counters show of it; `clock`: what a meter's clock shows.
//! - `session`, `daily`, `frames`: what is sent of that, to the byte.
//! - `account`: what has to come out of it in the end.

use std::collections::BTreeMap;

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;

use crate::spec::{InvalidSpec, Spec};

mod account;
pub mod chance;
mod check;
mod clock;
mod counter;
mod daily;
mod frames;
mod home;
mod identity;
mod input;
mod kinds;
mod mix;
mod order;
mod parse;
mod session;
#[cfg(test)]
mod tests;

pub use account::consumption;
pub use frames::adeunis::nbiot_head as adeunis_nbiot_head;

/// All meters of a spec.
#[derive(Debug)]
pub struct Fleet {
    spec: Spec,
    order: order::Order,
    mix: mix::Mix,
    identities: identity::Identities,
}

/// How a session's uplinks travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// By way of the Sigfox cloud: a callback.
    Sigfox,
    /// Datagrams of the sealed envelope, to the sealed listener.
    Sealed,
    /// The sealed envelope in a confirmable CoAP POST to the path of the profile.
    SealedCoap,
    /// A confirmable CoAP POST to the path `m`, in the clear, to a listener of the profile among the bridge's
    /// `TRUSTED_LISTENERS`; answered 2.01 once durable. An Efento logger cannot be told to do otherwise.
    Efento,
}

/// A meter of the fleet, by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// From 0 on.
    pub number: u32,
    /// What it is called in the tables.
    pub device: DeviceId,
    /// Its profile, as in `shared/model/profiles.toml`.
    pub profile: &'static str,
    /// How it sends.
    pub transport: Transport,
}

/// What a meter sends in an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// When it sends the first of them: virtual milliseconds since the fleet's start.
    pub due_ms: u64,
    /// In the order in which they are sent: over Sigfox 10 s apart, as their times say.
    pub uplinks: Vec<Uplink>,
}

/// An uplink as its meter knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// The time of its natural key: of Sigfox the network's, of NB-IoT the meter's own, with the drift of its clock.
    pub at: At,
    /// The sequence of its natural key: Sigfox's number, the sealed envelope's counter, or an Efento message's checksum.
    pub sequence: u32,
    /// What it says: of NB-IoT what goes into the sealed envelope, or the CoAP message of an Efento logger.
    pub payload: Vec<u8>,
}

/// What a meter counted on one channel at a time, as its points in the pulse table have to say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    /// The channel.
    pub channel: String,
    /// When; `None` where the frame dates nothing.
    pub at: Option<At>,
    /// The index, modulo the counter's width.
    pub index: u64,
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

    /// What it was made of.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// How many hours there are, the last of which may be cut short.
    pub fn hours(&self) -> u32 {
        self.order.hours()
    }

    /// A meter, by a number below the count of devices. Cheap: of millions none is kept.
    pub fn meter(&self, number: u32) -> Meter {
        let kind = self.mix.kind(number);
        let device = self.identities.device(kind, number);
        Meter { number, device, profile: kind.profile, transport: kind.transport }
    }

    /// The meter with this device ID, if one of the fleet has it.
    pub fn number(&self, device: &DeviceId) -> Option<u32> {
        let number = self.identities.number(device).filter(|&number| number < self.spec.devices)?;
        (self.meter(number).device == *device).then_some(number)
    }

    /// How many meters are due in an hour: all of them, or fewer in a last one that is cut short.
    pub fn sessions(&self, hour: u32) -> u32 {
        self.order.sessions(hour)
    }

    /// Whether a meter is due in an hour.
    pub fn is_due(&self, number: u32, hour: u32) -> bool {
        number < self.spec.devices && self.order.is_due(number, hour)
    }

    /// Which meter is the nth to be due in an hour, and when: its number and virtual milliseconds since the fleet's start.
    /// Times never go back as n grows (but for jitter, by up to five minutes). `None` after the last one of the hour, and after
    /// the fleet's end.
    pub fn due(&self, hour: u32, n: u32) -> Option<(u32, u64)> {
        self.order.due(hour, n)
    }

    /// Pulses that a meter's channel A has counted up to its session in an hour since the fleet's start, without roll-over
    /// or reset. Walks the hours: whoever asks hour by hour adds [`Fleet::pulses`] up instead.
    pub fn counted(&self, number: u32, hour: u32) -> u64 {
        (0..=hour).map(|hour| u64::from(self.pulses(number, hour))).sum()
    }

    /// Pulses of one hour, up to the meter's session in it: a household's, by time of day, day of the week, and chance. One is a
    /// litre.
    pub fn pulses(&self, number: u32, hour: u32) -> u32 {
        self.pulses_of(number, hour.into())
    }

    /// The same, of hours before the start as well.
    fn pulses_of(&self, number: u32, hour: i64) -> u32 {
        self.slots(number, hour).iter().sum()
    }

    /// What a meter sends in an hour, with what it has counted until then ([`Fleet::counted`]). The same bytes every time.
    pub fn session(&self, number: u32, hour: u32, counted: u64) -> Session {
        self.session_of(&self.meter(number), self.mix.kind(number), hour, counted)
    }

    /// The points that the sessions of these hours have to end as: each once, in the order of channels and times. Of hours in which
    /// the meter is not due there is nothing.
    pub fn expected(&self, number: u32, hours: &[u32]) -> Vec<Expected> {
        self.expected_of(self.mix.kind(number), number, hours)
    }

    /// By channel the pulses that the points of these sessions tell, from the first point to the last. What was counted before a
    /// counter was put back to zero, and in no session of these, is not among them: no point tells it. [`consumption`] has
    /// to come to the same.
    pub fn total(&self, number: u32, hours: &[u32]) -> BTreeMap<String, u64> {
        self.total_of(self.mix.kind(number), number, hours)
    }

    /// The session that a natural key is of: the hour, and which uplink of it; `None` if this meter sends no such one.
    pub fn hour_of(&self, number: u32, at: At, sequence: Option<u32>) -> Option<(u32, usize)> {
        self.hour_of_key(self.mix.kind(number), number, at, sequence?)
    }
}
