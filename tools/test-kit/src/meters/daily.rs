//! The daily frames of a Sigfox meter: a keep-alive, and an alarm if there is a leak.

use pulsegate_model::device::Network;

use super::Fleet;
use super::chance::{About, hash};
use super::frames::{Report, adeunis};
use super::home::Home;
use super::input::Input;
use super::kinds::Kind;

const DAY: u64 = 24;

/// Hours from a day's keep-alive to its alarm: never both in one session.
const ALARM_LATER: u64 = 7;

/// A frame without counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Daily {
    KeepAlive,
    Alarm,
}

impl Fleet {
    /// The daily frames of a session, in order.
    pub(super) fn daily(&self, kind: &Kind, number: u32, hour: u32) -> &'static [Daily] {
        let of_day = u64::from(hour) % DAY;
        match self.daily_hours(number) {
            _ if kind.network() == Network::Nbiot => &[],
            (keep_alive, _) if keep_alive == of_day => &[Daily::KeepAlive],
            (_, Some(alarm)) if alarm == of_day => &[Daily::Alarm],
            _ => &[],
        }
    }

    /// The number of daily frames that a Sigfox meter has sent before an hour.
    pub(super) fn daily_before(&self, number: u32, hour: u64) -> u64 {
        let days = |of_day: u64| (hour + DAY - 1 - of_day) / DAY;
        let (keep_alive, alarm) = self.daily_hours(number);
        days(keep_alive) + alarm.map_or(0, days)
    }

    pub(super) fn write_daily(&self, daily: Daily, report: &Report, place: usize, number: u32, hour: u32) -> Vec<u8> {
        match daily {
            Daily::KeepAlive => adeunis::keep_alive(report, place, &self.flows(report, number, hour, DAY)),
            Daily::Alarm => {
                let [now] = self.flows(report, number, hour, 1)[..] else { return vec![] };
                adeunis::flow_alarm(report, place, now)
            }
        }
    }

    /// The counts of both inputs in each of the last hours.
    fn flows(&self, report: &Report, number: u32, hour: u32, hours: u64) -> Vec<[u16; 2]> {
        let mut counted = report.logs.first().map_or(0, |log| log.counted);
        let hours = (0..hours.cast_signed()).map(|back| i64::from(hour) - back);
        let flow = |hour| {
            let before = counted - i64::from(self.pulses_of(number, hour));
            let flow = [Input::A, Input::B].map(|input| input.of(counted) - input.of(before));
            counted = before;
            flow.map(|pulses| u16::try_from(pulses).unwrap_or(u16::MAX))
        };
        hours.map(flow).collect()
    }

    /// The hours of the day at which a meter sends keep-alive and alarm.
    fn daily_hours(&self, number: u32) -> (u64, Option<u64>) {
        let keep_alive = (hash(self.spec.seed, About::Sequence, number, 0) >> 32) % DAY;
        let leaks = Home::of(self.spec.seed, number).leak > 0;
        (keep_alive, leaks.then_some((keep_alive + ALARM_LATER) % DAY))
    }
}
