//! The origin of a file of days: what it was made from. It is in the file, so that nothing has to be remembered
//! elsewhere.

use std::collections::BTreeMap;

use pulsegate_model::consumption;
use pulsegate_model::day::Carry;
use pulsegate_model::device::DeviceId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Increased whenever the same sources, by the same rules of consumption, give other rows or other columns.
pub const FORMAT: u32 = 1;

/// The origin of a file of days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// See [`FORMAT`].
    pub format: u32,
    /// The versions of the rules of consumption and of the time zones.
    pub rules: String,
    /// The key and the version of every file of points and of reports that was read.
    pub sources: BTreeMap<String, String>,
    /// The files of the month before that were read, each with its [`carries`](Self::carries).
    pub before: BTreeMap<String, String>,
    /// A hash of the assignments that apply until the last day of the sources.
    pub assignments: String,
    /// The first day of the month that was not over in each zone of the rows; the first day of the next month if all
    /// were.
    pub open: BTreeMap<String, String>,
    /// A hash of what these days leave to the next month.
    pub carries: String,
}

impl Origin {
    pub(super) fn to_json(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    pub(super) fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|origin: &Self| origin.format == FORMAT)
    }
}

/// The [`Origin::rules`] of today's code.
pub(super) fn rules() -> String {
    consumption::version()
}

/// The hash of carries, of one device after another.
#[derive(Default)]
pub(super) struct Carries(Sha256);

impl Carries {
    /// Adds a device, and returns its carry as JSON.
    pub(super) fn add(&mut self, device: DeviceId, carry: &Carry) -> Option<String> {
        let text = serde_json::to_string(carry).ok()?;
        self.0.update(format!("{device} {text}\n"));
        Some(text)
    }

    pub(super) fn finish(self) -> String {
        hex::encode(&self.0.finalize()[..16])
    }
}
