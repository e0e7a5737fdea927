//! Chooses the devices that the log names because their clock shows an impossible time.

use std::collections::HashSet;

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;

/// The log names a device again after so many seconds: a day.
const PERIOD: i64 = 86_400;

/// Maximum number of devices named in a period. Anyone can send in any device's name on a trusted listener; 10,000 lines
/// are 2 MB.
const MAX_DEVICES: usize = 10_000;

/// The devices that were named since the period began.
#[derive(Debug, Default)]
pub struct NamedDevices {
    since: Option<At>,
    devices: HashSet<DeviceId>,
}

impl NamedDevices {
    /// True if the log is to name the device: once a day, while it has named fewer than [`MAX_DEVICES`].
    pub fn is_due(&mut self, device: DeviceId, now: At) -> bool {
        if self.since.is_none_or(|since| now.unix() - since.unix() >= PERIOD) {
            self.since = Some(now);
            self.devices.clear();
        }
        self.devices.len() < MAX_DEVICES && self.devices.insert(device)
    }
}

#[cfg(test)]
mod tests {
    use pulsegate_model::device::SigfoxId;

    use super::*;

    fn at(seconds: i64) -> At {
        At::from_unix(1_795_176_000 + seconds).unwrap()
    }

    fn device(number: usize) -> DeviceId {
        DeviceId::Sigfox(SigfoxId::from(u32::try_from(number).unwrap()))
    }

    #[test]
    fn a_device_is_named_once_a_day() {
        let mut named = NamedDevices::default();
        assert!(named.is_due(device(1), at(0)));
        assert!(!named.is_due(device(1), at(PERIOD - 1)));
        assert!(named.is_due(device(2), at(PERIOD - 1)));
        assert!(named.is_due(device(1), at(PERIOD)));
    }

    #[test]
    fn forged_devices_do_not_flood_the_log() {
        let mut named = NamedDevices::default();
        let due = (0..3 * MAX_DEVICES).filter(|&number| named.is_due(device(number), at(0)));
        assert_eq!(due.count(), MAX_DEVICES);
        assert!(named.is_due(device(3 * MAX_DEVICES), at(PERIOD)));
    }
}
