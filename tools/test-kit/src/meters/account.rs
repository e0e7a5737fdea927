//! The points and the consumption that must result from a set of sessions.

use std::collections::BTreeMap;

use pulsegate_model::merge::{Point, Points};

use super::counter::Restart;
use super::frames::Log;
use super::input::Input;
use super::kinds::Kind;
use super::setting::Setting;
use super::{Expected, Fleet};

/// The logs that a meter sends in the session of an hour.
type Told = (u32, Vec<Log>);

impl Fleet {
    /// See [`Fleet::expected`].
    pub(super) fn expected_of(&self, kind: &Kind, number: u32, hours: &[u32]) -> Vec<Expected> {
        let per_period = self.setting(kind, number) == Setting::PulsesSinceUplink;
        let point = |log: Log, (channel, input): (&str, Input), pulses: u32| Expected {
            channel: channel.to_owned(),
            at: (!log.is_undated).then_some(log.at),
            index: match input {
                _ if per_period => pulses.into(),
                Input::A => log.a,
                Input::B => log.b,
            },
            per_period,
        };
        let points = |(hour, logs): Told| {
            // The records of a log with counts per period are no points.
            let logs = logs.into_iter().take(if per_period { 1 } else { usize::MAX });
            let pulses = self.pulses(number, hour);
            logs.flat_map(move |log| kind.channels.iter().map(move |&channel| point(log, channel, pulses)))
        };
        let (dated, undated) = self.told_by_dating(kind, number, hours);
        let mut dated: Vec<Expected> = dated.into_iter().flat_map(points).collect();
        dated.sort_unstable();
        dated.dedup();
        // Each uplink's own, so that equal ones stay.
        dated.extend(undated.into_iter().flat_map(points));
        dated.sort_unstable();
        dated
    }

    /// See [`Fleet::total`].
    pub(super) fn total_of(&self, kind: &Kind, number: u32, hours: &[u32]) -> BTreeMap<String, u64> {
        let (told, _) = self.told_by_dating(kind, number, hours);
        if self.setting(kind, number) == Setting::PulsesSinceUplink {
            let told = told.iter().filter(|(_, logs)| !logs.is_empty());
            let pulses = told.map(|&(hour, _)| u64::from(self.pulses(number, hour))).sum();
            return kind.channels.iter().map(|&(channel, _)| (channel.to_owned(), pulses)).collect();
        }
        let restart = self.restart(kind, number);
        let until = restart.map(|restart| restart.after);
        let counted = |is_before: bool| {
            let sessions = told.iter().filter(move |(hour, _)| until.is_none_or(|until| *hour <= until) == is_before);
            sessions.flat_map(|(_, logs)| logs).map(|log| log.counted)
        };
        let ends = |is_before: bool| counted(is_before).min().zip(counted(is_before).max());
        let total = |input: Input| {
            let pulses = |(from, to): (i64, i64)| input.of(to) - input.of(from);
            let total = match (ends(true), ends(false)) {
                (Some(before), Some((_, last))) => {
                    let zero = |Restart { after, later, .. }| self.counted(number, after).cast_signed() + later;
                    let zero = restart.map_or(0, zero);
                    pulses(before) + pulses((zero, last))
                }
                (before, after) => before.or(after).map_or(0, pulses),
            };
            total.cast_unsigned()
        };
        kind.channels.iter().map(|&(channel, input)| (channel.to_owned(), total(input))).collect()
    }

    /// The sessions of these hours by what dates them, the meter's clock or nothing. A session of a right clock gives no
    /// points of logs of a wrong one.
    pub(super) fn told_by_dating(&self, kind: &Kind, number: u32, hours: &[u32]) -> (Vec<Told>, Vec<Told>) {
        let is_wrong = |(hour, _): &Told| self.is_wrong(kind.network(), number, (*hour).into());
        let (undated, mut dated): (Vec<_>, Vec<_>) = self.told(kind, number, hours).into_iter().partition(is_wrong);
        for (_, logs) in &mut dated {
            logs.retain(|log| !log.is_undated);
        }
        (dated, undated)
    }

    /// The logs of a session that its uplinks that arrive have, the oldest ones. A series is known until its first uplink that is
    /// lost.
    fn arrived_logs(&self, kind: &Kind, number: u32, hour: u32, logs: usize) -> usize {
        /// Logs of an uplink that goes on with a series.
        const OF_UPLINK: usize = 2;
        let is_there = |position: &usize| !self.is_lost(kind, number, hour, *position);
        match (0..kind.uplinks as usize).take_while(is_there).count() {
            0 => 0,
            _ if kind.uplinks == 1 => logs,
            uplinks => logs.min(1 + OF_UPLINK * (uplinks - 1)),
        }
    }

    /// The logs of the sessions of these hours, in order, each once, without hours in which the meter is not due.
    fn told(&self, kind: &Kind, number: u32, hours: &[u32]) -> Vec<Told> {
        let mut hours: Vec<u32> = hours.iter().copied().filter(|&hour| self.is_due(number, hour)).collect();
        hours.sort_unstable();
        hours.dedup();
        let (mut counted, mut next) = (0, 0);
        let tell = |hour: u32| {
            counted += (next..=hour).map(|hour| i64::from(self.pulses(number, hour))).sum::<i64>();
            next = hour + 1;
            let mut logs = self.logs(kind, number, hour, counted);
            let arrived = self.arrived_logs(kind, number, hour, logs.len());
            logs.drain(..logs.len() - arrived);
            (hour, logs)
        };
        hours.into_iter().map(tell).collect()
    }
}

/// The pulses of a channel from its first point to its last: the differences of the indexes, modulo the counter's width. A
/// difference of half the counter's range or more is a reset, after which the index itself counts. Without a known width every
/// decrease is a reset. Counts per period are added up.
pub fn consumption(points: &Points) -> u64 {
    let counted = |pair: &[Point]| {
        let [from, to] = pair else { return 0 };
        let is_half = |pulses: u64| from.counter_bits.is_some_and(|bits| pulses >> (bits - 1) > 0);
        pulsegate_model::merge::difference(from, to).filter(|&pulses| !is_half(pulses)).unwrap_or(to.index)
    };
    let per_period = points.counted.iter().map(|each| each.pulses).sum::<u64>();
    points.points.windows(2).map(counted).sum::<u64>() + per_period
}
