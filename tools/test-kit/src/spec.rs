//! What a fleet is: everything that decides what its meters send, and when. With the same spec every meter is the same meter,
//! whoever asks: the simulator, the audit, a run that is gone on with.

use pulsegate_model::at::At;
use serde::{Deserialize, Serialize};

/// A fleet. In a run's directory as `run.json`, under `spec`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Everything that is left to chance follows from this.
    pub seed: u64,
    /// How many meters.
    pub devices: u32,
    /// Which part of them is on Sigfox, from 0 to 1; the others are on NB-IoT.
    pub sigfox_share: f64,
    /// What the meters are, of each network: a profile and its weight among those of that network.
    pub mix: Vec<Weighted>,
    /// Virtual time at which hour 0 begins.
    pub start: At,
    /// Virtual hours that the fleet lives; a fraction is a part of the last one.
    pub hours: f64,
    /// Virtual seconds in a second.
    pub speed_up: f64,
    /// When in its hour a meter sends.
    pub arrival: Arrival,
    /// By how many seconds a day a meter's clock is off at most, either way, from the start on. Sigfox meters have none.
    pub clock_drift: f64,
    /// Part of the meters whose counter is about to start again at zero, from 0 to 1. One whose width is known does so within its
    /// first day, if it counts anything then; the others have no width that they could reach.
    pub rollover_share: f64,
    /// Part of the meters that start again at zero once, as after a new battery or a new meter, right after a session, so that
    /// nothing is lost; from 0 to 1, and with those above no more than 1. A fleet of one hour has none.
    pub reset_share: f64,
}

impl Spec {
    /// A fleet of this size that begins then: half of it on Sigfox, all profiles that any bridge takes, for an hour in real time,
    /// evenly over it.
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
            rollover_share: 0.01,
            reset_share: 0.01,
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
    /// As in `shared/model/profiles.toml`; one that [`crate::meters`] knows how to send.
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
