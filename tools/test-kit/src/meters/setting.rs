//! Settings of NB-IoT meters that change what their frames mean, or how they are written
//! ([`Spec::odd_settings`](crate::spec::Spec::odd_settings)).

use super::Fleet;
use super::chance::{About, fraction, hash};
use super::kinds::Kind;

/// A meter's setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    /// The usual one of its kind.
    Usual,
    /// Mode 1 of a Dragino SW3L-NB: the pulses since the last uplink instead of an index.
    PulsesSinceUplink,
    /// The frame as hex in ASCII, in quotes and with a line end, as modems and scripts pass it on.
    Text,
    /// An Efento logger that does not send the factor of its period, which is 1.
    NoFactor,
    /// The same beside a binary sensor: the factor is 14.
    NoFactorBesideBinary,
}

impl Fleet {
    /// The setting of a meter.
    pub(super) fn setting(&self, kind: &Kind, number: u32) -> Setting {
        let drawn = |nth| hash(self.spec.seed, About::Setting, number, nth);
        let odd: &[Setting] = match kind.profile {
            "dragino-sw3l-nb" => &[Setting::PulsesSinceUplink, Setting::Text],
            "dragino-cpn01-nb" | "adeunis-pulse4-nbiot" | "adeunis-pulse4-nbiot-1h" => &[Setting::Text],
            "efento" => &[Setting::NoFactor, Setting::NoFactorBesideBinary],
            _ => &[],
        };
        if fraction(drawn(0)) >= self.spec.odd_settings || odd.is_empty() {
            return Setting::Usual;
        }
        odd[usize::try_from(drawn(1)).unwrap_or(0) % odd.len()]
    }
}

impl Setting {
    /// The bytes that the meter sends of a frame.
    pub(super) fn sent(self, frame: Vec<u8>) -> Vec<u8> {
        if self == Self::Text { format!("\"0x{}\"\r\n", hex::encode_upper(frame)).into_bytes() } else { frame }
    }
}
