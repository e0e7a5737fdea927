//! The description of a fleet: everything that decides what its meters send, and when. The same spec gives the same meters, to
//! the load tool, to the audit, and to a run that is resumed.

use pulsegate_model::at::At;
use serde::{Deserialize, Serialize};

/// A fleet. In a run's directory as `run.json`, under `spec`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The seed of all random values.
    pub seed: u64,
    /// The number of meters.
    pub devices: u32,
    /// The share of meters on Sigfox, from 0 to 1; the others are on NB-IoT.
    pub sigfox_share: f64,
    /// The profiles of the meters, each with its weight among those of its network.
    pub mix: Vec<Weighted>,
    /// Virtual time at which hour 0 begins.
    pub start: At,
    /// The length in virtual hours; a fraction is a part of the last hour.
    pub hours: f64,
    /// Virtual seconds per real second.
    pub speed_up: f64,
    /// When in its hour a meter sends.
    pub arrival: Arrival,
    /// The largest drift of a meter's clock, fast or slow, in seconds a day. Sigfox meters have no clock.
    pub clock_drift: f64,
    /// The share of NB-IoT meters whose clock shows an impossible time, from 0 to 1: see `meters::clock`.
    #[serde(default)]
    pub wrong_clocks: f64,
    /// The share of NB-IoT meters with a setting other than the usual one, from 0 to 1: see `meters::setting`.
    #[serde(default)]
    pub odd_settings: f64,
    /// The share of meters whose counter rolls over, from 0 to 1: within the first day, if the meter counts a pulse then. A
    /// counter without a known width does not roll over.
    pub rollover_share: f64,
    /// The share of meters whose counter is reset once, as by a new battery, right after a session, so that no pulse is
    /// lost; from 0 to 1, and with the share above at most 1. A fleet of one hour has no reset.
    pub reset_share: f64,
    /// Faults of the meters and of the air beyond these.
    #[serde(default)]
    pub faults: MeterFaults,
}

/// Shares of meters, or of uplinks, with a fault: each from 0 to 1. A meter has at most one of roll-over, reset, loss of power and
/// swap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MeterFaults {
    /// Meters that lose their power once: the counter starts again at zero after a session, and the pulses of the first half of
    /// the hour after it are in no index. A meter that logs more often than once an hour loses none.
    pub power_loss: f64,
    /// Meters that are swapped once, between two sessions. If they have assignments, the assignments have the time, the last
    /// index of the old meter and the first one of the new.
    pub swap: f64,
    /// Meters that are swapped once without a trace in an assignment.
    pub untold_swap: f64,
    /// Uplinks that a meter numbers and sends, and that never arrive.
    pub lost: f64,
    /// Meters that send a wrong index once: only of profiles whose uplinks have whole indexes.
    pub garbled: f64,
    /// Sigfox meters that send status messages, which have a number and no counts, a few times a day.
    pub status: f64,
    /// Meters with assignments.
    pub assigned: f64,
}

impl Spec {
    /// A fleet of this size that starts at this time: half on Sigfox, all profiles that every bridge accepts, one hour in real
    /// time, evenly over the hour.
    pub fn new(start: At, devices: u32) -> Self {
        Self {
            seed: 1,
            devices,
            sigfox_share: 0.5,
            mix: Self::default_mix(),
            start,
            hours: 1.0,
            speed_up: 1.0,
            arrival: Arrival::Uniform,
            // A quartz of 20 parts in a million.
            clock_drift: 1.7,
            wrong_clocks: 0.0,
            odd_settings: 0.0,
            rollover_share: 0.01,
            reset_share: 0.01,
            faults: MeterFaults::default(),
        }
    }
}

/// The reason why a spec is invalid and what would be valid, in a sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSpec(pub String);

/// A profile and its weight in the mix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weighted {
    /// As in `shared/model/profiles.toml`; one that [`crate::meters`] can send.
    pub profile: String,
    /// Relative to the others of its network.
    pub weight: u32,
}

/// When in its hour a meter sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Arrival {
    /// Each at its own moment, all of them evenly over the hour.
    Uniform,
    /// All of them evenly over the first minute.
    TopOfHour,
    /// As `uniform`, and in each hour up to five minutes later by chance.
    Jitter,
}
