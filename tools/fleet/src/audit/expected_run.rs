//! A run as the stack should hold it, and which of its uplinks are stored.

use std::collections::BTreeMap;

use fixedbitset::FixedBitSet;
use pulsegate_aws::Key;
use pulsegate_model::at::At;
use pulsegate_model::device::{DeviceId, Network};
use pulsegate_model::profile;
use pulsegate_model::pulse::{self, PulseItem};
use pulsegate_model::uplink::{Kind, Payload, Radio, SortKey, SortKeyError, Uplink};

use crate::Problem;
use crate::meters::{self, Dating, Fleet, Session};
use crate::run::{Measured, Sessions};

/// Maximum number of uplinks in a session: one bit each.
const MOST: usize = 8;

/// A session of a meter.
pub(super) type SessionId = (u32, u32);

/// A run.
#[derive(Debug)]
pub(super) struct ExpectedRun {
    /// Name of the run.
    pub(super) name: String,
    pub(super) fleet: Fleet,
    pub(super) sessions: Sessions,
    /// True if the run has reached its end.
    pub(super) complete: bool,
    /// When it began, in real time.
    pub(super) began: At,
    /// Numbers of sent and acknowledged messages.
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    /// True if single Sigfox callbacks were sent, which have reception data.
    pub(super) has_radio: bool,
    raw: Stored,
    pulses: Stored,
    /// Times of stored uplinks that their arrival dates, by meter, hour and position. Of several the first.
    arrivals: BTreeMap<(u32, u32, usize), At>,
    /// Meters whose pulses have been compared.
    pub(super) compared: FixedBitSet,
    /// Uplinks that are not stored as sent, or were set aside: by meter, hour and position.
    pub(super) deviations: BTreeMap<(u32, u32, usize), Deviation>,
}

/// Bits of each session: which of its uplinks are stored.
#[derive(Debug)]
struct Stored {
    devices: usize,
    bits: Vec<u8>,
}

/// Deviation of an uplink from what was expected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deviation {
    /// In quarantine, with the reason.
    Quarantined(String),
    /// Among dead letters.
    DeadLetter,
    /// Stored, but not as it was sent.
    Altered(String),
}

/// Position of an uplink in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UplinkPosition {
    pub(super) meter: u32,
    pub(super) hour: u32,
    pub(super) position: usize,
}

impl ExpectedRun {
    pub(super) fn new(name: String, fleet: Fleet, sessions: Sessions, began: At, measured: &Measured) -> Self {
        let stored = || Stored::none(fleet.spec().devices, fleet.hours());
        let (raw, pulses) = (stored(), stored());
        let compared = FixedBitSet::with_capacity(fleet.spec().devices as usize);
        let Measured { complete, sent, acknowledged, .. } = *measured;
        let (arrivals, deviations, has_radio) = (BTreeMap::new(), BTreeMap::new(), false);
        Self {
            name,
            fleet,
            sessions,
            complete,
            began,
            sent,
            acknowledged,
            has_radio,
            raw,
            pulses,
            arrivals,
            compared,
            deviations,
        }
    }

    /// Forgets what was found.
    pub(super) fn clear(&mut self) {
        self.raw.bits.fill(0);
        self.pulses.bits.fill(0);
        self.arrivals.clear();
        self.deviations.clear();
        self.compared.clear();
    }

    /// The uplink of the fleet with this key: `None` if the device is not in the fleet, `Some(None)` if it is, but has
    /// sent no such uplink.
    #[expect(clippy::option_option, reason = "an unknown device and an unknown uplink are different cases")]
    pub(super) fn find(&self, device: &DeviceId, at: At, sequence: Option<u32>) -> Option<Option<UplinkPosition>> {
        let meter = self.fleet.number(device)?;
        let place = self.fleet.hour_of(meter, at, sequence);
        Some(place.map(|(hour, position)| UplinkPosition { meter, hour, position }))
    }

    /// True if the run can have sent the item of this key.
    pub(super) fn has_sent(&self, key: &Key) -> bool {
        let (Ok(device), Ok(sort)) = (key.device.parse(), sort_key(&key.uplink)) else { return false };
        self.find(&device, sort.at, sort.sequence).flatten().is_some()
    }

    /// True if a meter has an uplink that its arrival dates, so that its key cannot be computed.
    pub(super) fn is_dated_by_arrival(&self, meter: u32) -> bool {
        let hours = (0..self.fleet.hours()).filter(|&hour| self.sessions.is_sent(meter, hour));
        hours.map(|hour| self.fleet.dating_of(meter, hour)).any(|dating| dating == Dating::Arrival)
    }

    /// A session, with the counter reading of its meter.
    pub(super) fn session(&self, (meter, hour): SessionId) -> Session {
        self.fleet.session(meter, hour, self.fleet.counted(meter, hour))
    }

    /// An uplink as its meter sends it.
    pub(super) fn sent_uplink(&self, place: UplinkPosition) -> Result<meters::Uplink, Problem> {
        let UplinkPosition { meter, hour, position } = place;
        let session = self.session((meter, hour));
        session.uplinks.into_iter().nth(position).ok_or_else(|| {
            Problem::Wrong(format!(
                "meter {meter} has no uplink {position} in hour {hour}; is the run of this version?"
            ))
        })
    }

