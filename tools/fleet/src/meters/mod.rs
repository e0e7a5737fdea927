//! The meters: a function of the [`Spec`], with no memory of their own.
//!
//! A meter has a **session** each hour, in which it sends one uplink, or the few that make up a series.

use shared::at::At;
use shared::device::DeviceId;

use crate::Problem;
use crate::spec::Spec;

/// All meters of a spec.
#[derive(Debug)]
pub struct Fleet {
    spec: Spec,
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
}

/// A meter of the fleet, by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// From 0 on.
    pub number: u32,
    /// What it is called in the tables.
    pub device: DeviceId,
    /// Its profile, as in `shared/profiles.toml`.
    pub profile: &'static str,
    /// How it sends.
    pub transport: Transport,
}

/// What a meter sends in an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// When it sends the first of them: virtual milliseconds since the fleet's start.
    pub due_ms: u64,
    /// In the order in which they are sent.
    pub uplinks: Vec<Uplink>,
}

/// An uplink as its meter knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// The time of its natural key: of Sigfox the network's, of NB-IoT the meter's own, with the drift of its clock.
    pub at: At,
    /// The sequence of its natural key, if it has one.
    pub sequence: u32,
    /// What it says: of NB-IoT what goes into the sealed envelope.
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
    /// [`Problem::Wrong`], naming what is wrong with the spec.
    pub fn new(spec: Spec) -> Result<Self, Problem> {
        Ok(Self { spec })
    }

    /// What it was made of.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// How many hours there are, the last of which may be cut short.
    pub fn hours(&self) -> u32 {
        unimplemented!()
    }

    /// A meter. Cheap: of millions none is kept.
    pub fn meter(&self, _number: u32) -> Meter {
        unimplemented!()
    }

    /// The meter with this device ID, if one of the fleet has it.
    pub fn number(&self, _device: &DeviceId) -> Option<u32> {
        unimplemented!()
    }

    /// Which meter is the nth to be due in an hour, and when: its number and virtual milliseconds since the fleet's start.
    /// Times never go back as n grows (but for jitter, by up to five minutes). `None` after the last one of the hour, and after
    /// the fleet's end.
    pub fn due(&self, _hour: u32, _n: u32) -> Option<(u32, u64)> {
        unimplemented!()
    }

    /// Pulses that a meter's channel A has counted up to its session in an hour since the fleet's start, without roll-over
    /// or reset. Walks the hours: whoever asks hour by hour adds [`Fleet::pulses`] up instead.
    pub fn counted(&self, _number: u32, _hour: u32) -> u64 {
        unimplemented!()
    }

    /// Pulses of one hour: a household's, by time of day, day of the week, and chance.
    pub fn pulses(&self, _number: u32, _hour: u32) -> u32 {
        unimplemented!()
    }

    /// What a meter sends in an hour, with what it has counted until then ([`Fleet::counted`]). The same bytes every time.
    pub fn session(&self, _number: u32, _hour: u32, _counted: u64) -> Session {
        unimplemented!()
    }

    /// The points that the sessions of these hours, in order, have to end as: each once, in order.
    pub fn expected(&self, _number: u32, _hours: &[u32]) -> Vec<Expected> {
        unimplemented!()
    }

    /// The session that a natural key is of: the hour, and which uplink of it; `None` if this meter sends no such one.
    pub fn hour_of(&self, _number: u32, _at: At, _sequence: Option<u32>) -> Option<(u32, usize)> {
        unimplemented!()
    }
}
