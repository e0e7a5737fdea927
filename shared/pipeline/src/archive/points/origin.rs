//! The origin of a points file: what it was made from. It is in the file, so that nothing has to be remembered elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use pulsegate_model::device::Network;
use pulsegate_model::profile;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Increased whenever the same uplinks, by the same codecs, give other rows: for other columns, or another merge.
pub const FORMAT: u32 = 2;

/// The origin of a points file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// See [`FORMAT`].
    pub format: u32,
    /// The key and the version of every file of uplinks that was read.
    pub sources: BTreeMap<String, String>,
    /// The version of the file of reports of the same place.
    pub reports: String,
    /// The profiles of all uplinks in these files, each with its [`decoder`].
    pub decoders: BTreeMap<String, String>,
    /// Those of the uplinks of this file's own day.
    pub own_decoders: BTreeMap<String, String>,
    /// Other days, in days since 1970, that the uplinks of this file's own day have a part in, with the row groups where
    /// these uplinks are.
    pub reach: BTreeMap<i64, BTreeSet<u32>>,
    /// Counts in uplinks of this file's own day that are too old for any points file.
    pub out_of_reach: u64,
    /// Uplinks of this file's own day that no codec reads.
    pub undecodable: u64,
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            format: FORMAT,
            sources: BTreeMap::new(),
            reports: String::new(),
            decoders: BTreeMap::new(),
            own_decoders: BTreeMap::new(),
            reach: BTreeMap::new(),
            out_of_reach: 0,
            undecodable: 0,
        }
    }
}

impl Origin {
    pub(super) fn to_json(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    pub(super) fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|origin: &Self| origin.format == FORMAT)
    }

    /// Adds the profile of an uplink of this file's own day, or of another one.
    pub(super) fn add_decoder(&mut self, is_own: bool, network: Network, profile: &str, decoder: Decoder) {
        let decoders = if is_own { &mut self.own_decoders } else { &mut self.decoders };
        decoders.entry(name(network, profile)).or_insert_with(|| decoder(network, profile));
    }

    /// True if today's code decodes all profiles in the same way.
    pub(super) fn is_decoded_by(&self, decoder: Decoder) -> bool {
        self.decoders.iter().all(|(name, then)| {
            let (network, profile) = name.split_once('/').unwrap_or_default();
            let network = if network == SIGFOX { Network::Sigfox } else { Network::Nbiot };
            decoder(network, profile) == *then
        })
    }
}

/// Returns a text that changes whenever uplinks of a profile may decode to something else.
pub type Decoder = fn(Network, &str) -> String;

/// The [`Decoder`] of today's code: codec, version, and a hash of the settings that the profile has for it.
pub fn decoder(network: Network, profile: &str) -> String {
    let Some(profile) = profile::find(network, profile) else { return "none".to_owned() };
    let settings = serde_json::to_vec(&(&profile.settings, profile.counter_bits())).unwrap_or_default();
    let hash = hex::encode(&Sha256::digest(settings)[..4]);
    format!("{} {} {hash}", profile.codec.name, profile.codec.version)
}

const SIGFOX: &str = "sigfox";

fn name(network: Network, profile: &str) -> String {
    let network = match network {
        Network::Sigfox => SIGFOX,
        Network::Nbiot => "nbiot",
    };
    format!("{network}/{profile}")
}