    /// An uplink as it should be stored, if `stored` is the time in its key; and the clock that dates it.
    pub(super) fn uplink(&self, place: UplinkPosition, stored: At) -> Result<(Uplink, Dating), Problem> {
        let sent = self.sent_uplink(place)?;
        let mut uplink = as_sent(&self.fleet.meter(place.meter), &sent)?;
        if self.has_radio && !sent.is_status && uplink.device.network() == Network::Sigfox {
            uplink.radio = crate::load::reception(place.meter, place.hour);
        }
        if sent.dating == Dating::Arrival {
            uplink.at = stored;
        }
        Ok((uplink, sent.dating))
    }

    /// Marks an uplink as in the archive; if its arrival dates it, with this time.
    pub(super) fn mark_raw(&mut self, place: UplinkPosition, arrival: Option<At>) -> Result<(), Problem> {
        if let Some(arrival) = arrival {
            let first = self.arrivals.entry((place.meter, place.hour, place.position)).or_insert(arrival);
            *first = arrival.min(*first);
        }
        self.raw.set(place)
    }

    /// The uplinks of a meter that are in the archive, decoded; but not those that no codec reads.
    pub(super) fn decoded(&self, meter: u32) -> Result<Vec<(UplinkPosition, PulseItem)>, Problem> {
        let mut items = Vec::new();
        for hour in 0..self.fleet.hours() {
            let stored = self.raw.of((meter, hour));
            for position in (0..MOST).filter(|position| stored >> position & 1 > 0) {
                let place = UplinkPosition { meter, hour, position };
                let arrival = self.arrivals.get(&(meter, hour, position)).copied();
                let (uplink, _) = self.uplink(place, arrival.unwrap_or(At::EPOCH))?;
                items.extend(pulse::decode(&uplink).ok().map(|item| (place, item)));
            }
        }
        Ok(items)
    }

    pub(super) fn mark_pulses(&mut self, place: UplinkPosition) -> Result<(), Problem> {
        self.pulses.set(place)
    }

    /// Records a deviation. The first one stays, but `Altered` replaces others: an uplink in quarantine may have been
    /// stored since, which is correct, but altered content is always an error.
    pub(super) fn note(&mut self, place: UplinkPosition, deviation: Deviation) {
        let noted =
            self.deviations.entry((place.meter, place.hour, place.position)).or_insert_with(|| deviation.clone());
        if matches!(deviation, Deviation::Altered(_)) && !matches!(noted, Deviation::Altered(_)) {
            *noted = deviation;
        }
    }

    pub(super) fn has_raw(&self, which: SessionId, position: usize) -> bool {
        self.raw.of(which) >> position & 1 > 0
    }

    pub(super) fn has_pulses(&self, which: SessionId, position: usize) -> bool {
        self.pulses.of(which) >> position & 1 > 0
    }

    /// True if anything of a session is stored.
    pub(super) fn has_any(&self, which: SessionId) -> bool {
        self.raw.of(which) | self.pulses.of(which) > 0
    }

    /// Number of a session's uplinks that are stored as pulses.
    pub(super) fn pulses_of(&self, which: SessionId) -> usize {
        self.pulses.of(which).count_ones() as usize
    }
}

/// An uplink of a meter as the pipeline should store it.
pub(super) fn as_sent(meter: &meters::Meter, sent: &meters::Uplink) -> Result<Uplink, Problem> {
    let wrong =
        |e: &dyn std::error::Error| Problem::Wrong(format!("{} sends what no pipeline takes: {e}", meter.device));
    Ok(Uplink {
        device: meter.device,
        kind: if sent.is_status { Kind::Event } else { Kind::Data },
        at: sent.at,
        time_source: sent.dating.time_source(),
        sequence: Some(sent.sequence),
        profile: meter.profile.parse().map_err(|e| wrong(&e))?,
        payload: Payload::from_bytes(&sent.payload).map_err(|e| wrong(&e))?,
        radio: reported_radio(meter, &sent.payload),
    })
}

/// The reception that a datagram in the clear reports. The bridge takes nothing from the inside of a sealed one.
fn reported_radio(meter: &meters::Meter, payload: &[u8]) -> Radio {
    let in_the_clear = meter.transport == meters::Transport::Efento;
    let profile = profile::find(meter.device.network(), meter.profile).filter(|_| in_the_clear);
    let head = profile.and_then(|profile| profile.codec.identify?.head(payload).ok());
    Radio { signal_quality: head.and_then(|head| head.signal_quality), ..Radio::default() }
}

/// Parses a sort key of the pulses table, or of a raw uplink, which ends with the kind.
pub(super) fn sort_key(key: &str) -> Result<SortKey, SortKeyError> {
    let uplink = key.match_indices('#').nth(1).map_or(key, |(end, _)| &key[..end]);
    uplink.parse()
}

/// Key of an uplink in the pulses table. Of an uplink that its arrival dates, it has the time of the meter's clock.
pub(crate) fn key(meter: &meters::Meter, sent: &meters::Uplink) -> Result<Key, Problem> {
    let uplink = as_sent(meter, sent)?;
    Ok(Key { device: uplink.device.to_string(), uplink: uplink.key().to_string() })
}

impl Stored {
    fn none(devices: u32, hours: u32) -> Self {
        Self { devices: devices as usize, bits: vec![0; devices as usize * hours as usize] }
    }

    fn of(&self, (meter, hour): SessionId) -> u8 {
        self.bits[hour as usize * self.devices + meter as usize]
    }

    fn set(&mut self, UplinkPosition { meter, hour, position }: UplinkPosition) -> Result<(), Problem> {
        if position >= MOST {
            return Err(Problem::Wrong(format!("meter {meter} sends more than {MOST} uplinks in a session")));
        }
        self.bits[hour as usize * self.devices + meter as usize] |= 1 << position;
        Ok(())
    }
}
