//! The kinds of meters: profiles of `shared/model/profiles.toml`, each with its transport, its logs and its frames.

use pulsegate_model::device::Network;

use super::Transport;
use super::frames::{Report, adeunis, dragino, efento, senml};
use super::input::Input;

/// A profile that a meter here can send.
#[derive(Debug)]
pub(super) struct Kind {
    /// As in `shared/model/profiles.toml`.
    pub(super) profile: &'static str,
    pub(super) transport: Transport,
    /// The width of its counters in bits, if codec or profile have it.
    pub(super) counter_bits: Option<u8>,
    /// The part of its log that a session sends.
    pub(super) logs: Logs,
    /// Its channels, as the codec names them.
    pub(super) channels: &'static [(&'static str, Input)],
    /// Uplinks of a session, without the daily ones.
    pub(super) uplinks: u32,
    /// Writes their payloads, in order.
    pub(super) write: fn(&Report) -> Vec<Vec<u8>>,
    /// The weight in the default mix.
    pub(super) weight: u32,
}

/// The part of a meter's log that a session sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logs {
    /// The index now.
    Now,
    /// The index now and those of this many hours before, dated by the profile's log period.
    Hourly(u8),
    /// The index now and those of this many sessions before, each with its time by the meter's clock.
    Sessions(u8),
    /// This many indexes since the last session, evenly spaced, the last of them now.
    Parts(u8),
}

const A: &[(&str, Input)] = &[("A", Input::A)];
const BOTH: &[(&str, Input)] = &[("A", Input::A), ("B", Input::B)];
/// An Efento logger's channel has the number of its MINOR one.
const SECOND: &[(&str, Input)] = &[("2", Input::A)];

/// All kinds. By the weights most meters send histories, as in a usual configuration. Efento's loggers have weight 0: they need
/// their own listener, which not every bridge has.
pub(super) static KINDS: [Kind; 11] = [
    sigfox("adeunis-pulse-v4-1h", 12, Logs::Hourly(3), A, adeunis::history),
    sigfox("adeunis-pulse-v4", 4, Logs::Now, BOTH, adeunis::data),
    sigfox("adeunis-pulse-v3-1h", 3, Logs::Hourly(3), A, adeunis::history),
    Kind { uplinks: 4, ..sigfox("adeunis-pulse-v2-10min", 1, Logs::Parts(6), BOTH, adeunis::series) },
    nbiot("adeunis-pulse4-nbiot", 8, Transport::Sealed, Some(32), Logs::Now, BOTH, adeunis::nbiot_data),
    nbiot("adeunis-pulse4-nbiot-1h", 4, Transport::SealedCoap, Some(32), Logs::Hourly(3), A, adeunis::nbiot_history),
    nbiot("dragino-sw3l-nb", 2, Transport::SealedCoap, Some(32), Logs::Sessions(8), A, dragino::flow_sensor),
    nbiot("dragino-cpn01-nb", 2, Transport::SealedCoap, Some(24), Logs::Sessions(8), A, dragino::contact_counter),
    nbiot("senml-cbor", 3, Transport::SealedCoap, None, Logs::Sessions(3), A, senml::cbor),
    nbiot("senml-json", 1, Transport::SealedCoap, None, Logs::Sessions(3), A, senml::json),
    nbiot("efento", 0, Transport::Efento, None, Logs::Parts(4), SECOND, efento::measurements),
];

const fn sigfox(
    profile: &'static str,
    weight: u32,
    logs: Logs,
    channels: &'static [(&'static str, Input)],
    write: fn(&Report) -> Vec<Vec<u8>>,
) -> Kind {
    Kind { profile, transport: Transport::Sigfox, counter_bits: Some(32), logs, channels, uplinks: 1, write, weight }
}

const fn nbiot(
    profile: &'static str,
    weight: u32,
    transport: Transport,
    counter_bits: Option<u8>,
    logs: Logs,
    channels: &'static [(&'static str, Input)],
    write: fn(&Report) -> Vec<Vec<u8>>,
) -> Kind {
    Kind { profile, transport, counter_bits, logs, channels, uplinks: 1, write, weight }
}

impl Kind {
    /// Its network.
    pub(super) fn network(&self) -> Network {
        match self.transport {
            Transport::Sigfox => Network::Sigfox,
            Transport::Sealed | Transport::SealedCoap | Transport::Efento => Network::Nbiot,
        }
    }
}

/// The kind of a profile.
pub(super) fn find(profile: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.profile == profile)
}

/// The names of all profiles, for an error message.
pub(super) fn names() -> String {
    KINDS.each_ref().map(|kind| kind.profile).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_a_profile_of_its_network_and_knows_its_counters() {
        for kind in &KINDS {
            let profile = pulsegate_model::profile::find(kind.network(), kind.profile).expect(kind.profile);
            assert_eq!(profile.counter_bits(), kind.counter_bits, "{}", kind.profile);
            let is_dated = profile.settings.log_period == Some(3_600);
            assert_eq!(matches!(kind.logs, Logs::Hourly(_)), is_dated, "{}", kind.profile);
        }
    }
}
