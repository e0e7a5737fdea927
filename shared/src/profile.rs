//! Device profiles: what a kind of device speaks, and the settings its bytes do not tell.
//!
//! A message names its profile (by the callback's path, or by the listener it came in at), so nothing on the write path
//! has to look a device up. What is the single meter's own, litres per pulse or an offset, is applied when reading.

use crate::codec::{Codec, adeunis_pulse};
use crate::device::Network;
use crate::uplink::ProfileName;

/// A kind of device.
#[derive(Debug)]
pub struct Profile {
    /// What callbacks and listeners call it.
    pub name: &'static str,
    /// The network it speaks over.
    pub network: Network,
    /// What its bytes mean.
    pub codec: &'static Codec,
    /// Seconds between two logs of a history frame, where all its devices are set alike. Without it, the points of a
    /// history keep their order and distance in logs, and get no time: a period is never guessed.
    pub log_period: Option<u32>,
    /// How its callbacks are written. (NB-IoT has none.)
    pub callbacks: &'static Callbacks,
}

/// What a device type's callbacks do not tell of themselves: the customer types both into the Sigfox back end.
#[derive(Debug)]
pub struct Callbacks {
    /// The line pattern of its `BATCH_URL` callbacks of the kind DATA / UPLINK.
    pub uplink_line: &'static str,
    /// The same of the kind DATA / BIDIR. Without `{ack}` in it nobody gets a downlink.
    pub bidir_line: &'static str,
    /// Names in its templates that only it has, each with Sigfox's own name for the variable.
    pub aliases: &'static [(&'static str, &'static str)],
}

impl Profile {
    /// Its name, as an uplink carries it.
    pub fn uplink_name(&self) -> ProfileName {
        ProfileName::of_profile(self.name)
    }
}

const HOUR: u32 = 3600;

/// As `docs/sigfox.md` says to type them in.
static CALLBACKS: Callbacks = Callbacks {
    uplink_line: "{device};{time};{data};{seqNumber}",
    bidir_line: "{device};{time};{data};{seqNumber};{ack}",
    aliases: &[],
};

/// Every profile.
pub static PROFILES: &[Profile] = &[
    profile("adeunis-pulse-v3", Network::Sigfox, &adeunis_pulse::V3, None),
    profile("adeunis-pulse-v3-1h", Network::Sigfox, &adeunis_pulse::V3, Some(HOUR)),
    profile("adeunis-pulse-v4", Network::Sigfox, &adeunis_pulse::V4, None),
    profile("adeunis-pulse-v4-1h", Network::Sigfox, &adeunis_pulse::V4, Some(HOUR)),
    profile("adeunis-pulse4-nbiot", Network::Nbiot, &adeunis_pulse::NBIOT, None),
    profile("adeunis-pulse4-nbiot-1h", Network::Nbiot, &adeunis_pulse::NBIOT, Some(HOUR)),
];

const fn profile(name: &'static str, network: Network, codec: &'static Codec, log_period: Option<u32>) -> Profile {
    Profile { name, network, codec, log_period, callbacks: &CALLBACKS }
}

/// The profile of that name on that network.
pub fn find(network: Network, name: &str) -> Option<&'static Profile> {
    PROFILES.iter().find(|profile| profile.network == network && profile.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_has_a_valid_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = PROFILES.iter().map(|profile| profile.name).collect();
        assert_eq!(names.len(), PROFILES.len());
        for name in names {
            assert!(name.parse::<ProfileName>().is_ok(), "{name}");
        }
    }

    #[test]
    fn a_profile_of_the_other_network_is_not_found() {
        assert!(find(Network::Sigfox, "adeunis-pulse-v4").is_some());
        assert!(find(Network::Nbiot, "adeunis-pulse-v4").is_none());
    }
}
