//! The directory of a run: `run.json` (the spec, how it was sent, and what was measured) and `sessions` (two bits of each
//! session: sent, acknowledged). A run that was killed is gone on with from here, and the audit begins here.
//!
//! `sessions` is written every few seconds, so what a kill takes with it is sent once more: the same bytes under the same keys.

use std::path::Path;

use fixedbitset::FixedBitSet;
use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::spec::Spec;

/// What `run.json` holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// The fleet.
    pub spec: Spec,
    /// How it was sent: the options of the simulator that are not the fleet's, by name, for the report.
    pub options: serde_json::Map<String, serde_json::Value>,
    /// What has been measured so far; renewed as the run goes on.
    pub measured: Measured,
}

/// What a run has measured. Counts are of messages: a session with a series is several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measured {
    /// Whether the fleet has lived its time.
    pub complete: bool,
    /// Seconds that it has sent for, without pauses between a kill and going on.
    pub seconds: f64,
    /// Uplinks given to the Sigfox cloud or to a modem.
    pub sent: u64,
    /// Of these, acknowledged: by the bridge, or 2xx to the Sigfox cloud.
    pub acknowledged: u64,
    /// Given up after all repetitions.
    pub given_up: u64,
    /// Datagrams and requests sent for them, repetitions included.
    pub attempts: u64,
    /// Of the attempts, lost on the way on purpose, there or back.
    pub lost: u64,
    /// Doubled on purpose.
    pub duplicated: u64,
    /// Delayed on purpose.
    pub reordered: u64,
    /// Requests to the Sigfox callback, by status (0: no answer in time).
    pub callbacks: std::collections::BTreeMap<u16, u64>,
    /// Milliseconds from sending to acknowledgement, at quantiles 0.5, 0.9, 0.99, 0.999 and 1, of NB-IoT.
    pub nbiot_ack_ms: Option<[f64; 5]>,
    /// The same of callbacks.
    pub callback_ms: Option<[f64; 5]>,
    /// The same from sending to the item in the table of pulses, of a sample.
    pub to_pulses_ms: Option<[f64; 5]>,
    /// How many were sampled for that.
    pub to_pulses_samples: u64,
    /// Highest rate of a second, in messages.
    pub peak_rate: f64,
    /// Most memory of the simulator, bytes.
    pub simulator_rss: u64,
    /// Seconds of processor time of the simulator, of the bridge, and of the local cloud with its functions; where they can be
    /// seen.
    pub cpu_seconds: std::collections::BTreeMap<String, f64>,
    /// Most memory of the bridge and of the local cloud, bytes.
    pub rss: std::collections::BTreeMap<String, u64>,
    /// The bridge's own counters (`/metrics`), what was added to them during the run.
    pub bridge: std::collections::BTreeMap<String, f64>,
    /// Rates over time: of each second, messages sent and acknowledged, for charts.
    pub seconds_sent: Vec<u32>,
    /// See `seconds_sent`.
    pub seconds_acknowledged: Vec<u32>,
}

/// Two bits of each session.
#[derive(Debug)]
pub struct Sessions {
    devices: usize,
    sent: Vec<FixedBitSet>,
    acknowledged: Vec<FixedBitSet>,
}

impl Sessions {
    /// None sent.
    pub fn new(devices: u32, hours: u32) -> Self {
        let (devices, hours) = (devices as usize, hours as usize);
        let none = || vec![FixedBitSet::with_capacity(devices); hours];
        Self { devices, sent: none(), acknowledged: none() }
    }

    /// Whether the session was given to the network.
    pub fn is_sent(&self, meter: u32, hour: u32) -> bool {
        self.sent[hour as usize].contains(meter as usize)
    }

    /// Whether all its uplinks were acknowledged.
    pub fn is_acknowledged(&self, meter: u32, hour: u32) -> bool {
        self.acknowledged[hour as usize].contains(meter as usize)
    }

    /// It is given to the network now.
    pub fn send(&mut self, meter: u32, hour: u32) {
        self.sent[hour as usize].insert(meter as usize);
    }

    /// All its uplinks are acknowledged.
    pub fn acknowledge(&mut self, meter: u32, hour: u32) {
        self.acknowledged[hour as usize].insert(meter as usize);
    }

    /// How many meters each hour has.
    pub fn devices(&self) -> usize {
        self.devices
    }

    /// Reads them; none sent if there is no file.
    ///
    /// # Errors
    /// [`Problem`] if the file is not of such a fleet.
    pub fn read(_directory: &Path, _devices: u32, _hours: u32) -> Result<Self, Problem> {
        unimplemented!()
    }

    /// Writes them, whole or not at all.
    ///
    /// # Errors
    /// [`Problem::File`].
    pub fn write(&self, _directory: &Path) -> Result<(), Problem> {
        unimplemented!()
    }
}

impl Run {
    /// Reads `run.json`.
    ///
    /// # Errors
    /// [`Problem`], naming the file.
    pub fn read(_directory: &Path) -> Result<Self, Problem> {
        unimplemented!()
    }

    /// Writes `run.json`, whole or not at all.
    ///
    /// # Errors
    /// [`Problem::File`].
    pub fn write(&self, _directory: &Path) -> Result<(), Problem> {
        unimplemented!()
    }
}
