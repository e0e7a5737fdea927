//! The uplinks of a session, and their keys.

use pulsegate_model::at::At;
use pulsegate_model::device::Network;

use super::chance::{About, hash};
use super::faults::garble;
use super::frames::{Log, Report, efento};
use super::home::{Home, SLOTS};
use super::input::Input;
use super::kinds::{Kind, Logs};
use super::setting::Setting;
use super::{Dating, Fleet, Meter, Session, Transport, Uplink};

/// Sigfox numbers uplinks with twelve bits.
const SIGFOX_SEQUENCES: u64 = 1 << 12;

/// One meter in this many has a low battery.
const BATTERIES: u64 = 100;

impl Fleet {
    pub(super) fn session_of(&self, meter: &Meter, kind: &Kind, hour: u32, counted: u64) -> Session {
        let number = meter.number;
        let report = self.report(meter, kind, hour, counted.cast_signed());
        let mut payloads: Vec<Vec<u8>> =
            (kind.write)(&report).into_iter().map(|frame| report.setting.sent(frame)).collect();
        for &daily in self.daily(kind, number, hour) {
            let position = payloads.len();
            payloads.push(self.write_daily(daily, &report, position, number, hour));
        }
        if self.has_status(kind, number, hour) {
            payloads.push(vec![]);
        }
        // The records of a log with counts per period are details.
        let dated = if report.setting == Setting::PulsesSinceUplink { 1 } else { report.logs.len() };
        let all = payloads.len();
        let uplink = |position: usize| {
            let payload = std::mem::take(payloads.get_mut(position)?);
            let sequence = self.sequence(kind, number, hour, position).unwrap_or_else(|| efento::sequence(&payload));
            Some(Uplink {
                at: self.at(kind.network(), number, hour.into(), position),
                dating: self.dating(kind, number, hour),
                clock_not_set: report.logs.iter().take(dated).any(|log| log.is_undated),
                sequence,
                is_status: self.has_status(kind, number, hour) && position + 1 == all,
                payload,
            })
        };
        let due_ms = self.order.time(number, hour.into()).cast_unsigned();
        Session { due_ms, uplinks: self.kept(kind, number, hour).filter_map(uplink).collect() }
    }

    /// The clock that dates the uplinks of a session.
    pub(super) fn dating(&self, kind: &Kind, number: u32, hour: u32) -> Dating {
        let is_wrong = self.is_wrong(kind.network(), number, hour.into());
        match kind.transport {
            Transport::Sigfox => Dating::Network,
            Transport::Efento if is_wrong => Dating::Arrival,
            Transport::Sealed | Transport::SealedCoap if is_wrong => Dating::Unset,
            Transport::Efento | Transport::Sealed | Transport::SealedCoap => Dating::Device,
        }
    }

    fn report(&self, meter: &Meter, kind: &Kind, hour: u32, counted: i64) -> Report {
        let number = meter.number;
        let radio = hash(self.spec.seed, About::Radio, number, 0);
        let low_battery = radio.is_multiple_of(BATTERIES);
        let [wear, signal, ..] = radio.to_be_bytes();
        Report {
            modem: self.identities.modem(number),
            device: meter.device,
            at: self.at(kind.network(), number, hour.into(), 0),
            sequence: self.sequence(kind, number, hour, 0).unwrap_or(hour),
            setting: self.setting(kind, number),
            pulses: self.pulses(number, hour),
            logs: self.logs(kind, number, hour, counted),
            leaks: Home::of(self.spec.seed, number).leak > 0,
            low_battery,
            battery_mv: if low_battery { 2_900 } else { 3_650 - u16::from(wear) },
            signal: 5 + signal % 24,
        }
    }

    /// The logs that a meter sends in a session, the newest first.
    pub(super) fn logs(&self, kind: &Kind, number: u32, hour: u32, counted: i64) -> Vec<Log> {
        let shown = self.counter(kind, number, hour, counted);
        let is_undated = self.is_wrong(kind.network(), number, hour.into());
        let log = |at, counted| {
            let (a, b) = (shown.index(Input::A, counted), shown.index(Input::B, counted));
            Log { at, is_undated, counted, a, b, is_garbled: false }
        };
        let now = self.at(kind.network(), number, hour.into(), 0);
        let earlier = |seconds: i64| At::from_unix(now.unix() - seconds).unwrap_or(At::EPOCH);
        let mut logs = match kind.logs {
            Logs::Now => vec![log(now, counted)],
            Logs::Hourly(before) => {
                let hours = self.hours_back(kind, number, hour, counted, before);
                hours.map(|(back, _, counted)| log(earlier(3_600 * back), counted)).collect()
            }
            Logs::Sessions(before) => {
                let hours = self.hours_back(kind, number, hour, counted, before);
                let of_session = |(_, hour, counted)| Log {
                    is_undated: self.is_wrong(kind.network(), number, hour),
                    ..log(self.at(kind.network(), number, hour, 0), counted)
                };
                hours.map(of_session).collect()
            }
            Logs::Parts(parts) => {
                let (slots, each) = (self.slots(number, hour.into()), SLOTS / usize::from(parts));
                let since = |back: u8| slots.iter().rev().take(usize::from(back) * each).sum::<u32>();
                let seconds = |back: u8| match self.setting(kind, number) {
                    Setting::NoFactorBesideBinary => i64::from(back) * efento::PERIOD_BESIDE_BINARY,
                    _ => i64::from(back) * 3_600 / i64::from(parts),
                };
                (0..parts).map(|back| log(earlier(seconds(back)), counted - i64::from(since(back)))).collect()
            }
        };
        if self.garbled_hour(kind, number) == Some(hour)
            && let Some(now) = logs.first_mut()
        {
            garble(now, kind.counter_bits);
        }
        logs
    }

