//! The uplinks of the meters of one partition: those of the load test, with what the network says about their reception.

use fastrand::Rng;
use pulsegate_model::at::At;
use pulsegate_model::device::{DeviceId, Network};
use pulsegate_model::uplink::{Kind, Payload, Radio, Uplink};
use pulsegate_pipeline::archive::place::{Day, PartitionBits};
use test_kit::meters::Fleet;
use test_kit::spec::Spec;

use crate::Fallible;

/// The first day that is generated.
pub(crate) const START: &str = "2026-11-20T00:00:00Z";

/// The partitions of a day, as a power of two: of 3.6 million meters.
pub(crate) const BITS: &str = "2026-01-01=6";

/// More of them, so that the files of months are made in a minute.
pub(crate) const BITS_OF_MONTHS: &str = "2026-01-01=10";

/// The meters of the fleet: some more than 3.6 million, so that the day of a partition has rows to spare.
const DEVICES: u32 = 3_900_000;

/// Of so many uplinks one is lost.
const LOST: u32 = 100;

/// The content of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// The profiles of the load test, but for the one that sends several uplinks an hour: half of the meters on Sigfox, most
    /// frames with some hours' history.
    Fleet,
    /// Frames of 10 bytes with two indexes, on both networks.
    Short,
    /// The same meters with 32 random bytes for a payload, as if it were encrypted: the worst case.
    Random,
}

impl Rows {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "fleet" => Ok(Self::Fleet),
            "short" => Ok(Self::Short),
            "random" => Ok(Self::Random),
            _ => Err(format!("{text:?} is not fleet, short or random")),
        }
    }

    fn mix(self) -> &'static str {
        match self {
            Self::Fleet => {
                "adeunis-pulse-v4-1h=12,adeunis-pulse-v4=4,adeunis-pulse-v3-1h=3,adeunis-pulse4-nbiot=8,\
                adeunis-pulse4-nbiot-1h=4,dragino-sw3l-nb=2,dragino-cpn01-nb=2,senml-cbor=3,senml-json=1"
            }
            Self::Short | Self::Random => "adeunis-pulse-v4,adeunis-pulse4-nbiot",
        }
    }
}

/// The meters of a fleet that are in one partition.
#[derive(Debug)]
pub(crate) struct Meters {
    fleet: Fleet,
    rows: Rows,
    /// Each with its pulses so far.
    counts: Vec<(u32, u64)>,
}

impl Meters {
    /// Finds the meters of partition 0 among all. Of six bits, every sixty-fourth is one.
    pub(crate) fn new(rows: Rows, days: u32, bits: &PartitionBits) -> Fallible<Self> {
        let start: At = START.parse()?;
        let mix = Spec::parse_mix(rows.mix())?;
        let hours = f64::from(24 * days);
        let fleet =
            Fleet::new(Spec { mix, hours, rollover_share: 0.0, reset_share: 0.0, ..Spec::new(start, DEVICES) })?;
        let is_of = |device: DeviceId| bits.place_of(device, Day::at(start)).partition == 0;
        let numbers = (0..DEVICES).filter(|&number| is_of(fleet.meter(number).device));
        Ok(Self { counts: numbers.map(|number| (number, 0)).collect(), fleet, rows })
    }

    /// Their number.
    pub(crate) fn len(&self) -> usize {
        self.counts.len()
    }

    /// Their IDs.
    pub(crate) fn devices(&self) -> impl Iterator<Item = DeviceId> {
        self.counts.iter().map(|&(number, _)| self.fleet.meter(number).device)
    }

    /// A meter on NB-IoT, in the middle of the others.
    pub(crate) fn one(&self) -> DeviceId {
        let mut devices = self.counts.iter().skip(self.len() / 2).map(|&(number, _)| self.fleet.meter(number).device);
        devices.find(|device| device.network() == Network::Nbiot).unwrap_or(self.fleet.meter(0).device)
    }

    /// The uplinks of an hour since the start, in the order of sending, and how many meters counted a pulse.
    pub(crate) fn hour(&mut self, hour: u32) -> Fallible<(Vec<Uplink>, usize)> {
        let mut sent = Vec::new();
        let mut counted = 0;
        for (number, pulses) in &mut self.counts {
            let of_hour = self.fleet.pulses(*number, hour);
            counted += usize::from(of_hour > 0);
            *pulses += u64::from(of_hour);
            let meter = self.fleet.meter(*number);
            let session = self.fleet.session(*number, hour, *pulses);
            let mut rng = Rng::with_seed(u64::from(*number) << 32 | u64::from(hour));
            for (due, of_meter) in (session.due_ms..).zip(session.uplinks) {
                if rng.u32(0..LOST) == 0 {
                    continue;
                }
                let random: [u8; 32] = std::array::from_fn(|_| rng.u8(..));
                let payload: &[u8] = if self.rows == Rows::Random { &random } else { &of_meter.payload };
                let uplink = Uplink {
                    device: meter.device,
                    kind: Kind::Data,
                    at: of_meter.at,
                    time_source: of_meter.dating.time_source(),
                    sequence: Some(of_meter.sequence),
                    profile: meter.profile.parse()?,
                    payload: Payload::from_bytes(payload)?,
                    radio: radio(meter.device, *number, &mut rng)?,
                };
                sent.push((due, uplink));
            }
        }
        sent.sort_by_key(|(due, _)| *due);
        Ok((sent.into_iter().map(|(_, uplink)| uplink).collect(), counted))
    }
}

/// Of Sigfox the levels, and one of three base stations that hear the meter; of NB-IoT the signal's quality in one of five
/// uplinks, since few formats have it.
fn radio(device: DeviceId, number: u32, rng: &mut Rng) -> Fallible<Radio> {
    let level = |base: u32, spread: u32, rng: &mut Rng| f64::from(base + rng.u32(0..spread * 100) / 100);
    Ok(match device.network() {
        Network::Sigfox => Radio {
            rssi: Some((-100.0 - level(number % 30, 12, rng)).try_into()?),
            snr: Some((level(8, 20, rng) + f64::from(rng.u32(0..100)) / 100.0).try_into()?),
            station: Some(format!("{:04X}", 0x1A00 + number / 1_000 + rng.u32(0..3)).parse()?),
            signal_quality: None,
        },
        Network::Nbiot => {
            Radio { signal_quality: (number.is_multiple_of(5)).then(|| rng.u8(8..28)), ..Radio::default() }
        }
    })
}
