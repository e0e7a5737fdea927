//! Device IDs: computed from a meter's number, and back.
//!
//! A seed selects a region of IDs, so that the fleets of two seeds rarely overlap in one table.

use pulsegate_model::device::{DeviceId, Imei, Network, Serial, SigfoxId};

use super::Transport;
use super::chance::{About, hash};
use super::kinds::Kind;

/// The most meters of a fleet.
pub(super) const MOST: u32 = 100_000_000;

/// The number of regions that fit into the 32 bits of a Sigfox ID from [`FIRST_SIGFOX`] on.
const REGIONS: u64 = 40;

/// The first ID of each kind. An IMEI is one without its check digit; 35 is the first of a type allocation code from the GSMA's
/// British body.
const FIRST_SIGFOX: u64 = 0x1000_0000;
const FIRST_IMEI: u64 = 35_000_000_000_000;
const FIRST_SERIAL: u64 = 0x282C_0000_0000;

/// The first ID of a fleet, relative to the first of each kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identities {
    region: u64,
}

impl Identities {
    pub(super) fn new(seed: u64) -> Self {
        Self { region: hash(seed, About::Region, 0, 0) % REGIONS * u64::from(MOST) }
    }

    /// The device ID of a meter of this kind and number.
    pub(super) fn device(self, kind: &Kind, number: u32) -> DeviceId {
        let nth = self.region + u64::from(number);
        match (kind.network(), kind.transport) {
            (Network::Sigfox, _) => DeviceId::Sigfox(sigfox(nth)),
            (Network::Nbiot, Transport::Efento) => DeviceId::NbiotSerial(serial(nth)),
            (Network::Nbiot, _) => DeviceId::Nbiot(imei(nth)),
        }
    }

    /// The modem of a meter, if it has one.
    pub(super) fn modem(self, number: u32) -> Imei {
        imei(self.region + u64::from(number))
    }

    /// The only number whose meter can have this device ID.
    pub(super) fn number(self, device: &DeviceId) -> Option<u32> {
        let nth = match device {
            DeviceId::Sigfox(id) => u64::from(id.number()).checked_sub(FIRST_SIGFOX),
            DeviceId::Nbiot(imei) => (imei.number() / 10).checked_sub(FIRST_IMEI),
            DeviceId::NbiotSerial(serial) => serial.number().checked_sub(FIRST_SERIAL),
        };
        nth?.checked_sub(self.region)?.try_into().ok()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "40 regions of 100,000,000 behind the first end below 2^32")]
fn sigfox(nth: u64) -> SigfoxId {
    SigfoxId::from((FIRST_SIGFOX + nth) as u32)
}

#[expect(clippy::expect_used, reason = "fourteen digits and one more, the first of them not zero")]
fn imei(nth: u64) -> Imei {
    let digits = FIRST_IMEI + nth;
    Imei::try_from(digits * 10 + check_digit(digits)).expect("15 digits")
}

#[expect(clippy::expect_used, reason = "the regions end far below 2^48, and none of these is zero")]
fn serial(nth: u64) -> Serial {
    Serial::try_from(FIRST_SERIAL + nth).expect("48 bits")
}

/// The last digit of an IMEI (3GPP TS 23.003, annex B): every other digit doubled, from the last of the fourteen on, and all
/// digits of that added up, make a multiple of ten with it.
fn check_digit(fourteen: u64) -> u64 {
    let digits = std::iter::successors(Some(fourteen), |rest| (*rest >= 10).then_some(rest / 10)).map(|rest| rest % 10);
    let doubled = |digit: u64| digit * 2 / 10 + digit * 2 % 10;
    let sum: u64 = digits.enumerate().map(|(n, digit)| if n % 2 == 0 { doubled(digit) } else { digit }).sum();
    (10 - sum % 10) % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_digit_is_that_of_the_imei_of_the_documents() {
        assert_eq!(check_digit(49_015_420_323_751), 8);
        assert_eq!(check_digit(35_685_003_518_460), 3);
    }

    #[test]
    fn the_last_number_of_the_last_region_has_ids_of_its_own() {
        let last = Identities { region: (REGIONS - 1) * u64::from(MOST) };
        let nth = last.region + u64::from(MOST - 1);
        for device in [DeviceId::Sigfox(sigfox(nth)), DeviceId::Nbiot(imei(nth)), DeviceId::NbiotSerial(serial(nth))] {
            assert_eq!(last.number(&device), Some(MOST - 1), "{device}");
            assert_eq!(device.to_string().parse(), Ok(device));
        }
    }
}