    /// This hour and this many before it, each with its distance and the count until then. After a reset or a swap a meter
    /// has no logs from before.
    fn hours_back(
        &self,
        kind: &Kind,
        number: u32,
        hour: u32,
        counted: i64,
        before: u8,
    ) -> impl Iterator<Item = (i64, i64, i64)> {
        let hour = i64::from(hour);
        let restart = self.restart(kind, number).map(|restart| i64::from(restart.after) + 1);
        let first = restart.filter(|first| *first <= hour).unwrap_or(i64::MIN);
        let now = (0, hour, counted);
        let back = move |&(back, hour, counted): &(i64, i64, i64)| {
            Some((back + 1, hour - 1, counted - i64::from(self.pulses_of(number, hour))))
        };
        std::iter::successors(Some(now), back)
            .take(1 + usize::from(before))
            .take_while(move |&(_, hour, _)| hour >= first)
    }

    /// The sequence in the key of a session's uplink; `None` if it is a checksum of the payload.
    pub(super) fn sequence(&self, kind: &Kind, number: u32, hour: u32, position: usize) -> Option<u32> {
        let first = hash(self.spec.seed, About::Sequence, number, 0);
        let hour = u64::from(hour);
        match (kind.network(), kind.transport) {
            (_, Transport::Efento) => None,
            (Network::Nbiot, _) => u32::try_from(1 + first % 1_000_000 + hour).ok(),
            (Network::Sigfox, _) => {
                let before = hour * u64::from(kind.uplinks)
                    + self.daily_before(number, hour)
                    + self.statuses_before(kind, number, hour);
                u32::try_from((first % SIGFOX_SEQUENCES + before + position as u64) % SIGFOX_SEQUENCES).ok()
            }
        }
    }

    /// The number of uplinks of a session, with those that are lost.
    pub(super) fn uplinks(&self, kind: &Kind, number: u32, hour: u32) -> usize {
        let status = usize::from(self.has_status(kind, number, hour));
        kind.uplinks as usize + self.daily(kind, number, hour).len() + status
    }

    pub(super) fn hour_of_key(&self, kind: &Kind, number: u32, at: At, sequence: u32) -> Option<(u32, usize)> {
        let network = kind.network();
        let hours = self.hours_near(network, number, at).filter_map(|hour| hour.try_into().ok());
        let of_time = hours
            .filter(|&hour| self.is_due(number, hour))
            .find_map(|hour| self.position_of_key(kind, number, hour, at, sequence).map(|position| (hour, position)));
        of_time.or_else(|| self.arrived(kind, number, sequence))
    }

    /// The uplink with this sequence among those that their arrival dates. Their keys have no time of the meter's clock.
    fn arrived(&self, kind: &Kind, number: u32, sequence: u32) -> Option<(u32, usize)> {
        let is_arrival = |&hour: &u32| self.dating(kind, number, hour) == Dating::Arrival;
        let (mut counted, mut next) = (0, 0);
        (0..self.hours()).take_while(is_arrival).filter(|&hour| self.is_due(number, hour)).find_map(|hour| {
            counted += (next..=hour).map(|hour| u64::from(self.pulses(number, hour))).sum::<u64>();
            next = hour + 1;
            let uplinks = self.session(number, hour, counted).uplinks;
            let position = uplinks.iter().position(|uplink| uplink.sequence == sequence)?;
            Some((hour, position))
        })
    }

    fn position_of_key(&self, kind: &Kind, number: u32, hour: u32, at: At, sequence: u32) -> Option<usize> {
        let network = kind.network();
        let is_it = |(nth, position): (usize, usize)| {
            let of_bytes = || {
                let session = self.session(number, hour, self.counted(number, hour));
                session.uplinks.get(nth).map(|uplink| uplink.sequence)
            };
            let expected = || self.sequence(kind, number, hour, position).or_else(of_bytes);
            (self.at(network, number, hour.into(), position) == at && expected() == Some(sequence)).then_some(nth)
        };
        self.kept(kind, number, hour).enumerate().find_map(is_it)
    }
}
